//! HTTP replies, in the form of the chat API.

use std::fmt::Display;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use disband::{CommandResult, Seq, SignalKey, Stint, Timestamp, wire};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::answer::{Answer, Caused, Done, Fate, Value};
use crate::name::Name;
use crate::service::Unanswered;
use crate::types::Refusal;

/// A JSON reply with its HTTP status.
///
/// The `msg` of an engine's refusal is `GRPS_` and the code. The `msg` of any other error is
/// `HTTP_` and the code, and its data has a `reason` in words.
#[derive(Debug)]
pub(crate) struct Reply {
    code: StatusCode,
    body: String,
    retry_after: Option<Duration>,
}

impl Reply {
    fn new(code: u16, body: &impl Serialize) -> Self {
        let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(body).expect("a reply has string keys and no floats");
        Reply { code, body, retry_after: None }
    }

    /// The same, and says when to send the request again.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        Reply { retry_after: Some(wait), ..self }
    }

    pub(crate) fn code(&self) -> u16 {
        self.code.as_u16()
    }

    pub(crate) fn ok() -> Self {
        Reply::new(200, &json!({ "ok": true, "code": 200, "msg": "OK" }))
    }

    pub(crate) fn data(data: &impl Serialize) -> Self {
        Reply::new(200, &json!({ "ok": true, "code": 200, "msg": "OK", "data": data }))
    }

    pub(crate) fn error(code: StatusCode, reason: impl Display) -> Self {
        Reply::error_with(code, json!({ "reason": reason.to_string() }))
    }

    fn error_with(code: StatusCode, data: serde_json::Value) -> Self {
        let code = code.as_u16();
        let msg = format!("HTTP_{code}");
        Reply::new(code, &json!({ "ok": false, "code": code, "msg": msg, "data": data }))
    }

    /// The reply to a command. With `own`, it also says which signals the command caused.
    pub(crate) fn to_command(answer: Result<Answer, Unanswered>, own: bool) -> Self {
        match answer {
            Ok(Answer { result: Ok(done), .. }) => Reply::new(200, &Success { done: &done, own }),
            Ok(Answer { result: Err(refusal), at }) => Reply::refused(refusal, at),
            Err(unanswered) => unanswered.into(),
        }
    }

    /// The reply to a command or a read that the engine refused at the time `now`.
    pub(crate) fn refused(refusal: Refusal, now: Timestamp) -> Self {
        let wait = match &refusal {
            Refusal::TooFast { retry_at } => Some(Duration::from_millis(retry_at.since(now))),
            _ => None,
        };
        let result: CommandResult<(), Name, Name> = Err(refusal);
        let reply = wire::reply(&result, now);
        Reply { retry_after: wait, ..Reply::new(reply.code(), &reply) }
    }
}

impl From<Unanswered> for Reply {
    fn from(unanswered: Unanswered) -> Self {
        let code = match unanswered {
            Unanswered::NotDone(_) => StatusCode::SERVICE_UNAVAILABLE,
            Unanswered::Unknown => StatusCode::GATEWAY_TIMEOUT,
            Unanswered::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Unanswered::KeyReused => StatusCode::CONFLICT,
            Unanswered::KeyExpired => StatusCode::GONE,
            Unanswered::KeyAhead { now } => {
                let data = json!({ "reason": unanswered.to_string(), "now": now });
                return Reply::error_with(StatusCode::BAD_REQUEST, data);
            }
        };
        let reply = Reply::error(code, &unanswered);
        match unanswered {
            Unanswered::NotDone(_) | Unanswered::Busy { .. } => {
                reply.retry_after(Duration::from_secs(1))
            }
            _ => reply,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let mut response = (self.code, [(CONTENT_TYPE, json)], self.body).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1000);
            headers.insert(RETRY_AFTER, u64::try_from(seconds).unwrap_or(u64::MAX).into());
        }
        if self.code == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The reply to a command that was carried out.
struct Success<'a> {
    done: &'a Done,
    own: bool,
}

/// The `data` of a reply.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Data<'a> {
    Stint(Stint),
    Seq(Seq),
    Groups(Vec<GroupLeft<'a>>),
}

#[derive(Serialize)]
struct GroupLeft<'a> {
    groupid: &'a Name,
    outcome: Fate,
}

/// A signal that the command caused.
#[derive(Serialize)]
struct CausedSignal<'a> {
    key: SignalKey,
    groupid: &'a Name,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Seq>,
}

impl<'a> From<&'a Caused> for CausedSignal<'a> {
    fn from(caused: &'a Caused) -> Self {
        let Caused { key, ref group, version, seq } = *caused;
        CausedSignal { key, groupid: group, version, seq }
    }
}

impl<'a> Serialize for Success<'a> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;

        let data = match &self.done.value {
            Value::Nothing => None,
            Value::Stint(stint) => Some(Data::Stint(*stint)),
            Value::Seq(seq) => Some(Data::Seq(*seq)),
            Value::Groups(groups) => {
                let left =
                    |(groupid, fate): &'a (Name, Fate)| GroupLeft { groupid, outcome: *fate };
                Some(Data::Groups(groups.iter().map(left).collect()))
            }
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("ok", &true)?;
        map.serialize_entry("code", &200)?;
        map.serialize_entry("msg", "OK")?;
        if let Some(data) = data {
            map.serialize_entry("data", &data)?;
        }
        if self.own {
            let caused: Vec<_> = self.done.caused.iter().map(CausedSignal::from).collect();
            map.serialize_entry("caused", &caused)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried_out(value: Value) -> Answer {
        let key = SignalKey(255);
        let caused = vec![
            Caused { key, group: "a b".parse().unwrap(), version: 3, seq: Some(Seq(9)) },
            Caused { key: SignalKey(256), group: Name::from(7), version: 4, seq: None },
        ];
        Answer { at: Timestamp(1), result: Ok(Done { value, caused }) }
    }

    #[test]
    fn a_success_has_exactly_the_bytes_of_the_chat_api() {
        for (value, data) in [
            (Value::Nothing, ""),
            (Value::Stint(Stint(5)), r#","data":{"stint":5}"#),
            (Value::Seq(Seq(0)), r#","data":{"seq":0}"#),
            (
                Value::Groups(vec![
                    (Name::from(7), Fate::Left),
                    (Name::from(8), Fate::Succeeded),
                    (Name::from(9), Fate::Dissolved),
                ]),
                concat!(
                    r#","data":{"groups":[{"groupid":"7","outcome":"left"},"#,
                    r#"{"groupid":"8","outcome":"succeeded"},"#,
                    r#"{"groupid":"9","outcome":"dissolved"}]}"#
                ),
            ),
        ] {
            let reply = Reply::to_command(Ok(carried_out(value)), false);
            assert_eq!(reply.code(), 200);
            assert_eq!(reply.body, format!(r#"{{"ok":true,"code":200,"msg":"OK"{data}}}"#));
        }
    }

    #[test]
    fn a_success_says_what_the_command_caused_if_the_client_asks() {
        let reply = Reply::to_command(Ok(carried_out(Value::Seq(Seq(9)))), true);
        let expected = concat!(
            r#"{"ok":true,"code":200,"msg":"OK","data":{"seq":9},"caused":["#,
            r#"{"key":"000000000000000000000000000000ff","groupid":"a b","version":3,"seq":9},"#,
            r#"{"key":"00000000000000000000000000000100","groupid":"7","version":4}]}"#
        );
        assert_eq!(reply.body, expected);
    }

    #[test]
    fn a_command_without_an_answer_gets_the_code_that_says_what_is_certain() {
        let cases = [
            (Unanswered::NotDone("no leader"), 503, "no leader", Some("1")),
            (
                Unanswered::Unknown,
                504,
                "not known whether this is done: send it again with the same Idempotency-Key",
                None,
            ),
            (
                Unanswered::Busy { max: 8 },
                429,
                "at most 8 commands of one user may be under way",
                Some("1"),
            ),
            (Unanswered::KeyReused, 409, "this Idempotency-Key was used for another command", None),
            (
                Unanswered::KeyExpired,
                410,
                "too late to tell whether this was done: read the state",
                None,
            ),
        ];
        for (unanswered, code, reason, retry) in cases {
            let reply = Reply::to_command(Err(unanswered), true);
            let expected = json!({
                "ok": false, "code": code, "msg": format!("HTTP_{code}"),
                "data": { "reason": reason },
            });
            assert_eq!(reply.code(), code);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&reply.body).unwrap(), expected);
            let response = reply.into_response();
            let header = response.headers().get(RETRY_AFTER);
            assert_eq!(header.map(|value| value.to_str().unwrap()), retry, "{code}");
        }
        let ahead = Unanswered::KeyAhead { now: Timestamp(1234) };
        let reply = Reply::to_command(Err(ahead), false);
        let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((reply.code(), &body["data"]["now"]), (400, &json!(1234)));
        assert_eq!(
            body["data"]["reason"],
            "the time in this Idempotency-Key is ahead of the server's"
        );
    }

    #[test]
    fn a_refusal_as_too_fast_rounds_its_retry_time_up_to_seconds() {
        let refusal = Refusal::TooFast { retry_at: Timestamp(2_001) };
        let at = Timestamp(1_000);
        let reply = Reply::to_command(Ok(Answer { at, result: Err(refusal) }), true);
        let expected = concat!(
            r#"{"ok":false,"code":429,"msg":"GRPS_429","#,
            r#""data":{"retry_at":2001,"retry_after_ms":1001}}"#
        );
        assert_eq!(reply.body, expected);
        assert_eq!(reply.into_response().headers()[RETRY_AFTER], "2");
    }
}
