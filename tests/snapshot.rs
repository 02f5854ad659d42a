//! Snapshots are serialised engines. Both formats stay readable, and errors say what is wrong.

use disband::{
    Admission, Announce, Config, Engine, Farewell, GroupId, GroupOptions, OwnerExit, Page, Rank,
    Seq, Snapshot, SnapshotError, SnapshotList, UserId, Violation,
};
use serde_json::{Value, json};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, unlimited};

/// Snapshots of the first format, which an older engine wrote. Today's engine reads this format but
/// does not write it.
const JSON_1: &str = include_str!("golden/snapshot-1.json");
const POSTCARD_1: &[u8] = include_bytes!("golden/snapshot-1.postcard");

const JSON: &str = include_str!("golden/snapshot-2.json");
const POSTCARD: &[u8] = include_bytes!("golden/snapshot-2.postcard");

/// The engine of the golden files of the first format. It has groups, admins, bans, departures, log
/// entries, a tombstone and rate cells.
fn first_engine() -> Engine {
    let mut engine: Engine =
        Engine::new(Config { instance: 5, departures: 2, ..Config::default() });
    let keep = GroupOptions {
        owner_exit: OwnerExit::Succeed,
        keep_entries: Some(2),
        ..GroupOptions::default()
    };
    engine.create_with(ALICE, GROUP, keep, at(1_000)).unwrap().ignore_signals();
    for user in [BOB, CAROL, UserId(4), UserId(5)] {
        engine.join(user, GROUP, at(1_001)).unwrap().ignore_signals();
    }
    engine.set_rank(ALICE, GROUP, BOB, Rank::Admin, at(1_002)).unwrap().ignore_signals();
    engine.ban(BOB, GROUP, UserId(5), Some(at(9_000)), at(1_003)).unwrap().ignore_signals();
    engine.ban(BOB, GROUP, UserId(6), None, at(1_003)).unwrap().ignore_signals();
    engine.leave(UserId(4), GROUP, at(1_004)).unwrap().ignore_signals();
    for text in ["one", "two", "three"] {
        engine.post(CAROL, GROUP, text, at(1_005)).unwrap().ignore_signals();
    }
    engine.create(CAROL, GroupId(8), at(1_006)).unwrap().ignore_signals();
    engine.create(CAROL, GroupId(9), at(1_006)).unwrap().ignore_signals();
    engine.leave(CAROL, GroupId(8), at(1_007)).unwrap().ignore_signals();
    engine
}

/// The engine of the golden files of the second format. It also has mutes, edited and erased
/// entries, a farewell and a group with many options set.
fn engine() -> Engine {
    let mut engine = first_engine();
    let (dave, erin) = (UserId(14), UserId(15));
    let options = GroupOptions {
        owner_exit: OwnerExit::Succeed,
        keep_entries: Some(5),
        admission: Admission::Closed,
        add: Rank::Member,
        announce: Announce::Staff,
        ..GroupOptions::default()
    };
    engine.set_options(ALICE, GROUP, options, at(1_008)).unwrap().ignore_signals();
    engine.add(CAROL, GROUP, dave, at(1_008)).unwrap().ignore_signals();
    engine.mute(BOB, GROUP, dave, Some(at(9_000)), at(1_009)).unwrap().ignore_signals();
    engine.mute(ALICE, GROUP, erin, None, at(1_009)).unwrap().ignore_signals();
    engine.edit(CAROL, GROUP, Seq(2), "3", at(1_010)).unwrap().ignore_signals();
    engine.post(CAROL, GROUP, "four", at(1_010)).unwrap().ignore_signals();
    engine.erase(BOB, GROUP, Seq(3), at(1_011)).unwrap().ignore_signals();
    engine.create(dave, GroupId(10), at(1_012)).unwrap().ignore_signals();
    let farewell = Farewell { note: Some("moved".into()), successor: Some(GROUP) };
    engine.dissolve(dave, GroupId(10), farewell, at(1_013)).unwrap().ignore_signals();
    engine
}

#[test]
fn the_format_does_not_change() {
    let engine = engine();
    assert_eq!(serde_json::to_string(&engine).unwrap(), JSON.trim_end());
    assert_eq!(postcard::to_stdvec(&engine).unwrap(), POSTCARD);
    assert_eq!(serde_json::from_str::<Engine>(JSON).unwrap(), engine);
    assert_eq!(postcard::from_bytes::<Engine>(POSTCARD).unwrap(), engine);
}

#[test]
fn the_first_format_stays_readable() {
    let engine = first_engine();
    // A `Value` has the fields in another order than the file.
    let reordered: Value = serde_json::from_str(JSON_1).unwrap();
    for read in [
        serde_json::from_str(JSON_1).unwrap(),
        serde_json::from_value::<Engine>(reordered).unwrap(),
        postcard::from_bytes::<Engine>(POSTCARD_1).unwrap(),
    ] {
        assert_eq!(read, engine);
        let (ours, theirs) = (read.stats(), engine.stats());
        assert_eq!((ours.memberships, ours.entries), (theirs.memberships, theirs.entries));
        let page = |engine: &Engine| {
            let history = engine.history(&CAROL, &GROUP, Page::newest(9), at(2_000)).unwrap();
            history.map(|(seq, entry)| (seq.0, entry.message.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(page(&read), [(2, "three".into()), (1, "two".into())]);
        assert_eq!(postcard::to_stdvec(&read).unwrap(), postcard::to_stdvec(&engine).unwrap());
    }
    let mut value: Value = serde_json::from_str(JSON_1).unwrap();
    value["cells"].as_array_mut().unwrap().reverse();
    let error = serde_json::from_value::<Engine>(value.clone()).unwrap_err().to_string();
    assert!(error.starts_with("the rate cells are not in strictly ascending order"), "{error}");
    // With the first format the configuration could not change. So no group may have more
    // departures (memberships that ended) than configured.
    value["cells"].as_array_mut().unwrap().reverse();
    value["config"]["departures"] = json!(1);
    let error = serde_json::from_value::<Engine>(value).unwrap_err().to_string();
    assert!(error.starts_with("GroupId(7) remembers too many departures"), "{error}");
}

#[test]
fn a_truncated_snapshot_of_the_first_format_is_rejected() {
    for end in 0..POSTCARD_1.len() {
        assert!(postcard::from_bytes::<Engine>(&POSTCARD_1[..end]).is_err(), "{end} bytes");
    }
}

/// The error of reading the golden snapshot after a change to it.
#[track_caller]
fn error_after(change: impl FnOnce(&mut Value)) -> SnapshotError<UserId, GroupId> {
    let mut value: Value = serde_json::from_str(JSON).unwrap();
    change(&mut value);
    let snapshot: Snapshot<UserId, GroupId> = serde_json::from_value(value.clone()).unwrap();
    let error = Engine::try_from(snapshot).unwrap_err();
    // Deserialising an `Engine` directly gives the same error as text.
    let text = serde_json::from_value::<Engine>(value).unwrap_err().to_string();
    assert!(text.starts_with(&error.to_string()), "{text}");
    error
}

#[test]
fn an_invalid_snapshot_is_rejected_with_the_reason() {
    let group = GROUP;
    assert_eq!(
        error_after(|v| v["groups"][0][1]["owner"] = json!("77")),
        SnapshotError::Violation(Violation::OwnerNotMember { group })
    );
    assert_eq!(
        error_after(|v| v["groups"][0][1]["members"].as_array_mut().unwrap().swap(0, 1)),
        SnapshotError::Unsorted(SnapshotList::Members)
    );
    assert_eq!(
        error_after(|v| v["groups"].as_array_mut().unwrap().reverse()),
        SnapshotError::Unsorted(SnapshotList::Groups)
    );
    assert_eq!(
        error_after(|v| {
            let twice = v["tombstones"][0].clone();
            v["tombstones"].as_array_mut().unwrap().push(twice);
        }),
        SnapshotError::Unsorted(SnapshotList::Tombstones)
    );
    assert_eq!(
        error_after(|v| v["cells"].as_array_mut().unwrap().reverse()),
        SnapshotError::Unsorted(SnapshotList::RateCells)
    );
    assert_eq!(
        error_after(|v| v["config"]["quotas"]["join"] = json!("unlimited")),
        SnapshotError::Unlimited
    );
    assert_eq!(
        error_after(|v| v["next_stint"] = json!(3)),
        SnapshotError::Violation(Violation::Stint { group, user: CAROL })
    );
    assert_eq!(
        error_after(|v| v["groups"][0][1]["members"][1][1] = json!(1)),
        SnapshotError::Violation(Violation::Admins { group })
    );
    assert_eq!(
        error_after(|v| v["groups"][0][1]["members"][2][1] = json!(1)),
        SnapshotError::Violation(Violation::Stint { group, user: CAROL })
    );
    assert_eq!(
        error_after(|v| v["groups"][0][1]["bans"][0][0] = json!("3")),
        SnapshotError::Violation(Violation::Bans { group })
    );
    assert_eq!(
        error_after(|v| v["groups"][0][1]["mutes"].as_array_mut().unwrap().reverse()),
        SnapshotError::Unsorted(SnapshotList::Mutes)
    );
    assert_eq!(
        error_after(|v| {
            let departures = v["groups"][0][1]["departures"].as_array_mut().unwrap();
            departures.push(departures[0].clone());
        }),
        SnapshotError::Violation(Violation::Departures { group })
    );
    for change in [json!({"erased": "2"}), json!({"edited": 1})] {
        assert_eq!(
            error_after(|v| v["groups"][0][1]["entries"][0]["change"] = change),
            SnapshotError::Violation(Violation::Log { group }),
            "an erased entry with a text, or an edit before its entry"
        );
    }
    assert_eq!(
        error_after(|v| v["groups"][0][1]["entries"][0]["at"] = json!(1_006)),
        SnapshotError::Violation(Violation::Log { group })
    );
    assert_eq!(
        error_after(|v| v["tombstones"][0][0] = json!("7")),
        SnapshotError::Violation(Violation::TombstoneOfGroup { group })
    );
    for counter in ["next_stint", "next_key"] {
        assert_eq!(error_after(|v| v[counter] = json!(u64::MAX)), SnapshotError::Counter);
    }
    assert_eq!(
        error_after(|v| v["groups"][0][1]["version"] = json!((1_u64 << 63) + 1)),
        SnapshotError::Counter
    );
    assert_eq!(
        error_after(|v| v["groups"][0][1]["first"] = json!(u64::MAX)),
        SnapshotError::Counter
    );
}

#[test]
fn an_unknown_format_and_a_misspelt_field_are_errors() {
    let read = |text: String| serde_json::from_str::<Engine>(&text).unwrap_err().to_string();
    let other = read(JSON.replacen(r#""format":2"#, r#""format":3"#, 1));
    assert!(
        other.starts_with("snapshot format 3 is unknown: formats 1 and 2 can be read"),
        "{other}"
    );
    let misspelt = read(JSON.replacen(r#""next_key""#, r#""next_keys""#, 1));
    assert!(misspelt.starts_with("unknown field `next_keys`"), "{misspelt}");
    let mut bytes = POSTCARD.to_vec();
    bytes[0] = 9;
    assert!(postcard::from_bytes::<Engine>(&bytes).is_err());
}

#[test]
fn a_truncated_snapshot_is_rejected_and_a_flipped_bit_gives_an_error_or_a_valid_engine() {
    for end in 0..POSTCARD.len() {
        assert!(postcard::from_bytes::<Engine>(&POSTCARD[..end]).is_err(), "{end} bytes");
    }
    for at in 0..POSTCARD.len() {
        for bit in 0..8 {
            let mut bytes = POSTCARD.to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(engine) = postcard::from_bytes::<Engine>(&bytes) {
                assert_eq!(engine.check(), Ok(()));
            }
        }
    }
}

#[test]
fn a_huge_length_in_a_snapshot_does_not_drive_allocation() {
    let empty = Engine::<UserId, GroupId>::new(unlimited());
    let mut bytes = postcard::to_stdvec(&empty).unwrap();
    // The snapshot ends with three empty lists: groups, tombstones, cells. They are replaced by a
    // list of groups with a length of 2^60.
    bytes.truncate(bytes.len() - 3);
    bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
    let counted = allocation_counter::measure(|| {
        assert!(postcard::from_bytes::<Engine>(&bytes).is_err());
    });
    assert!(counted.bytes_max < 2 << 20, "{} bytes allocated at once", counted.bytes_max);
}

/// A stint is one unbroken membership of one user in one group, so no other membership may have it.
/// An older engine reported an error in the index instead, which is not part of a snapshot. The
/// fuzzer found this.
#[test]
fn a_user_with_the_same_stint_in_two_groups_is_an_error_about_the_stint() {
    // Carol is in both groups, with the stints 3 and 7.
    let error = error_after(|v| v["groups"][1][1]["members"][0][1] = json!(3));
    let group = GroupId(9);
    assert_eq!(error, SnapshotError::Violation(Violation::Stint { group, user: CAROL }));
}

/// The largest counter that a snapshot may have is 2^63. The next command counts past it. An older
/// `check` then failed. The fuzzer found this.
#[test]
fn an_engine_read_with_the_largest_counters_carries_out_commands() {
    let mut value: Value = serde_json::from_str(JSON).unwrap();
    for counter in ["next_stint", "next_key"] {
        value[counter] = json!(1_u64 << 63);
    }
    let mut engine: Engine = serde_json::from_value(value).unwrap();
    let added = engine.add(ALICE, GROUP, UserId(9), at(2_000)).unwrap();
    assert_eq!(added.value, disband::Stint(1 << 63));
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn two_audiences_are_equal_if_they_have_the_same_users() {
    let audience = |json: &str| serde_json::from_str::<disband::Audience<UserId>>(json).unwrap();
    assert_eq!(audience(r#"["1","2"]"#), audience(r#"["1","2"]"#));
    assert_ne!(audience(r#"["1","2"]"#), audience(r#"["1","3"]"#));
    assert_ne!(audience(r#"["1","2"]"#), audience(r#"["1"]"#));
}

/// The states of replicas are compared with `==`, so it must compare all that a snapshot has.
#[test]
fn engines_that_differ_in_one_field_are_not_equal() {
    let original: Value = serde_json::from_str(JSON).unwrap();
    let mut leaves = Vec::new();
    paths(&original, String::new(), &mut leaves);
    let mut compared = 0;
    for path in &leaves {
        let mut value = original.clone();
        let leaf = value.pointer_mut(path).unwrap();
        *leaf = match &*leaf {
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            Value::Bool(yes) => json!(!yes),
            Value::Null => json!(1),
            Value::String(text) if path.ends_with("/message") => json!(format!("{text}!")),
            _ => continue,
        };
        let Ok(other) = serde_json::from_value::<Engine>(value) else { continue };
        assert_ne!(other, engine(), "{path}");
        compared += 1;
    }
    assert!(compared > 30, "only {compared} of {} changes gave an engine", leaves.len());
    for (path, without) in [("/tombstones", 1), ("/cells", 1), ("/groups", 1)] {
        let mut value = original.clone();
        let list = value.pointer_mut(path).unwrap().as_array_mut().unwrap();
        list.truncate(list.len() - without);
        let other: Engine = serde_json::from_value(value).unwrap();
        assert_ne!(other, engine(), "{path}");
    }
}

/// Collects the paths to all values that are neither lists nor objects.
fn paths(value: &Value, path: String, leaves: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                paths(item, format!("{path}/{at}"), leaves);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                paths(field, format!("{path}/{name}"), leaves);
            }
        }
        _ => leaves.push(path),
    }
}
