//! What goes out over HTTP, and what must be right with what comes in.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{StatusCode, header::AUTHORIZATION};
use axum::response::{IntoResponse, Response};
use disband::UserId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::service::Service;

/// A JSON body with its status, in the shape of the API's replies.
///
/// What the engine refuses is `GRPS_` and its code; what does not get as far is `HTTP_` and its code,
/// with a `reason` in words.
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

/// Who calls, by the token in `Authorization: Bearer …`, or in the address as `?id=…`, for those who
/// can't send a header.
pub(crate) struct Caller(pub(crate) UserId);

#[derive(serde::Deserialize)]
struct InAddress {
    id: Option<String>,
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Answer> {
        let header = parts.headers.get(AUTHORIZATION).map(|value| {
            let (scheme, token) = value.to_str().unwrap_or_default().split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let token = match header {
            Some(token) => token,
            None => Query::<InAddress>::try_from_uri(&parts.uri).ok().and_then(|query| query.0.id),
        };
        let user = token.and_then(|token| service.tokens.user(&token));
        let reason = "no token, or none of ours: see /stand-in/login";
        user.map(Caller).ok_or_else(|| Answer::error(StatusCode::UNAUTHORIZED, reason))
    }
}

/// What the path names.
pub(crate) struct Place<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Place<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(place)) => Ok(Place(place)),
            Err(rejection) => Err(Answer::error(rejection.status(), rejection.body_text())),
        }
    }
}

/// What the query asks for. The token may stand there too.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(rejection) => Err(Answer::error(rejection.status(), rejection.body_text())),
        }
    }
}

/// What the body says, as JSON; no body is `{}`.
pub(crate) struct Said<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Said<T> {
    type Rejection = Answer;

    async fn from_request(request: Request, state: &S) -> Result<Self, Answer> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Answer::error(rejection.status(), rejection.body_text()))?;
        let json = if bytes.is_empty() { b"{}" } else { &*bytes };
        // Serde would take `[]` for an object whose fields may all be left out.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(Answer::error(StatusCode::BAD_REQUEST, "the body is not a JSON object"));
        }
        match serde_json::from_slice(json) {
            Ok(said) => Ok(Said(said)),
            Err(error) => Err(Answer::error(StatusCode::BAD_REQUEST, error)),
        }
    }
}
