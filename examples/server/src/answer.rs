//! HTTP replies, and the extractors that parse requests.
//!
//! The extractors wrap those of axum, so that a rejected request gets an [`Answer`], too.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{StatusCode, header::AUTHORIZATION};
use axum::response::{IntoResponse, Response};
use disband::UserId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::service::Service;

/// A JSON reply with its HTTP status, in the form of the chat API.
///
/// The `msg` of an engine's refusal is `GRPS_` and the code. The `msg` of any other error is
/// `HTTP_` and the code, and its data has a `reason` in words.
#[derive(Debug)]
pub(crate) struct Answer {
    code: StatusCode,
    body: String,
    retry_after_ms: Option<u64>,
}

impl Answer {
    pub(crate) fn new(code: u16, body: &impl Serialize) -> Self {
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(body).expect("a reply has string keys and no floats");
        Answer { code, body, retry_after_ms: None }
    }

    pub(crate) fn retry_after(self, ms: Option<u64>) -> Self {
        Answer { retry_after_ms: ms, ..self }
    }

    pub(crate) fn code(&self) -> u16 {
        self.code.as_u16()
    }

    pub(crate) fn ok() -> Self {
        Answer::new(200, &json!({ "ok": true, "code": 200, "msg": "OK" }))
    }

    pub(crate) fn data(data: &impl Serialize) -> Self {
        Answer::new(200, &json!({ "ok": true, "code": 200, "msg": "OK", "data": data }))
    }

    pub(crate) fn error(code: StatusCode, reason: impl std::fmt::Display) -> Self {
        let code = code.as_u16();
        let data = json!({ "reason": reason.to_string() });
        Answer::new(
            code,
            &json!({ "ok": false, "code": code, "msg": format!("HTTP_{code}"), "data": data }),
        )
    }

    pub(crate) fn unavailable(reason: &str) -> Self {
        Answer::error(StatusCode::SERVICE_UNAVAILABLE, reason)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let mut response = (self.code, [(CONTENT_TYPE, json)], self.body).into_response();
        let headers = response.headers_mut();
        if let Some(ms) = self.retry_after_ms {
            headers.insert(RETRY_AFTER, ms.div_ceil(1000).into());
        }
        if self.code == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The user who sent the request. The token is in `Authorization: Bearer …`, or in the query as
/// `?id=…` for clients that cannot send this header (a browser's WebSocket).
pub(crate) struct Authenticated(pub(crate) UserId);

#[derive(serde::Deserialize)]
struct QueryToken {
    id: Option<String>,
}

impl FromRequestParts<Arc<Service>> for Authenticated {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Answer> {
        let header = parts.headers.get(AUTHORIZATION).map(|value| {
            let (scheme, token) = value.to_str().unwrap_or_default().split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let token = match header {
            Some(token) => token,
            None => extract::Query::<QueryToken>::try_from_uri(&parts.uri)
                .ok()
                .and_then(|query| query.0.id),
        };
        let user = token.and_then(|token| service.tokens.user(&token));
        let reason = "no valid token: get one from /stand-in/login";
        user.map(Authenticated).ok_or_else(|| Answer::error(StatusCode::UNAUTHORIZED, reason))
    }
}

/// The parameters in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(path)) => Ok(Path(path)),
            Err(rejection) => Err(Answer::error(rejection.status(), rejection.body_text())),
        }
    }
}

/// The parameters in the query. `T` must ignore unknown ones, because the token may be among them.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        match extract::Query::from_request_parts(parts, state).await {
            Ok(extract::Query(query)) => Ok(Query(query)),
            Err(rejection) => Err(Answer::error(rejection.status(), rejection.body_text())),
        }
    }
}

/// The body, a JSON object. An empty body counts as `{}`.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Answer;

    async fn from_request(request: Request, state: &S) -> Result<Self, Answer> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Answer::error(rejection.status(), rejection.body_text()))?;
        let json = if bytes.is_empty() { b"{}" } else { &*bytes };
        // Serde also reads an array as a struct: `[]` would count as an object without fields.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(Answer::error(StatusCode::BAD_REQUEST, "the body is not a JSON object"));
        }
        match serde_json::from_slice(json) {
            Ok(body) => Ok(Json(body)),
            Err(error) => Err(Answer::error(StatusCode::BAD_REQUEST, error)),
        }
    }
}
