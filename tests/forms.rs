//! The serialised forms of all data that is stored or sent must not change. `golden/forms.txt` has
//! each value as a line of JSON and a line of postcard's bytes. Both are read back. A dissolved
//! group is read back as a summary.

use std::fmt::Debug;

use disband::{
    Absence, Admission, Announce, BatchRefusal, Command, Config, Departure, Engine, Event,
    Farewell, GroupId, GroupOptions, HistoryAccess, Limit, Limits, Operation, Outcome, OwnerExit,
    Page, Quota, Quotas, Rank, Refusal, Reply, Sanction, Seq, Signal, SignalKey, Stint, Summary,
    UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

mod common;

use common::{ALICE, BOB, CAROL, GROUP, at, unlimited};

/// A reply as it is read back: all that is known of a dissolved group is its summary.
type Read = Reply<UserId, GroupId, Summary>;

/// The lines that the golden file should have.
#[derive(Default)]
struct Forms(Vec<String>);

impl Forms {
    /// Adds the forms of a value, and checks that they read back as the value.
    #[track_caller]
    fn add<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, value: &T) {
        self.add_as(value, value);
    }

    /// The same for a value that reads back as a value of another type.
    #[track_caller]
    fn add_as<T: Serialize, R: DeserializeOwned + PartialEq + Debug>(
        &mut self,
        value: &T,
        read: &R,
    ) {
        let (json, bytes) =
            (serde_json::to_string(value).unwrap(), postcard::to_stdvec(value).unwrap());
        assert_eq!(&serde_json::from_str::<R>(&json).unwrap(), read);
        assert_eq!(&postcard::from_bytes::<R>(&bytes).unwrap(), read);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.push(format!("{json}\n  {hex}"));
    }

    /// The same for every variant of an enum, in order. Fails if a variant is missing.
    #[track_caller]
    fn add_all<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, values: &[T]) {
        values.iter().for_each(|value| self.add(value));
        assert_complete(values);
    }
}

#[track_caller]
fn assert_complete<T: Serialize + DeserializeOwned + Debug>(values: &[T]) {
    let mut variants: Vec<u8> =
        values.iter().map(|value| postcard::to_stdvec(value).unwrap()[0]).collect();
    variants.dedup();
    let count = variants.len() as u8;
    assert_eq!(variants, (0..count).collect::<Vec<_>>());
    // If there were another variant, its number and zeros would decode as a value of it.
    let mut next = vec![0; 64];
    next[0] = count;
    let another = postcard::from_bytes::<T>(&next);
    assert!(another.is_err(), "{another:?} is missing");
}

#[test]
fn the_serialised_forms_of_all_data_are_as_in_the_golden_file() {
    let mut forms = Forms::default();
    commands(&mut forms);
    refusals(&mut forms);
    replies(&mut forms);
    signals(&mut forms);
    configuration(&mut forms);
    let golden = include_str!("golden/forms.txt");
    let ours = forms.0.join("\n") + "\n";
    for (golden, ours) in golden.lines().zip(ours.lines()) {
        assert_eq!(ours, golden);
    }
    assert!(golden == ours, "the golden file has more lines or fewer than:\n{ours}");
}

fn commands(forms: &mut Forms) {
    use Command::*;
    let (by, user, group) = (ALICE, BOB, GROUP);
    let options = GroupOptions {
        owner_exit: OwnerExit::Succeed,
        history: HistoryAccess::Full,
        keep_entries: Some(7),
        keep_ms: Some(8_000),
        admission: Admission::Closed,
        add: Rank::Member,
        post: Rank::Owner,
        announce: Announce::Staff,
    };
    forms.add_all::<Command<UserId, GroupId>>(&[
        Create { owner: by, group, options: None },
        Create { owner: by, group, options: Some(GroupOptions::default()) },
        Join { user, group },
        Leave { user, group, stint: None },
        Leave { user, group, stint: Some(Stint(300)) },
        Kick { by, group, user },
        Post { author: user, group, message: "hé\n\"".into() },
        Dissolve { owner: by, group, note: None, successor: None },
        Dissolve { owner: by, group, note: Some("moved".into()), successor: Some(GroupId(8)) },
        Transfer { owner: by, group, user },
        SetRank { by, group, user, rank: Rank::Admin },
        SetOptions { by, group, options },
        Ban { by, group, user, until: None },
        Ban { by, group, user, until: Some(at(5_000)) },
        Unban { by, group, user },
        LeaveAll { user },
        Add { by, group, user },
        Mute { by, group, user, until: None },
        Mute { by, group, user, until: Some(at(5_000)) },
        Unmute { by, group, user },
        Edit { author: user, group, seq: Seq(300), message: "hé".into() },
        Erase { by, group, seq: Seq(300) },
    ]);
    forms.add_all(&[Rank::Member, Rank::Admin, Rank::Owner]);
    forms.add_all(&[OwnerExit::Dissolve, OwnerExit::Refuse, OwnerExit::Succeed]);
    forms.add_all(&[HistoryAccess::FromJoin, HistoryAccess::Full]);
    forms.add_all(&[Admission::Open, Admission::Closed]);
    forms.add_all(&[Announce::Everyone, Announce::Staff]);
    // In JSON, the note and the successor of a dissolution may be left out.
    let plain = r#"{"dissolve":{"owner":"1","group":"7"}}"#;
    assert_eq!(
        serde_json::from_str::<Command<UserId, GroupId>>(plain).unwrap(),
        Dissolve { owner: by, group, note: None, successor: None }
    );
}

fn refusals(forms: &mut Forms) {
    use Refusal::*;
    let absences = [
        Absence::StintOver,
        Absence::Left { at: at(900) },
        Absence::Kicked { by: ALICE, at: at(900) },
        Absence::NoRecord,
    ];
    forms.add_all(&absences);
    forms.add_all::<Limit>(&[
        Limit::MembersPerGroup,
        Limit::GroupsPerUser,
        Limit::MessageBytes,
        Limit::EntriesPerGroup,
        Limit::BansPerGroup,
        Limit::MutesPerGroup,
        Limit::NoteBytes,
        Limit::MessageBytesTotal,
        Limit::MembershipsTotal,
    ]);
    forms.add_all::<Refusal<UserId>>(&[
        TooFast { retry_at: at(1_500) },
        NoSuchGroup,
        Dissolved { by: ALICE, at: at(900), note: None, successor: None },
        Dissolved {
            by: ALICE,
            at: at(900),
            note: Some("moved".into()),
            successor: Some(GroupId(8)),
        },
        NotMember(Absence::StintOver),
        NotOwner,
        Outranked,
        TargetNotMember(Absence::Left { at: at(900) }),
        GroupExists,
        IdReserved { until: at(2_000) },
        AlreadyMember,
        NotAdmin,
        Banned { by: ALICE, until: None },
        Banned { by: ALICE, until: Some(at(2_000)) },
        OwnerMustStay,
        AlreadyOwner,
        AlreadyRanked,
        NotBanned,
        AlreadyExpired,
        OverLimit { limit: Limit::MessageBytes, max: 65_536 },
        Closed,
        TargetBanned { by: ALICE, until: None },
        Muted { by: ALICE, until: Some(at(2_000)) },
        NotMuted,
        NoSuchEntry,
        NotAuthor,
        AlreadyErased,
    ]);
    forms.add::<BatchRefusal<UserId>>(&BatchRefusal {
        index: 3,
        refusal: NotMember(Absence::Kicked { by: BOB, at: at(9) }),
    });
}

fn replies(forms: &mut Forms) {
    let summary = Summary { members: 3, entries: 1_000 };
    let departures = [
        Departure::Left { stint: Stint(5) },
        Departure::Dissolved(summary),
        Departure::Succeeded { stint: Stint(5), owner: BOB },
    ];
    forms.add_all::<Departure<UserId, Summary>>(&departures);
    let [left, dissolved, _] = departures;
    forms.add_all::<Read>(&[
        Reply::Created(Stint(1)),
        Reply::Joined(Stint(300)),
        Reply::Departed(left.clone()),
        Reply::Kicked(Stint(2)),
        Reply::Posted(Seq(0)),
        Reply::Dissolved(summary),
        Reply::Transferred,
        Reply::Ranked,
        Reply::Configured,
        Reply::Banned(None),
        Reply::Banned(Some(Stint(2))),
        Reply::Unbanned,
        Reply::LeftAll(vec![]),
        Reply::LeftAll(vec![(GROUP, left), (GroupId(8), dissolved)]),
        Reply::Added(Stint(300)),
        Reply::Muted,
        Reply::Unmuted,
        Reply::Edited,
        Reply::Erased,
    ]);
}

fn signals(forms: &mut Forms) {
    forms.add(&SignalKey(0xada_0000_0000_0000_0001));
    forms.add_all::<Event<UserId>>(&[
        Event::MemberJoin { by: None },
        Event::MemberJoin { by: Some(ALICE) },
        Event::MemberLeave,
        Event::MemberKick { by: ALICE },
        Event::HistoryPurge { before: Seq(7), note: None, successor: None },
        Event::HistoryPurge {
            before: Seq(7),
            note: Some("moved".into()),
            successor: Some(GroupId(8)),
        },
        Event::MessagePost { seq: Seq(6), at: at(1_000), message: "hi".into() },
        Event::OwnerChange { previous: ALICE },
        Event::RankChange { rank: Rank::Admin },
        Event::MessageEdit { seq: Seq(6), at: at(1_000), message: "hi".into() },
        Event::MessageErase { seq: Seq(6) },
        Event::Mute { by: ALICE, until: None },
        Event::Unmute { by: ALICE },
    ]);

    // Outcomes of an engine, from the creation of a group to its dissolution. The dissolved group
    // is written as a summary.
    let mut engine = Engine::new(Config { instance: 5, ..unlimited() });
    let mut run = |command| {
        let ours = engine.apply(command, at(1_000)).unwrap();
        let read: Outcome<Read, UserId, GroupId> =
            postcard::from_bytes(&postcard::to_stdvec(&ours).unwrap()).unwrap();
        assert_eq!(read.signals, ours.signals);
        forms.add_as(&ours, &read);
    };
    run(Command::Create { owner: ALICE, group: GROUP, options: None });
    run(Command::Join { user: BOB, group: GROUP });
    run(Command::Join { user: CAROL, group: GROUP });
    run(Command::Post { author: BOB, group: GROUP, message: "hi".into() });
    run(Command::SetRank { by: ALICE, group: GROUP, user: BOB, rank: Rank::Admin });
    run(Command::Mute { by: BOB, group: GROUP, user: CAROL, until: Some(at(9_000)) });
    run(Command::Edit { author: BOB, group: GROUP, seq: Seq(0), message: "hello".into() });
    run(Command::Erase { by: ALICE, group: GROUP, seq: Seq(0) });
    run(Command::Unmute { by: BOB, group: GROUP, user: CAROL });
    run(Command::Kick { by: BOB, group: GROUP, user: CAROL });
    run(Command::Add { by: BOB, group: GROUP, user: CAROL });
    run(Command::Leave { user: ALICE, group: GROUP, stint: None });

    // An audience is the users that a signal is for. It is rejected if it is unsorted or has a user
    // twice.
    let signal = |audience| {
        serde_json::from_str::<Signal<UserId, GroupId>>(&format!(
            r#"{{"key":"{:032}","group":"7","from":"1","actor":"1","version":1,"event":"member_leave","audience":{audience}}}"#,
            0
        ))
    };
    let valid = signal(r#"["1","2"]"#).unwrap();
    assert_eq!(valid.audience.iter().collect::<Vec<_>>(), [&ALICE, &BOB]);
    assert!(valid.audience.contains(&BOB) && !valid.audience.contains(&CAROL));
    for wrong in [r#"["2","1"]"#, r#"["1","1"]"#] {
        let error = signal(wrong).unwrap_err().to_string();
        assert!(
            error.starts_with("the users of an audience are not strictly ascending"),
            "{error}"
        );
    }
}

fn configuration(forms: &mut Forms) {
    forms.add(&Config::default());
    forms.add(&Config {
        instance: u64::MAX,
        quotas: Quotas { leave: Quota::Unlimited, ..Quotas::default() },
        tombstone_ms: 0,
        departures: 0,
        limits: Limits::NONE,
    });
    forms.add_all::<Operation>(&[
        Operation::Create,
        Operation::Join,
        Operation::Leave,
        Operation::Kick,
        Operation::Post,
        Operation::Dissolve,
        Operation::Transfer,
        Operation::SetRank,
        Operation::SetOptions,
        Operation::Ban,
        Operation::Unban,
        Operation::LeaveAll,
        Operation::Add,
        Operation::Mute,
        Operation::Unmute,
        Operation::Edit,
        Operation::Erase,
    ]);
    forms.add(&Sanction { by: ALICE, until: Some(at(9)) });
    forms.add(&Farewell::<GroupId>::NONE);
    forms.add(&Farewell { note: Some("moved".into()), successor: Some(GroupId(8)) });
    // In JSON, fields of a configuration that are left out have their defaults.
    let config: Config = serde_json::from_str(r#"{"quotas":{"leave":"unlimited"}}"#).unwrap();
    let quotas = Quotas { leave: Quota::Unlimited, ..Quotas::default() };
    assert_eq!(config, Config { quotas, ..Config::default() });
    forms.add(&Page::newest(50));
    forms.add(&Page::before(Seq(7), 50));
}
