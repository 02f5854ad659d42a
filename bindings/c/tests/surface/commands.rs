//! Engines: commands, reads, configuration and snapshots.

use disband_c::*;

use crate::call::*;

const CREATE: &str = r#"{"create":{"owner":"1","group":"7"}}"#;
const JOIN: &str = r#"{"join":{"user":"2","group":"7"}}"#;

#[test]
fn commands_change_the_engine_and_refusals_do_not() -> Given<()> {
    let engine = engine(NUMBERS);
    assert_eq!(code_of(engine, JOIN, 1)?, 404);
    assert_eq!(code_of(engine, CREATE, 1)?, 200);
    assert_eq!(code_of(engine, CREATE, 1)?, 409);
    let joined = apply(engine, JOIN, 2)?;
    assert_eq!(
        encoded(joined)?,
        r#"{"done":{"reply":{"joined":2},"signals":[{"key":"00000000000000000000000000000001","group":"7","from":"2","actor":"2","version":2,"event":{"member_join":{"by":null}},"audience":1}]}}"#
    );
    assert_eq!(read(engine, r#"{"groups_of":{"user":"2"}}"#)?, r#"[{"group":"7","stint":2}]"#);
    done(joined.free())?;
    done(engine.free())
}

#[test]
fn ids_can_be_text() -> Given<()> {
    let engine = engine(TEXT);
    assert_eq!(given(|out| disband_engine_ids(engine, out))?, TEXT);
    assert_eq!(code_of(engine, r#"{"create":{"owner":"alice","group":"cats"}}"#, 1)?, 200);
    assert_eq!(read(engine, r#"{"owned_by":{"user":"alice"}}"#)?, r#"["cats"]"#);
    done(engine.free())?;

    let engine = crate::call::engine(NUMBERS);
    assert_eq!(given(|out| disband_engine_ids(engine, out))?, NUMBERS);
    assert_eq!(
        code_of(engine, r#"{"create":{"owner":"alice","group":"7"}}"#, 1),
        Err(disband_status::BadFormat)
    );
    assert!(last_error().contains("decimal"), "{}", last_error());
    done(engine.free())
}

#[test]
fn a_preview_has_the_same_outcome_and_changes_nothing() -> Given<()> {
    let engine = group_of(3);
    let before = saved(engine, POSTCARD);
    let leave = r#"{"leave":{"user":"1","group":"7"}}"#;
    let preview =
        given(|out| disband_engine_preview(engine, JSON, leave.as_bytes().into(), 5, out))?;
    assert!(saved(engine, POSTCARD) == before);
    let left = apply(engine, leave, 5)?;
    assert_eq!(encoded(preview)?, encoded(left)?);
    assert_eq!(given(|out| disband_outcome_dissolved_count(preview, out))?, 1);
    done(preview.free())?;
    done(left.free())?;
    done(engine.free())
}

#[test]
fn a_batch_is_all_or_nothing() -> Given<()> {
    let engine = engine(NUMBERS);
    let refused = batch(engine, &format!("[{CREATE},{JOIN},{JOIN}]"), 1)?;
    assert_eq!(
        encoded(refused)?,
        r#"{"refused":{"code":409,"text":"already a member","index":2,"refusal":"already_member"}}"#
    );
    assert_eq!(read(engine, r#"{"group":{"group":"7"}}"#)?, "null");
    done(refused.free())?;

    let joined = batch(engine, &format!("[{CREATE},{JOIN}]"), 1)?;
    assert!(encoded(joined)?.starts_with(r#"{"done":{"replies":[{"created":1},{"joined":2}],"#));
    assert_eq!(given(|out| disband_outcome_code(joined, out))?, 200);
    assert_eq!(given(|out| disband_outcome_signal_count(joined, out))?, 1);
    let wire = given(|out| disband_outcome_wire_reply(joined, out)).map(taken);
    assert_eq!(wire, Err(disband_status::BadArgument));
    assert_eq!(last_error(), "the outcome of a batch has no wire reply");
    done(joined.free())?;
    done(engine.free())
}

#[test]
fn a_charge_says_from_when_on_it_is_not_too_fast() -> Given<()> {
    let config = r#"{"quotas":{"post":{"limited":{"cells":1,"per_ms":1000,"burst":2}}}}"#;
    let engine = given(|out| disband_engine_new(NUMBERS, JSON, config.as_bytes().into(), out))?;
    assert_eq!(code_of(engine, CREATE, 0)?, 200);
    let post = r#"{"post":{"author":"1","group":"7","message":"a"}}"#;
    let charge =
        || given(|out| disband_engine_charge(engine, JSON, post.as_bytes().into(), 0, out));
    assert_eq!((charge()?, charge()?, charge()?), (0, 0, 1000));
    assert_eq!(code_of(engine, post, 999)?, 429);
    assert_eq!(code_of(engine, post, 1000)?, 200);
    done(engine.free())
}

#[test]
fn every_query_has_an_answer() -> Given<()> {
    let engine = group_of(3);
    for command in [
        r#"{"set_rank":{"by":"1","group":"7","user":"2","rank":"admin"}}"#,
        r#"{"post":{"author":"1","group":"7","message":"hello"}}"#,
        r#"{"post":{"author":"1","group":"7","message":"world"}}"#,
        r#"{"ban":{"by":"1","group":"7","user":"9"}}"#,
        r#"{"mute":{"by":"1","group":"7","user":"3","until":5000}}"#,
        r#"{"join":{"user":"4","group":"7"}}"#,
        r#"{"leave":{"user":"4","group":"7"}}"#,
    ] {
        assert_eq!(code_of(engine, command, 2000)?, 200, "{command}");
    }
    let options = r#"{"owner_exit":"dissolve","history":"from_join","keep_entries":null,"keep_ms":null,"admission":"open","add":"admin","post":"member","announce":"everyone"}"#;
    let group = format!(
        r#"{{"owner":"1","options":{options},"version":7,"members":3,"admins":1,"entries":2,"next_seq":2}}"#
    );
    let answers = [
        (r#"{"group":{"group":"7"}}"#, group.as_str()),
        (
            r#"{"standing":{"group":"7","user":"3","now":3000}}"#,
            r#"{"stint":3,"rank":"member","ban":null,"mute":{"by":"1","until":5000}}"#,
        ),
        (
            r#"{"members":{"group":"7","after":"1","limit":1}}"#,
            r#"[{"user":"2","stint":2,"rank":"admin"}]"#,
        ),
        (r#"{"members":{"group":"8","limit":1}}"#, "null"),
        (r#"{"admins":{"group":"7"}}"#, r#"[{"user":"2","stint":2,"rank":"admin"}]"#),
        (r#"{"bans":{"group":"7","now":3000}}"#, r#"[{"user":"9","by":"1","until":null}]"#),
        (r#"{"mutes":{"group":"7","now":3000}}"#, r#"[{"user":"3","by":"1","until":5000}]"#),
        (r#"{"mutes":{"group":"7","now":5000}}"#, "[]"),
        (r#"{"departures":{"group":"7"}}"#, r#"[{"user":"4","at":2000,"kicked_by":null}]"#),
        (
            r#"{"history":{"reader":"1","group":"7","limit":1,"now":3000}}"#,
            r#"{"done":[{"seq":1,"at":2000,"author":"1","message":"world","edited":null,"erased_by":null}]}"#,
        ),
        (
            r#"{"history":{"reader":"1","group":"7","before":1,"limit":9,"now":3000}}"#,
            r#"{"done":[{"seq":0,"at":2000,"author":"1","message":"hello","edited":null,"erased_by":null}]}"#,
        ),
        (
            r#"{"history":{"reader":"5","group":"7","limit":1,"now":3000}}"#,
            r#"{"refused":{"code":400,"text":"not a member: no record of a membership","index":null,"refusal":{"not_member":"no_record"}}}"#,
        ),
        (r#"{"groups":{"limit":5}}"#, r#"["7"]"#),
        (r#"{"groups":{"after":"7","limit":5}}"#, "[]"),
        (r#"{"groups_of":{"user":"3"}}"#, r#"[{"group":"7","stint":3}]"#),
        (r#"{"owned_by":{"user":"1"}}"#, r#"["7"]"#),
        (r#""config""#, &unlimited()),
        (
            r#""stats""#,
            r#"{"groups":1,"memberships":3,"entries":2,"message_bytes":10,"tombstones":0,"cells":0,"unswept":0}"#,
        ),
    ];
    for (query, answer) in answers {
        assert_eq!(read(engine, query)?, answer, "{query}");
    }
    done(engine.free())
}

#[test]
fn a_configuration_can_be_replaced_but_not_its_instance() -> Given<()> {
    let engine = engine(NUMBERS);
    let set =
        |config: &str| done(disband_engine_set_config(engine, JSON, config.as_bytes().into()));
    set(r#"{"departures":3}"#)?;
    assert!(read(engine, r#""config""#)?.contains(r#""departures":3"#));
    assert_eq!(set(r#"{"instance":5}"#), Err(disband_status::Config));
    assert_eq!(
        last_error(),
        "the instance number cannot change: it is 0, and the new configuration has 5"
    );
    for bad in ["", r#"{"departures":300}"#, r#"{"unknown":1}"#] {
        assert_eq!(set(bad), Err(disband_status::BadFormat), "{bad}");
    }
    assert!(read(engine, r#""config""#)?.contains(r#""departures":3"#));
    done(engine.free())
}

#[test]
fn a_sweep_removes_what_dissolved_groups_left() -> Given<()> {
    let engine = group_of(300);
    assert_eq!(code_of(engine, r#"{"dissolve":{"owner":"1","group":"7"}}"#, 2000)?, 200);
    let unswept = || read(engine, r#""stats""#).map(|stats| !stats.contains(r#""unswept":0"#));
    assert!(unswept()?);
    for _ in 0..10 {
        done(disband_engine_sweep(engine, 100))?;
    }
    assert!(!unswept()?);
    done(disband_engine_check(engine))?;
    done(engine.free())
}

#[test]
fn snapshots_give_an_equal_engine_in_both_formats() -> Given<()> {
    for ids in [NUMBERS, TEXT] {
        let engine = engine(ids);
        for command in [CREATE, JOIN, r#"{"post":{"author":"2","group":"7","message":"é\u0000"}}"#]
        {
            assert_eq!(code_of(engine, command, 1)?, 200);
        }
        for format in [JSON, POSTCARD] {
            let bytes = saved(engine, format);
            let load = |ids, bytes: &[u8]| {
                given(|out| disband_engine_load(ids, format, bytes.into(), out))
            };
            let loaded = load(ids, &bytes)?;
            assert!(equal(engine, loaded)?);
            done(disband_engine_check(loaded))?;
            assert!(saved(loaded, format) == bytes);

            assert_eq!(code_of(loaded, r#"{"leave":{"user":"2","group":"7"}}"#, 2)?, 200);
            assert!(!equal(engine, loaded)?);
            done(loaded.free())?;

            // With ids of the other type. Numbers in JSON are also text.
            let other = load(NUMBERS + TEXT - ids, &bytes);
            match (ids, format) {
                (NUMBERS, JSON) => {
                    assert!(!equal(engine, other?)?);
                    done(other?.free())?;
                }
                (TEXT, JSON) => done(other?.free())?,
                _ => assert_eq!(other, Err(disband_status::BadFormat)),
            }
        }
        done(engine.free())?;
    }
    Ok(())
}

#[test]
fn a_clone_is_a_snapshot() -> Given<()> {
    let engine = group_of(3);
    let clone = given(|out| disband_engine_clone(engine, out))?;
    assert!(equal(engine, clone)? && equal(engine, engine)?);
    assert_eq!(code_of(engine, r#"{"leave":{"user":"1","group":"7"}}"#, 2000)?, 200);
    assert!(!equal(engine, clone)?);
    assert_eq!(read(engine, r#"{"groups":{"limit":5}}"#)?, "[]");
    done(engine.free())?;
    assert_eq!(read(clone, r#"{"groups":{"limit":5}}"#)?, r#"["7"]"#);
    assert_eq!(code_of(clone, r#"{"leave":{"user":"3","group":"7"}}"#, 2000)?, 200);
    done(clone.free())
}

#[test]
fn names_and_version_are_strings() {
    assert_eq!(string(disband_version()), env!("CARGO_PKG_VERSION"));
    let name = |status| string(disband_status_name(status));
    assert_eq!(name(disband_status::Ok as u32), "DISBAND_STATUS_OK");
    assert_eq!(name(disband_status::Panic as u32), "DISBAND_STATUS_PANIC");
    assert_eq!((name(9), name(u32::MAX)), ("unknown status", "unknown status"));
}
