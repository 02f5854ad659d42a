//! The forms of commands, outcomes and reads, and the agreement with the typed engine.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use disband::{Command, Config, Engine, GroupId, Page, Quotas, Seq, Timestamp, UserId, wire};
use disband_dynamic::Format::{Json, Postcard};
use disband_dynamic::{AnyEngine, AnyOutcome, Format, Ids, Query, Users};
use serde::Serialize;
use serde::de::DeserializeOwned;

type NumberCommand = Command<UserId, GroupId>;
type TextCommand = Command<String, String>;

const NOW: Timestamp = Timestamp(1_000);

fn engine(ids: Ids) -> AnyEngine {
    AnyEngine::new(ids, Config { quotas: Quotas::UNLIMITED, ..Config::default() })
}

/// Carries out a command in JSON that is not refused.
fn done(engine: &mut AnyEngine, json: &str) -> AnyOutcome {
    let outcome = engine.apply(json.as_bytes(), Json, NOW).unwrap();
    assert_eq!(outcome.code(), 200, "{json}");
    outcome
}

/// JSON as postcard of the same value.
fn postcard_of<T: DeserializeOwned + Serialize>(json: &str) -> Vec<u8> {
    Postcard.encode(&Json.decode::<T>(json.as_bytes()).unwrap()).unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// What comes out for each input line of `session.txt`. With `BLESS=1` the file is written anew.
#[test]
fn the_forms_of_commands_outcomes_and_reads_are_those_of_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/session.txt");
    let golden = fs::read_to_string(&path).unwrap();
    let mut json = engine(Ids::Numbers);
    let mut postcard = json.clone();
    let mut written = String::new();
    for line in golden.lines().filter(|line| line.starts_with(['>', '#'])) {
        writeln!(written, "{line}").unwrap();
        let Some(input) = line.strip_prefix("> ") else { continue };
        let (as_json, as_postcard) = if input.starts_with('[') {
            let bytes = postcard_of::<Vec<NumberCommand>>(input);
            (
                Json.encode(&json.apply_all(input.as_bytes(), Json, NOW).unwrap()),
                Postcard.encode(&postcard.apply_all(&bytes, Postcard, NOW).unwrap()),
            )
        } else if Json.decode::<NumberCommand>(input.as_bytes()).is_ok() {
            let bytes = postcard_of::<NumberCommand>(input);
            (
                Json.encode(&json.apply(input.as_bytes(), Json, NOW).unwrap()),
                Postcard.encode(&postcard.apply(&bytes, Postcard, NOW).unwrap()),
            )
        } else {
            let bytes = postcard_of::<Query<UserId, GroupId>>(input);
            (
                Json.encode(&json.read(input.as_bytes(), Json).unwrap()),
                Postcard.encode(&postcard.read(&bytes, Postcard).unwrap()),
            )
        };
        let as_json = text(as_json.unwrap());
        writeln!(written, "{as_json}\n{}", hexadecimal(&as_postcard.unwrap())).unwrap();
    }
    assert_eq!(json, postcard);
    json.check().unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &written).unwrap();
    }
    assert_eq!(written, fs::read_to_string(&path).unwrap());
}

/// Runs the commands of a history of `disband-replay` in both formats and in the typed engine.
#[test]
fn a_golden_history_gives_the_same_results_as_the_typed_engine() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/replay/golden");
    let mut count = 0;
    for name in ["irc.jsonl", "moderation.jsonl"] {
        let mut typed = Engine::<UserId, GroupId>::default();
        let mut numbers = AnyEngine::new(Ids::Numbers, Config::default());
        let mut texts = AnyEngine::new(Ids::Text, Config::default());
        for line in fs::read_to_string(golden.join(name)).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let at = Timestamp(line["at"].as_u64().unwrap());
            if let Some(config) = line.get("config") {
                let config: Config = serde_json::from_value(config.clone()).unwrap();
                let set = typed.set_config(config).map(drop);
                assert_eq!(numbers.set_config(config).map(drop), set);
                assert_eq!(texts.set_config(config).map(drop), set);
                continue;
            }
            let json = line["command"].to_string();
            let expected = typed.apply(Json.decode(json.as_bytes()).unwrap(), at);
            let postcard = postcard_of::<NumberCommand>(&json);
            let preview = numbers.preview(json.as_bytes(), Json, at).unwrap();
            let outcome = numbers.apply(&postcard, Postcard, at).unwrap();
            assert_eq!(preview, outcome);
            assert_eq!(outcome.code(), expected.as_ref().map_or_else(|e| e.code(), |_| 200));
            let reply = serde_json::to_string(&wire::reply(&expected, at)).unwrap();
            assert_eq!(outcome.wire_reply(), Some(reply.clone()));
            // Text ids have the same forms in JSON.
            let in_text = texts.apply(json.as_bytes(), Json, at).unwrap();
            assert_eq!(in_text.wire_reply(), Some(reply));
            let signals = expected.map_or_else(|_| Vec::new(), |outcome| outcome.signals);
            assert_eq!((outcome.signals(), in_text.signals()), (signals.len(), signals.len()));
            for (index, signal) in signals.iter().enumerate() {
                let frame = serde_json::to_string(&wire::Frame::from(signal)).unwrap();
                assert_eq!(outcome.wire_frame(index, false).as_ref(), Some(&frame));
                assert_eq!(in_text.wire_frame(index, false), Some(frame));
                let versioned = serde_json::to_string(&wire::VersionedFrame::from(signal)).unwrap();
                assert_eq!(outcome.wire_frame(index, true), Some(versioned));
                let audience = outcome.audience(index).unwrap();
                let all: Vec<_> = signal.audience.iter().collect();
                assert_eq!(audience.page(None, u64::MAX, Json).unwrap(), Users::Numbers(all));
                assert_eq!(audience.len(), signal.audience.len());
            }
            count += 1;
        }
        for format in [Json, Postcard] {
            let snapshot = format.encode(&typed).unwrap();
            assert_eq!(format.encode(&numbers).unwrap(), snapshot);
            assert_eq!(AnyEngine::load(Ids::Numbers, &snapshot, format).unwrap(), numbers);
            let of_texts = format.encode(&texts).unwrap();
            assert_eq!(AnyEngine::load(Ids::Text, &of_texts, format).unwrap(), texts);
        }
        assert_eq!((numbers.stats(), numbers.config()), (typed.stats(), typed.config()));
    }
    assert!(count > 300, "{count}");
}

#[test]
fn audiences_and_dissolved_groups_are_walked_in_pages() {
    let mut engine = engine(Ids::Text);
    done(&mut engine, r#"{"create":{"owner":"u00","group":"g"}}"#);
    for user in 1..20 {
        done(&mut engine, &format!(r#"{{"join":{{"user":"u{user:02}","group":"g"}}}}"#));
    }
    for message in 0..5 {
        let post = format!(r#"{{"post":{{"author":"u00","group":"g","message":"{message}"}}}}"#);
        done(&mut engine, &post);
    }
    let left = done(&mut engine, r#"{"leave":{"user":"u00","group":"g"}}"#);

    let audience = left.audience(1).unwrap();
    assert!(left.audience(2).is_none());
    assert_eq!((audience.len(), audience.is_empty()), (19, false));
    let page = |after: Option<&[u8]>| audience.page(after, 8, Json).unwrap();
    let encoded = |after| text(Json.encode(&page(after)).unwrap());
    assert!(encoded(None).starts_with(r#"["u01","u02""#));
    assert_eq!(encoded(Some(br#""u16""#)), r#"["u17","u18","u19"]"#);
    assert!(audience.contains(br#""u19""#, Json).unwrap());
    assert!(!audience.contains(br#""u00""#, Json).unwrap());
    assert_eq!(audience.numbers_after(None, &mut [0; 4]), None);

    let [dissolved] = &left.dissolved()[..] else { panic!() };
    assert_eq!((dissolved.summary().members, dissolved.summary().entries), (20, 5));
    let group = text(dissolved.group(Json).unwrap());
    assert!(group.starts_with(r#"{"owner":"u00","options":{"#), "{group}");
    let members = text(dissolved.members(Some(br#""u18""#), 9, Json).unwrap());
    assert_eq!(members, r#"[{"user":"u19","stint":20,"rank":"member"}]"#);
    let page = dissolved.history(Page::before(Seq(1), 9), Json).unwrap();
    let first =
        r#"[{"seq":0,"at":1000,"author":"u00","message":"0","edited":null,"erased_by":null}]"#;
    assert_eq!(text(page), first);
}

#[test]
fn numbers_are_written_into_a_slice() {
    let mut engine = engine(Ids::Numbers);
    done(&mut engine, r#"{"create":{"owner":"1","group":"7"}}"#);
    for user in 2..=6 {
        done(&mut engine, &format!(r#"{{"join":{{"user":"{user}","group":"7"}}}}"#));
    }
    let post = done(&mut engine, r#"{"post":{"author":"4","group":"7","message":"hello"}}"#);
    let audience = post.audience(0).unwrap();
    let mut ids = [0; 3];
    assert_eq!(audience.numbers_after(None, &mut ids), Some(3));
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(audience.numbers_after(Some(3), &mut ids), Some(2));
    assert_eq!(ids, [5, 6, 3]);
    assert_eq!(audience.numbers_after(Some(6), &mut ids), Some(0));
}

#[test]
fn every_dissolved_group_of_an_outcome_is_there_in_order() {
    let mut engine = engine(Ids::Numbers);
    for group in 1..=4 {
        done(&mut engine, &format!(r#"{{"create":{{"owner":"1","group":"{group}"}}}}"#));
        for user in 0..group {
            done(
                &mut engine,
                &format!(r#"{{"join":{{"user":"{}","group":"{group}"}}}}"#, 9 + user),
            );
        }
    }
    let members = |outcome: &AnyOutcome| {
        let groups = outcome.dissolved();
        groups.iter().map(|group| group.summary().members).collect::<Vec<_>>()
    };
    let mut batched = engine.clone();
    let all = br#"[{"dissolve":{"owner":"1","group":"3"}},{"leave_all":{"user":"9"}},{"leave_all":{"user":"1"}}]"#;
    let batch = batched.apply_all(all, Json, NOW).unwrap();
    assert_eq!(members(&batch), [4, 1, 2, 4]);
    assert_eq!(batch.wire_reply(), None);

    assert_eq!(members(&done(&mut engine, r#"{"leave_all":{"user":"1"}}"#)), [2, 3, 4, 5]);
}

#[test]
fn a_batch_that_is_refused_says_where_and_changes_nothing() {
    let mut engine = engine(Ids::Numbers);
    let before = engine.clone();
    let batch = br#"[{"create":{"owner":"1","group":"7"}},{"join":{"user":"2","group":"8"}}]"#;
    let refused = engine.apply_all(batch, Json, NOW).unwrap();
    assert_eq!((refused.code(), refused.signals()), (404, 0));
    assert!(refused.dissolved().is_empty());
    let form =
        r#"{"refused":{"code":404,"text":"no such group","index":1,"refusal":"no_such_group"}}"#;
    assert_eq!(text(Json.encode(&refused).unwrap()), form);
    assert_eq!(engine, before);
}

#[test]
fn a_charge_says_when_to_try_again() {
    let mut engine = AnyEngine::new(Ids::Numbers, Config::default());
    let leave = br#"{"leave":{"user":"1","group":"7"}}"#;
    for _ in 0..3 {
        assert_eq!(engine.charge(leave, Json, NOW).unwrap(), None);
    }
    assert_eq!(engine.charge(leave, Json, NOW).unwrap(), Some(Timestamp(3_000)));
    assert_eq!(engine.apply(leave, Json, NOW).unwrap().code(), 429);
}

/// Each prefix of valid bytes, and the bytes with one more, is an error that changes nothing.
#[test]
fn bytes_that_do_not_decode_are_errors_and_change_nothing() {
    let mut numbers = engine(Ids::Numbers);
    let mut texts = engine(Ids::Text);
    let json = r#"{"create":{"owner":"1","group":"7"}}"#;
    let postcard = postcard_of::<NumberCommand>(json);
    let of_text = postcard_of::<TextCommand>(json);
    let (before, before_text) = (numbers.clone(), texts.clone());
    let mut refused = |bytes: &[u8], format: Format| {
        assert!(numbers.apply(bytes, format, NOW).is_err());
        assert!(numbers.apply_all(bytes, format, NOW).is_err());
        assert!(numbers.charge(bytes, format, NOW).is_err());
        assert!(numbers.preview(bytes, format, NOW).is_err());
        assert_eq!(numbers, before);
    };
    for (bytes, format) in [(json.as_bytes(), Json), (&postcard, Postcard)] {
        for end in 0..bytes.len() {
            // An empty postcard list is one byte, 0.
            if bytes[..end] != [0] {
                refused(&bytes[..end], format);
            }
        }
        refused(&[bytes, b"1"].concat(), format);
    }
    for end in 0..of_text.len() {
        assert!(texts.apply(&of_text[..end], Postcard, NOW).is_err());
    }
    assert_eq!(texts, before_text);
    for id in ["01", "-1", "18446744073709551616", "alice", ""] {
        let json = format!(r#"{{"create":{{"owner":"{id}","group":"7"}}}}"#);
        assert!(numbers.apply(json.as_bytes(), Json, NOW).is_err(), "{id}");
    }
    assert!(numbers.read(br#"{"group":{"group":"x"}}"#, Json).is_err());
    assert!(numbers.read(br#"{"group":{"group":"1","user":"2"}}"#, Json).is_err());
}

#[test]
fn a_snapshot_of_another_type_of_ids_is_an_error() {
    let mut texts = engine(Ids::Text);
    done(&mut texts, r#"{"create":{"owner":"alice","group":"rust"}}"#);
    let mut numbers = engine(Ids::Numbers);
    done(&mut numbers, r#"{"create":{"owner":"1","group":"7"}}"#);
    for format in [Json, Postcard] {
        let of_texts = format.encode(&texts).unwrap();
        assert!(AnyEngine::load(Ids::Numbers, &of_texts, format).is_err());
        assert_eq!(AnyEngine::load(Ids::Text, &of_texts, format).unwrap(), texts);
        let of_numbers = format.encode(&numbers).unwrap();
        for end in 0..of_numbers.len() {
            assert!(AnyEngine::load(Ids::Numbers, &of_numbers[..end], format).is_err());
        }
    }
    let of_numbers = Postcard.encode(&numbers).unwrap();
    assert!(AnyEngine::load(Ids::Text, &of_numbers, Postcard).is_err());
    // In JSON both are strings, so numbers are also text.
    let of_numbers = Json.encode(&numbers).unwrap();
    assert!(AnyEngine::load(Ids::Text, &of_numbers, Json).is_ok());
}
