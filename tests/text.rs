//! Texts for people: log lines, error messages and `Debug` output.

use std::fmt::{Debug, Display};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use disband::{
    Absence, Command, ConfigError, Engine, GroupId, GroupOptions, Limit, Operation, ParseNameError,
    Quota, QuotaError, Rank, Refusal, Seq, SignalKey, Stint, Timestamp, UserId,
};

mod common;

use common::{ALICE, BOB, GROUP, at, unlimited};

#[test]
fn a_command_is_displayed_as_one_log_line_without_its_texts() {
    let (by, user, group) = (ALICE, BOB, GROUP);
    let line = |command: Command<UserId, GroupId>| command.to_string();
    let message: Arc<str> = "not for the log".into();
    for (command, text) in [
        (Command::Create { owner: by, group, options: None }, "create by=1 group=7"),
        (Command::Join { user: by, group }, "join by=1 group=7"),
        (Command::Leave { user: by, group, stint: None }, "leave by=1 group=7"),
        (Command::Leave { user: by, group, stint: Some(Stint(3)) }, "leave by=1 group=7 stint=3"),
        (Command::Kick { by, group, user }, "kick by=1 group=7 user=2"),
        (
            Command::Post { author: by, group, message: message.clone() },
            "post by=1 group=7 bytes=15",
        ),
        (
            Command::Dissolve { owner: by, group, note: None, successor: None },
            "dissolve by=1 group=7",
        ),
        (
            Command::Dissolve {
                owner: by,
                group,
                note: Some(message.clone()),
                successor: Some(GroupId(8)),
            },
            "dissolve by=1 group=7 note_bytes=15 successor=8",
        ),
        (Command::Transfer { owner: by, group, user }, "transfer by=1 group=7 user=2"),
        (
            Command::SetRank { by, group, user, rank: Rank::Admin },
            "set_rank by=1 group=7 user=2 rank=admin",
        ),
        (
            Command::SetOptions { by, group, options: GroupOptions::default() },
            "set_options by=1 group=7",
        ),
        (Command::Ban { by, group, user, until: None }, "ban by=1 group=7 user=2"),
        (Command::Ban { by, group, user, until: Some(at(9)) }, "ban by=1 group=7 user=2 until=9"),
        (Command::Unban { by, group, user }, "unban by=1 group=7 user=2"),
        (Command::LeaveAll { user: by }, "leave_all by=1"),
        (Command::Add { by, group, user }, "add by=1 group=7 user=2"),
        (Command::Mute { by, group, user, until: None }, "mute by=1 group=7 user=2"),
        (Command::Mute { by, group, user, until: Some(at(9)) }, "mute by=1 group=7 user=2 until=9"),
        (Command::Unmute { by, group, user }, "unmute by=1 group=7 user=2"),
        (
            Command::Edit { author: by, group, seq: Seq(3), message: message.clone() },
            "edit by=1 group=7 seq=3 bytes=15",
        ),
        (Command::Erase { by, group, seq: Seq(3) }, "erase by=1 group=7 seq=3"),
    ] {
        assert_eq!(line(command), text);
    }
}

#[test]
fn a_refusal_is_displayed_with_its_reason() {
    let text = |refusal: Refusal<UserId>| refusal.to_string();
    let kicked = Absence::Kicked { by: ALICE, at: at(7) };
    assert_eq!(text(Refusal::TooFast { retry_at: at(9) }), "too fast: try again at 9");
    assert_eq!(
        text(Refusal::Dissolved { by: BOB, at: at(7), note: None, successor: None }),
        "the group was dissolved by 2 at 7"
    );
    assert_eq!(text(Refusal::NotMember(kicked)), "not a member: kicked by 1 at 7");
    assert_eq!(text(Refusal::Banned { by: BOB, until: None }), "banned by 2");
    assert_eq!(text(Refusal::Banned { by: BOB, until: Some(at(9)) }), "banned by 2 until 9");
    assert_eq!(text(Refusal::Closed), "the group is closed: a member must add you");
    assert_eq!(
        text(Refusal::TargetBanned { by: BOB, until: None }),
        "the other user is banned by 2"
    );
    assert_eq!(text(Refusal::Muted { by: BOB, until: Some(at(9)) }), "muted by 2 until 9");
    let full = Refusal::OverLimit { limit: Limit::BansPerGroup, max: 10 };
    assert_eq!(text(full), "over the limit of 10 for bans_per_group");
    let other = ConfigError::Instance { is: 1, asked: 2 };
    assert_eq!(
        other.to_string(),
        "the instance number cannot change: it is 1, and the new configuration has 2"
    );
}

#[test]
fn a_rank_serialises_as_its_name() {
    for rank in [Rank::Member, Rank::Admin, Rank::Owner] {
        assert_eq!(serde_json::to_value(rank).unwrap(), rank.name());
    }
}

#[test]
fn only_32_lower_case_hexadecimal_digits_are_a_signal_key() {
    let key = SignalKey(0xff);
    assert_eq!("000000000000000000000000000000ff".parse(), Ok(key));
    assert_eq!(key.to_string().parse(), Ok(key));
    for text in [
        "",
        "ff",
        "0000000000000000000000000000ff",
        "00000000000000000000000000000000ff",
        "000000000000000000000000000000FF",
        "+00000000000000000000000000000ff",
        "00000000000000000000000000000 ff",
        "000000000000000000000000000000é",
    ] {
        assert!(text.parse::<SignalKey>().is_err(), "{text}");
    }
}

#[test]
fn the_error_of_a_malformed_id_says_what_was_expected() {
    let error = serde_json::from_str::<UserId>("7").unwrap_err().to_string();
    assert!(error.contains("expected an id as a string of decimal digits"), "{error}");
    let error = "007".parse::<GroupId>().unwrap_err().to_string();
    assert_eq!(
        error,
        "expected a number below 2^64 in decimal digits, without a sign or leading zeros"
    );
}

/// An audience is the users that a signal is for. It is printed in full.
#[test]
fn debug_output_of_large_types_is_a_summary_except_for_audiences() {
    let mut engine = Engine::new(unlimited());
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    engine.join(BOB, GROUP, at(2)).unwrap().ignore_signals();
    let signal = engine.post(BOB, GROUP, "hello", at(3)).unwrap().signals.remove(0);
    let all = format!("{engine:?}");
    assert!(all.contains("instance: 0") && all.contains("memberships: 2"), "{all}");
    let group = format!("{:?}", engine.group(&GROUP).unwrap());
    assert_eq!(group, "Group { owner: UserId(1), version: 2, members: 2, entries: 1, .. }");
    let history = engine.history(&BOB, &GROUP, disband::Page::newest(9), at(4)).unwrap();
    assert_eq!(format!("{history:?}"), "History { range: 0..1, .. }");
    assert_eq!(format!("{:?}", signal.audience), "{UserId(1)}");
    assert_eq!(format!("{:?}", signal.audience.iter()), "Recipients { left: 1, .. }");
    let left = engine.leave(ALICE, GROUP, at(5)).unwrap().value;
    let left = format!("{left:?}");
    assert!(left.contains("members: 2, entries: 1"), "{left}");
}

#[test]
fn names_and_numbers_are_parsed_as_they_are_displayed() {
    fn assert_named<T>(all: &[T])
    where
        T: Copy + Debug + Display + PartialEq + FromStr<Err = ParseNameError> + serde::Serialize,
    {
        for one in all {
            assert_eq!(serde_json::to_value(one).unwrap(), one.to_string());
            assert_eq!(one.to_string().parse(), Ok(*one));
            assert_eq!(format!("{one:>20}").len(), 20, "width applies");
        }
        let error = "Owner ".parse::<T>().unwrap_err();
        assert_eq!(error.expected().len(), all.len());
    }
    assert_named(Rank::ALL);
    assert_named(Operation::ALL);
    assert_named(Limit::ALL);
    assert!(Rank::ALL.is_sorted() && Operation::ALL.is_sorted() && Limit::ALL.is_sorted());
    let error = "chief".parse::<Rank>().unwrap_err();
    assert_eq!(error.to_string(), "expected one of: member, admin, owner");

    assert_eq!("7".parse(), Ok(Stint(7)));
    assert_eq!("7".parse(), Ok(Timestamp(7)));
    assert_eq!("7".parse(), Ok(Seq(7)));
    assert!("-7".parse::<Timestamp>().is_err() && "07".parse::<Stint>().is_err());
    assert_eq!(u64::from(Seq::from(7)) + u64::from(UserId::from(1)), 8);
}

#[test]
fn a_quota_has_a_count_and_a_period() {
    let minute = Duration::from_secs(60);
    let Ok(Quota::Limited(rate)) = Quota::per(5, minute) else { panic!() };
    assert_eq!((rate.cells.get(), rate.per_ms.get(), rate.burst.get()), (5, 60_000, 5));
    assert_eq!(Quota::per(0, minute), Err(QuotaError::Count));
    assert_eq!(Quota::per(1, Duration::from_micros(999)), Err(QuotaError::Period));
    assert_eq!(Quota::per(1, Duration::MAX), Err(QuotaError::Period));
    assert!(Quota::per(1, Duration::from_millis(u64::MAX)).is_ok());
}

#[test]
fn a_signal_is_displayed_without_its_text() {
    let mut engine = Engine::new(unlimited());
    engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
    engine.join(BOB, GROUP, at(2)).unwrap().ignore_signals();
    let posted = engine.post(BOB, GROUP, "a secret", at(3)).unwrap();
    assert_eq!(posted.signals[0].to_string(), "message of 2 in 7, version 2, for 1 user");
    let left = engine.leave(BOB, GROUP, at(3)).unwrap();
    assert_eq!(left.signals[0].to_string(), "memberleave of 2 in 7, version 3, for 1 user");
    let left = engine.leave(ALICE, GROUP, at(4)).unwrap();
    assert_eq!(left.signals[0].to_string(), "memberkick of 1 in 7, version 4, for 0 users");
}

#[test]
fn equal_values_have_equal_hashes() {
    fn hash(value: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }
    let run = || {
        let mut engine = Engine::default();
        engine.create(ALICE, GROUP, at(1)).unwrap().ignore_signals();
        let joined = engine.join(BOB, GROUP, at(2)).unwrap();
        (engine, joined)
    };
    let ((one, joined), (mut other, again)) = (run(), run());
    assert!(one == other && hash(&one) == hash(&other));
    assert_eq!(hash(one.group(&GROUP)), hash(other.group(&GROUP)));
    assert!(joined == again && hash(&joined) == hash(&again));
    let left = other.leave(BOB, GROUP, at(3)).unwrap();
    assert_ne!(hash(&left.signals), hash(&joined.signals));
    assert_ne!(hash(&one), hash(&other));
    assert_ne!(hash(one.group(&GROUP)), hash(other.group(&GROUP)));

    // An audience of the same users is equal, wherever its members come from.
    let json = serde_json::to_string(&joined.signals[0].audience).unwrap();
    let read: disband::Audience<UserId> = serde_json::from_str(&json).unwrap();
    assert!(read == joined.signals[0].audience && hash(&read) == hash(&joined.signals[0].audience));
}
