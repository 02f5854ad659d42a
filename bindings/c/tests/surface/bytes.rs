//! Bytes that are no value of the expected type. Nothing is changed, and nothing panics.

use disband::{Command, GroupId, Timestamp, UserId};
use disband_c::*;
use proptest::prelude::*;

use crate::call::*;

/// Valid commands with numbers as ids, one of each kind.
fn commands() -> Vec<Command<UserId, GroupId>> {
    let json = r#"[
        {"create":{"owner":"1","group":"8","options":{"keep_entries":300}}},
        {"join":{"user":"5","group":"7"}},
        {"leave":{"user":"2","group":"7","stint":2}},
        {"kick":{"by":"1","group":"7","user":"2"}},
        {"post":{"author":"1","group":"7","message":"hello"}},
        {"dissolve":{"owner":"1","group":"7","note":"bye","successor":"8"}},
        {"transfer":{"owner":"1","group":"7","user":"2"}},
        {"set_rank":{"by":"1","group":"7","user":"2","rank":"admin"}},
        {"set_options":{"by":"1","group":"7","options":{"admission":"closed"}}},
        {"ban":{"by":"1","group":"7","user":"2","until":9000}},
        {"unban":{"by":"1","group":"7","user":"2"}},
        {"leave_all":{"user":"1"}},
        {"add":{"by":"1","group":"7","user":"18446744073709551615"}},
        {"mute":{"by":"1","group":"7","user":"2","until":9000}},
        {"unmute":{"by":"1","group":"7","user":"2"}},
        {"edit":{"author":"1","group":"7","seq":1,"message":"hello"}},
        {"erase":{"by":"1","group":"7","seq":1}}
    ]"#;
    serde_json::from_str(json).unwrap()
}

fn encode(value: &impl serde::Serialize, format: disband_format) -> Vec<u8> {
    match format {
        JSON => serde_json::to_vec(value).unwrap(),
        _ => postcard::to_stdvec(value).unwrap(),
    }
}

type Calls = Vec<(&'static str, disband_status)>;

/// Passes the bytes to every function that takes some, on an engine with numbers, and frees results.
fn pass(
    engine: disband_engine,
    audience: disband_audience,
    group: disband_dissolved,
    format: disband_format,
    bytes: &[u8],
) -> Calls {
    fn ended<T: Written>(given: Given<T>) -> disband_status {
        given.map_or_else(|status| status, Written::free)
    }
    let slice = || disband_slice::from(bytes);
    vec![
        ("new", ended(given(|out| disband_engine_new(NUMBERS, format, slice(), out)))),
        ("load", ended(given(|out| disband_engine_load(NUMBERS, format, slice(), out)))),
        ("load text", ended(given(|out| disband_engine_load(TEXT, format, slice(), out)))),
        ("apply", ended(given(|out| disband_engine_apply(engine, format, slice(), 1, out)))),
        (
            "apply_all",
            ended(given(|out| disband_engine_apply_all(engine, format, slice(), 1, out))),
        ),
        ("preview", ended(given(|out| disband_engine_preview(engine, format, slice(), 1, out)))),
        ("charge", ended(given(|out| disband_engine_charge(engine, format, slice(), 1, out)))),
        ("read", ended(given(|out| disband_engine_read(engine, format, slice(), out)))),
        ("set_config", disband_engine_set_config(engine, format, slice())),
        ("contains", ended(given(|out| disband_audience_contains(audience, format, slice(), out)))),
        ("page", ended(given(|out| disband_audience_page(audience, format, slice(), 9, out)))),
        ("members", ended(given(|out| disband_dissolved_members(group, format, slice(), 9, out)))),
    ]
}

/// The status of one function.
fn of(calls: &Calls, name: &str) -> disband_status {
    calls.iter().find(|(one, _)| *one == name).unwrap().1
}

/// An engine, and an audience and a dissolved group that have numbers too.
struct Fixture {
    engine: disband_engine,
    audience: disband_audience,
    group: disband_dissolved,
}

impl Fixture {
    fn new() -> Given<Self> {
        let engine = group_of(3);
        let clone = given(|out| disband_engine_clone(engine, out))?;
        let left = apply(clone, r#"{"leave":{"user":"1","group":"7"}}"#, 2000)?;
        let audience = given(|out| disband_outcome_audience(left, 0, out))?;
        let group = given(|out| disband_outcome_dissolved(left, 0, out))?;
        done(left.free())?;
        done(clone.free())?;
        Ok(Fixture { engine, audience, group })
    }

    fn pass(&self, format: disband_format, bytes: &[u8]) -> Calls {
        pass(self.engine, self.audience, self.group, format, bytes)
    }

    fn free(self) {
        let Fixture { engine, audience, group } = self;
        assert_eq!([engine.free(), audience.free(), group.free()], [disband_status::Ok; 3]);
    }
}

#[test]
fn a_part_of_a_value_is_no_value() -> Given<()> {
    let fixture = Fixture::new()?;
    let config = disband::Config::default();
    let query = disband_dynamic::Query::<UserId, GroupId>::History {
        reader: UserId(1),
        group: GroupId(7),
        before: None,
        limit: 5,
        now: Timestamp(1),
    };
    for format in [JSON, POSTCARD] {
        let mut values: Vec<(&str, Vec<u8>)> = vec![
            ("apply_all", encode(&commands(), format)),
            ("set_config", encode(&config, format)),
            ("read", encode(&query, format)),
            ("load", saved(fixture.engine, format)),
            ("contains", encode(&UserId(300), format)),
        ];
        for command in commands() {
            for name in ["apply", "preview", "charge"] {
                values.push((name, encode(&command, format)));
            }
        }
        for (name, value) in values {
            let before = saved(fixture.engine, POSTCARD);
            for end in 0..value.len() {
                let calls = fixture.pass(format, &value[..end]);
                let status = of(&calls, name);
                assert_eq!(status, disband_status::BadFormat, "{name}: {end} bytes of {value:?}");
            }
            let mut longer = value.clone();
            longer.push(b'"');
            assert_eq!(of(&fixture.pass(format, &longer), name), disband_status::BadFormat);
            if format == JSON {
                // In JSON, no part of a value is a value of another type.
                assert!(saved(fixture.engine, POSTCARD) == before, "{name}");
            }
        }
    }
    fixture.free();
    Ok(())
}

#[test]
fn ids_of_the_wrong_type_or_out_of_range_are_no_ids() -> Given<()> {
    let fixture = Fixture::new()?;
    let before = saved(fixture.engine, POSTCARD);
    for id in ["18446744073709551616", "-1", "01", "+1", "1.0", " 1", "alice", ""] {
        let command = format!(r#"{{"join":{{"user":"{id}","group":"7"}}}}"#);
        assert_eq!(code_of(fixture.engine, &command, 1), Err(disband_status::BadFormat), "{id}");
        let calls = fixture.pass(JSON, format!(r#""{id}""#).as_bytes());
        for name in ["contains", "page", "members"] {
            assert_eq!(of(&calls, name), disband_status::BadFormat, "{name} {id}");
        }
    }
    // A number that is no string, a byte that is no UTF-8, and JSON that is nested too deeply.
    let deep = "[".repeat(100_000);
    for bytes in [&br#"{"join":{"user":5,"group":"7"}}"#[..], b"\"\xff\"", deep.as_bytes()] {
        assert_eq!(of(&fixture.pass(JSON, bytes), "apply"), disband_status::BadFormat);
    }
    assert!(saved(fixture.engine, POSTCARD) == before);
    fixture.free();
    Ok(())
}

#[test]
fn formats_and_types_of_ids_are_checked() -> Given<()> {
    let fixture = Fixture::new()?;
    for format in [0, 3, u32::MAX] {
        for (name, status) in fixture.pass(format, b"{}") {
            assert_eq!(status, disband_status::BadArgument, "{name}");
        }
        let save = given(|out| disband_engine_save(fixture.engine, format, out)).map(taken);
        assert_eq!(save, Err(disband_status::BadArgument));
        assert_eq!(last_error(), format!("there is no format {format}"));
    }
    for ids in [0, 3, u32::MAX] {
        let new = given(|out| disband_engine_new(ids, JSON, NOTHING.into(), out));
        assert_eq!(new, Err(disband_status::BadArgument));
        assert_eq!(last_error(), format!("there is no type of ids {ids}"));
    }
    fixture.free();
    Ok(())
}

#[test]
fn a_batch_of_a_million_is_carried_out() -> Given<()> {
    let engine = engine(NUMBERS);
    let create = Command::Create { owner: UserId(0), group: GroupId(7), options: None };
    let joins = (1..1_000_000).map(|user| Command::Join { user: UserId(user), group: GroupId(7) });
    let commands: Vec<Command<UserId, GroupId>> = [create].into_iter().chain(joins).collect();
    let bytes = encode(&commands, POSTCARD);
    let outcome =
        given(|out| disband_engine_apply_all(engine, POSTCARD, bytes[..].into(), 1, out))?;
    assert_eq!(given(|out| disband_outcome_signal_count(outcome, out))?, 999_999);
    assert!(read(engine, r#""stats""#)?.contains(r#""memberships":1000000"#));
    let last = given(|out| disband_outcome_audience(outcome, 999_998, out))?;
    assert_eq!(given(|out| disband_audience_len(last, out))?, 999_999);
    for status in [last.free(), outcome.free(), engine.free()] {
        done(status)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random bytes may be values by chance, but nothing panics and the engine stays valid.
    #[test]
    fn random_bytes_do_no_harm(
        inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20),
    ) {
        let fixture = Fixture::new().unwrap();
        for bytes in inputs {
            for format in [JSON, POSTCARD] {
                for (name, status) in fixture.pass(format, &bytes) {
                    let expected = [disband_status::Ok, disband_status::BadFormat, disband_status::Config];
                    prop_assert!(expected.contains(&status), "{name}: {status:?}");
                }
            }
        }
        prop_assert_eq!(disband_engine_check(fixture.engine), disband_status::Ok);
        fixture.free();
    }

    /// A snapshot with changed bytes is refused, or gives a valid engine.
    #[test]
    fn changed_snapshots_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let engine = group_of(20);
        prop_assert_eq!(code_of(engine, r#"{"post":{"author":"2","group":"7","message":"abc"}}"#, 5), Ok(200));
        for format in [JSON, POSTCARD] {
            let mut bytes = saved(engine, format);
            for (index, byte) in &changes {
                let place = index.index(bytes.len());
                bytes[place] = *byte;
            }
            match given(|out| disband_engine_load(NUMBERS, format, bytes[..].into(), out)) {
                Ok(loaded) => {
                    prop_assert_eq!(disband_engine_check(loaded), disband_status::Ok);
                    prop_assert_eq!(loaded.free(), disband_status::Ok);
                }
                Err(status) => prop_assert_eq!(status, disband_status::BadFormat),
            }
        }
        prop_assert_eq!(engine.free(), disband_status::Ok);
    }
}
