//! The extractors that parse requests. They wrap those of axum, so that a rejected request gets a
//! [`Reply`], too.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::http::reply::Reply;
use crate::key::{Key, KeyError};
use crate::name::Name;
use crate::service::Service;

/// How long a client may take to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The user who sent the request. The token is in `Authorization: Bearer …`, or in the query as
/// `?id=…` for clients that cannot send this header (a browser's WebSocket).
pub(crate) struct Authenticated(pub(crate) Name);

#[derive(Deserialize)]
struct QueryToken {
    id: Option<String>,
}

impl FromRequestParts<Arc<Service>> for Authenticated {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Reply> {
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
        user.map(Authenticated).ok_or_else(|| Reply::error(StatusCode::UNAUTHORIZED, reason))
    }
}

/// The parameters in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reply> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(path)) => Ok(Path(path)),
            Err(rejection) => Err(Reply::error(rejection.status(), rejection.body_text())),
        }
    }
}

/// The parameters in the query. `T` must ignore unknown ones, because the token may be among them.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reply> {
        match extract::Query::from_request_parts(parts, state).await {
            Ok(extract::Query(query)) => Ok(Query(query)),
            Err(rejection) => Err(Reply::error(rejection.status(), rejection.body_text())),
        }
    }
}

/// The client's key of a command, if the request has one.
pub(crate) struct IdempotencyKey(pub(crate) Option<Key>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Reply> {
        match key(&parts.headers) {
            Ok(key) => Ok(IdempotencyKey(key)),
            Err(reason) => Err(Reply::error(StatusCode::BAD_REQUEST, reason)),
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum HeaderError {
    #[error("more than one Idempotency-Key")]
    Several,
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The key in the header `Idempotency-Key`. Double quotes around it are not a part of it: an
/// Internet-Draft of the IETF writes the key as a quoted string.
fn key(headers: &HeaderMap) -> Result<Option<Key>, HeaderError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(HeaderError::Several);
    }
    let text = value.to_str().map_err(|_| KeyError)?;
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok(Some(quoted.unwrap_or(text).parse()?))
}

/// The body, a JSON object. An empty body counts as `{}`. Take it as the last parameter: only the
/// receipt of the body has a time limit, so that a command under way is never answered 408.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Reply;

    async fn from_request(request: Request, state: &S) -> Result<Self, Reply> {
        let bytes = match timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(rejection)) => {
                return Err(Reply::error(rejection.status(), rejection.body_text()));
            }
            Err(_) => {
                let reason = format!("the body took more than {} s", BODY_TIMEOUT.as_secs());
                return Err(Reply::error(StatusCode::REQUEST_TIMEOUT, reason));
            }
        };
        let json = if bytes.is_empty() { b"{}" } else { &*bytes };
        // Serde also reads an array as a struct: `[]` would count as an object without fields.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(Reply::error(StatusCode::BAD_REQUEST, "the body is not a JSON object"));
        }
        match serde_json::from_slice(json) {
            Ok(body) => Ok(Json(body)),
            Err(error) => Err(Reply::error(StatusCode::BAD_REQUEST, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&[u8]]) -> Result<Option<String>, HeaderError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("Idempotency-Key", value.to_vec().try_into().unwrap());
        }
        key(&headers).map(|key| key.map(String::from))
    }

    #[test]
    fn a_key_has_1_to_128_visible_ascii_characters_and_maybe_quotes_around_it() {
        assert_eq!(parse(&[]), Ok(None));
        let longest = "~".repeat(128);
        for (value, key) in [
            ("a", "a"),
            ("\"a\"", "a"),
            ("\"\"a\"\"", "\"a\""),
            ("\"", "\""),
            ("\"a", "\"a"),
            ("0190163d-8694-739b-aea5-966c26f8ad91", "0190163d-8694-739b-aea5-966c26f8ad91"),
            (&longest, &longest),
            (&format!("\"{longest}\""), &longest),
        ] {
            assert_eq!(parse(&[value.as_bytes()]), Ok(Some(key.to_owned())), "{value}");
        }
    }

    #[test]
    fn any_other_key_is_refused() {
        let long = [b'~'; 129];
        let wrong: [&[u8]; 7] = [b"", b"\"\"", b"a b", b"a\tb", b"\" a\"", b"\xc3\xa9", &long];
        for value in wrong {
            assert_eq!(parse(&[value]), Err(KeyError.into()), "{value:?}");
        }
        assert_eq!(parse(&[b"a", b"a"]), Err(HeaderError::Several));
    }
}
