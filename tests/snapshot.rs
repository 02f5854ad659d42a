//! Snapshots: one of the first format stays readable, and what is wrong with one is said.

use disband::{
    Config, Engine, GroupId, GroupOptions, OwnerExit, Page, Rank, Snapshot, SnapshotError, UserId,
    Violation,
};
use serde_json::{Value, json};

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, unlimited};

const JSON: &str = include_str!("golden/snapshot-1.json");
const POSTCARD: &[u8] = include_bytes!("golden/snapshot-1.postcard");

/// Something of everything.
fn engine() -> Engine {
    let mut engine: Engine =
        Engine::new(Config { instance: 5, departures: 2, ..Config::default() });
    let keep = GroupOptions {
        owner_exit: OwnerExit::Succeed,
        keep_entries: Some(2),
        ..GroupOptions::default()
    };
    let _ = engine.create_with(ALICE, GROUP, keep, at(1_000)).unwrap();
    for user in [BOB, CAROL, UserId(4), UserId(5)] {
        let _ = engine.join(user, GROUP, at(1_001)).unwrap();
    }
    let _ = engine.set_rank(ALICE, GROUP, BOB, Rank::Admin, at(1_002)).unwrap();
    let _ = engine.ban(BOB, GROUP, UserId(5), Some(at(9_000)), at(1_003)).unwrap();
    let _ = engine.ban(BOB, GROUP, UserId(6), None, at(1_003)).unwrap();
    let _ = engine.leave(UserId(4), GROUP, at(1_004)).unwrap();
    for text in ["one", "two", "three"] {
        let _ = engine.post(CAROL, GROUP, text, at(1_005)).unwrap();
    }
    let _ = engine.create(CAROL, GroupId(8), at(1_006)).unwrap();
    let _ = engine.create(CAROL, GroupId(9), at(1_006)).unwrap();
    let _ = engine.leave(CAROL, GroupId(8), at(1_007)).unwrap();
    engine
}

#[test]
fn the_first_format_is_held_still_and_stays_readable() {
    let engine = engine();
    assert_eq!(serde_json::to_string(&engine).unwrap(), JSON.trim_end());
    assert_eq!(postcard::to_stdvec(&engine).unwrap(), POSTCARD);
    for read in
        [serde_json::from_str(JSON).unwrap(), postcard::from_bytes::<Engine>(POSTCARD).unwrap()]
    {
        assert_eq!(read, engine);
        let (ours, theirs) = (read.stats(), engine.stats());
        assert_eq!((ours.memberships, ours.entries), (theirs.memberships, theirs.entries));
        let page = |engine: &Engine| {
            let history = engine.history(&CAROL, &GROUP, Page::newest(9), at(2_000)).unwrap();
            history.map(|(seq, entry)| (seq.0, entry.message.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(page(&read), [(2, "three".into()), (1, "two".into())]);
    }
}

/// What is wrong with the golden snapshot after a change to it.
#[track_caller]
fn wrong(change: impl FnOnce(&mut Value)) -> SnapshotError<UserId, GroupId> {
    let mut value: Value = serde_json::from_str(JSON).unwrap();
    change(&mut value);
    let snapshot: Snapshot<UserId, GroupId> = serde_json::from_value(value.clone()).unwrap();
    let error = Engine::try_from(snapshot).unwrap_err();
    // Read in one step, it says the same in words.
    let words = serde_json::from_value::<Engine>(value).unwrap_err().to_string();
    assert!(words.starts_with(&error.to_string()), "{words}");
    error
}

#[test]
fn what_is_wrong_with_a_snapshot_is_said() {
    let group = GROUP;
    assert_eq!(
        wrong(|v| v["groups"][0][1]["owner"] = json!("77")),
        SnapshotError::Violation(Violation::OwnerNotMember { group })
    );
    assert_eq!(
        wrong(|v| v["groups"][0][1]["members"].as_array_mut().unwrap().swap(0, 1)),
        SnapshotError::Unsorted("members of a group")
    );
    assert_eq!(
        wrong(|v| v["groups"].as_array_mut().unwrap().reverse()),
        SnapshotError::Unsorted("groups")
    );
    assert_eq!(
        wrong(|v| {
            let twice = v["tombstones"][0].clone();
            v["tombstones"].as_array_mut().unwrap().push(twice);
        }),
        SnapshotError::Unsorted("tombstones")
    );
    assert_eq!(
        wrong(|v| v["cells"].as_array_mut().unwrap().reverse()),
        SnapshotError::Unsorted("rate cells")
    );
    assert_eq!(
        wrong(|v| v["config"]["quotas"]["join"] = json!("unlimited")),
        SnapshotError::Unlimited
    );
    assert_eq!(
        wrong(|v| v["next_stint"] = json!(3)),
        SnapshotError::Violation(Violation::Stint { group, user: CAROL })
    );
    assert_eq!(
        wrong(|v| v["groups"][0][1]["members"][1][1] = json!(1)),
        SnapshotError::Violation(Violation::Admins { group })
    );
    assert_eq!(
        wrong(|v| v["groups"][0][1]["members"][2][1] = json!(1)),
        SnapshotError::Violation(Violation::Stint { group, user: CAROL })
    );
    assert_eq!(
        wrong(|v| v["groups"][0][1]["bans"][0][0] = json!("3")),
        SnapshotError::Violation(Violation::Bans { group })
    );
    assert_eq!(
        wrong(|v| v["config"]["departures"] = json!(1)),
        SnapshotError::Violation(Violation::Departures { group })
    );
    assert_eq!(
        wrong(|v| v["groups"][0][1]["entries"][0]["at"] = json!(1_006)),
        SnapshotError::Violation(Violation::Log { group })
    );
    assert_eq!(
        wrong(|v| v["tombstones"][0][0] = json!("7")),
        SnapshotError::Violation(Violation::Undead { group })
    );
    for counter in ["next_stint", "next_key"] {
        assert_eq!(wrong(|v| v[counter] = json!(u64::MAX)), SnapshotError::Counter);
    }
    assert_eq!(
        wrong(|v| v["groups"][0][1]["version"] = json!((1_u64 << 63) + 1)),
        SnapshotError::Counter
    );
    assert_eq!(wrong(|v| v["groups"][0][1]["first"] = json!(u64::MAX)), SnapshotError::Counter);
}

#[test]
fn another_format_and_a_misspelt_field_are_errors() {
    let read = |text: String| serde_json::from_str::<Engine>(&text).unwrap_err().to_string();
    let other = read(JSON.replacen(r#""format":1"#, r#""format":2"#, 1));
    assert!(other.starts_with("snapshot format 2 is unknown"), "{other}");
    let misspelt = read(JSON.replacen(r#""next_key""#, r#""next_keys""#, 1));
    assert!(misspelt.starts_with("unknown field `next_keys`"), "{misspelt}");
    let mut bytes = POSTCARD.to_vec();
    bytes[0] = 9;
    assert!(postcard::from_bytes::<Engine>(&bytes).is_err());
}

#[test]
fn no_prefix_of_a_snapshot_and_no_flipped_bit_panics_or_passes_unverified() {
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
fn a_length_is_not_taken_at_its_word() {
    let empty = Engine::<UserId, GroupId>::new(unlimited());
    let mut bytes = postcard::to_stdvec(&empty).unwrap();
    // It ends with three empty lists: groups, tombstones, cells. The first now claims 2^60 groups.
    bytes.truncate(bytes.len() - 3);
    bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
    let counted = allocation_counter::measure(|| {
        assert!(postcard::from_bytes::<Engine>(&bytes).is_err());
    });
    assert!(counted.bytes_max < 2 << 20, "{} bytes", counted.bytes_max);
}

/// The fuzzer found that the index, which is made anew, was blamed for it.
#[test]
fn a_stint_that_a_user_has_in_two_groups_is_the_one_that_is_wrong() {
    // Carol is in both groups, under 3 and 8.
    let error = wrong(|v| v["groups"][1][1]["members"][0][1] = json!(3));
    let group = GroupId(9);
    assert_eq!(error, SnapshotError::Violation(Violation::Stint { group, user: CAROL }));
}

/// The fuzzer found that one more command made such an engine break the bound it was read with.
#[test]
fn an_engine_read_at_the_bound_of_its_counters_goes_on() {
    let mut value: Value = serde_json::from_str(JSON).unwrap();
    for counter in ["next_stint", "next_key"] {
        value[counter] = json!(1_u64 << 63);
    }
    let mut engine: Engine = serde_json::from_value(value).unwrap();
    let joined = engine.join(UserId(9), GROUP, at(2_000)).unwrap();
    assert_eq!(joined.value, disband::Stint(1 << 63));
    assert_eq!(engine.check(), Ok(()));
}

#[test]
fn an_audience_is_whom_it_holds() {
    let audience = |json: &str| serde_json::from_str::<disband::Audience<UserId>>(json).unwrap();
    assert_eq!(audience(r#"["1","2"]"#), audience(r#"["1","2"]"#));
    assert_ne!(audience(r#"["1","2"]"#), audience(r#"["1","3"]"#));
    assert_ne!(audience(r#"["1","2"]"#), audience(r#"["1"]"#));
}

/// Equality is what the replicas' states are compared by: it overlooks nothing that is written.
#[test]
fn engines_that_differ_in_one_thing_are_not_equal() {
    let original: Value = serde_json::from_str(JSON).unwrap();
    let mut leaves = Vec::new();
    paths(&original, String::new(), &mut leaves);
    let mut told_apart = 0;
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
        told_apart += 1;
    }
    assert!(told_apart > 30, "most changes were refused: {told_apart} of {}", leaves.len());
    for (path, without) in [("/tombstones", 1), ("/cells", 1), ("/groups", 1)] {
        let mut value = original.clone();
        let list = value.pointer_mut(path).unwrap().as_array_mut().unwrap();
        list.truncate(list.len() - without);
        let other: Engine = serde_json::from_value(value).unwrap();
        assert_ne!(other, engine(), "{path}");
    }
}

/// The paths to all that is neither a list nor an object.
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
