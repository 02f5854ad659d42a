//! The wire, to the byte.

use disband::{
    Absence, CommandResult, Config, Engine, GroupId, GroupOptions, HistoryAccess, Limit, OwnerExit,
    Quotas, Rank, Refusal, Seq, Stint, Timestamp, UserId, wire,
};

const ALICE: UserId = UserId(808080);
const BOB: UserId = UserId(808081);
const GROUP: GroupId = GroupId(6228482);
const NOW: Timestamp = Timestamp(1_000);

#[track_caller]
fn assert_refusal(refusal: Refusal<UserId>, expected: &str) {
    let result: CommandResult<Seq, UserId, GroupId> = Err(refusal);
    let reply = wire::reply(&result, NOW);
    assert_eq!(serde_json::to_string(&reply).unwrap(), expected);
    assert!(expected.contains(&format!(r#""code":{},"msg":"GRPS_{0}""#, reply.code())));
}

#[test]
fn refusals() {
    let at = Timestamp(900);
    assert_refusal(
        Refusal::TooFast { retry_at: Timestamp(3_500) },
        r#"{"ok":false,"code":429,"msg":"GRPS_429","data":{"retry_at":3500,"retry_after_ms":2500}}"#,
    );
    assert_refusal(Refusal::NoSuchGroup, r#"{"ok":false,"code":404,"msg":"GRPS_404","data":{}}"#);
    assert_refusal(
        Refusal::Dissolved { by: ALICE, at },
        r#"{"ok":false,"code":404,"msg":"GRPS_404","data":{"reason":"dissolved","by":"808080","at":900}}"#,
    );
    assert_refusal(
        Refusal::NotMember(Absence::StintOver),
        r#"{"ok":false,"code":400,"msg":"GRPS_400","data":{"reason":"not_member","absence":"stint_over"}}"#,
    );
    assert_refusal(
        Refusal::NotMember(Absence::Left { at }),
        r#"{"ok":false,"code":400,"msg":"GRPS_400","data":{"reason":"not_member","absence":"left","at":900}}"#,
    );
    assert_refusal(
        Refusal::NotMember(Absence::Kicked { by: ALICE, at }),
        r#"{"ok":false,"code":400,"msg":"GRPS_400","data":{"reason":"not_member","absence":"kicked","by":"808080","at":900}}"#,
    );
    assert_refusal(
        Refusal::NotMember(Absence::NoRecord),
        r#"{"ok":false,"code":400,"msg":"GRPS_400","data":{"reason":"not_member","absence":"no_record"}}"#,
    );
    assert_refusal(
        Refusal::NotOwner,
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"not_owner"}}"#,
    );
    assert_refusal(
        Refusal::Outranked,
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"outranked"}}"#,
    );
    assert_refusal(
        Refusal::TargetNotMember(Absence::NoRecord),
        r#"{"ok":false,"code":400,"msg":"GRPS_400","data":{"reason":"target_not_member","absence":"no_record"}}"#,
    );
    assert_refusal(
        Refusal::GroupExists,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"group_exists"}}"#,
    );
    assert_refusal(
        Refusal::IdReserved { until: at },
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"id_reserved","until":900}}"#,
    );
    assert_refusal(
        Refusal::AlreadyMember,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"already_member"}}"#,
    );
    assert_refusal(
        Refusal::NotAdmin,
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"not_admin"}}"#,
    );
    assert_refusal(
        Refusal::Banned { by: ALICE, until: Some(at) },
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"banned","by":"808080","until":900}}"#,
    );
    assert_refusal(
        Refusal::Banned { by: ALICE, until: None },
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"banned","by":"808080","until":null}}"#,
    );
    assert_refusal(
        Refusal::OwnerMustStay,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"owner_must_stay"}}"#,
    );
    assert_refusal(
        Refusal::AlreadyOwner,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"already_owner"}}"#,
    );
    assert_refusal(
        Refusal::AlreadyRanked,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"already_ranked"}}"#,
    );
    assert_refusal(
        Refusal::NotBanned,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"not_banned"}}"#,
    );
    assert_refusal(
        Refusal::AlreadyExpired,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"already_expired"}}"#,
    );
    assert_refusal(
        Refusal::OverLimit { limit: Limit::GroupsPerUser, max: 5 },
        r#"{"ok":false,"code":413,"msg":"GRPS_413","data":{"reason":"over_limit","limit":"groups_per_user","max":5}}"#,
    );
}

#[test]
fn successes() {
    let reply = |result: &CommandResult<_, UserId, GroupId>| {
        serde_json::to_string(&wire::reply(result, NOW)).unwrap()
    };
    let mut engine: Engine = Engine::default();
    let created = engine.create(ALICE, GROUP, NOW);
    assert_eq!(reply(&created), r#"{"ok":true,"code":200,"msg":"OK","data":{"stint":1}}"#);
    let posted = engine.post(ALICE, GROUP, "hello", NOW);
    let reply = serde_json::to_string(&wire::reply(&posted, NOW)).unwrap();
    assert_eq!(reply, r#"{"ok":true,"code":200,"msg":"OK","data":{"seq":0}}"#);
    let left = engine.leave(ALICE, GROUP, NOW);
    let reply = serde_json::to_string(&wire::reply(&left, NOW)).unwrap();
    assert_eq!(reply, r#"{"ok":true,"code":200,"msg":"OK"}"#);
}

#[test]
fn successes_of_authority_and_accounts() {
    use disband::Command::*;
    let mut engine = Engine::new(Config { quotas: Quotas::UNLIMITED, ..Config::default() });
    let mut reply = |command| {
        let result = engine.apply(command, NOW);
        serde_json::to_string(&wire::reply(&result, NOW)).unwrap()
    };
    let plain = r#"{"ok":true,"code":200,"msg":"OK"}"#;
    let (group, other, third) = (GROUP, GroupId(8), GroupId(9));
    let options = GroupOptions { owner_exit: OwnerExit::Succeed, ..GroupOptions::default() };
    for (owner, group) in [(ALICE, group), (ALICE, other), (BOB, third)] {
        reply(Create { owner, group, options: None });
    }
    reply(Join { user: BOB, group });
    reply(Join { user: ALICE, group: third });
    assert_eq!(reply(SetRank { by: ALICE, group, user: BOB, rank: Rank::Admin }), plain);
    assert_eq!(reply(SetOptions { by: ALICE, group, options }), plain);
    assert_eq!(
        reply(LeaveAll { user: ALICE }),
        concat!(
            r#"{"ok":true,"code":200,"msg":"OK","data":{"groups":["#,
            r#"{"groupid":"6228482","outcome":"succeeded"},"#,
            r#"{"groupid":"8","outcome":"dissolved"},"#,
            r#"{"groupid":"9","outcome":"left"}]}}"#
        )
    );
    assert_eq!(reply(Ban { by: BOB, group, user: ALICE, until: None }), plain);
    assert_eq!(reply(Unban { by: BOB, group, user: ALICE }), plain);
    let joined = r#"{"ok":true,"code":200,"msg":"OK","data":{"stint":6}}"#;
    assert_eq!(reply(Join { user: ALICE, group }), joined);
    assert_eq!(reply(Ban { by: BOB, group, user: ALICE, until: None }), joined);
    assert_eq!(reply(Join { user: UserId(3), group: third }).len(), joined.len());
    assert_eq!(reply(Transfer { owner: BOB, group: third, user: UserId(3) }), plain);
    assert_eq!(reply(Dissolve { owner: BOB, group }), plain);
}

#[test]
fn frames() {
    let config =
        Config { instance: 0xa1ce_a2ac_677a_e978, quotas: Quotas::UNLIMITED, ..Config::default() };
    let mut engine = Engine::new(config);
    let _ = engine.create(ALICE, GROUP, NOW).unwrap();
    let mut signals = engine.join(BOB, GROUP, NOW).unwrap().signals;
    signals.extend(engine.post(BOB, GROUP, "a \"quoted\"\nline", NOW).unwrap().signals);
    signals.extend(engine.leave(BOB, GROUP, NOW).unwrap().signals);
    let _ = engine.join(BOB, GROUP, NOW).unwrap();
    signals.extend(engine.kick(ALICE, GROUP, BOB, NOW).unwrap().signals);
    signals.extend(engine.leave(ALICE, GROUP, NOW).unwrap().signals);
    let frames: Vec<String> = signals
        .iter()
        .map(|signal| serde_json::to_string(&wire::Frame::from(signal)).unwrap())
        .collect();
    assert_eq!(
        frames,
        [
            r#"{"key":"a1cea2ac677ae9780000000000000001","from":"808081","type":"memberjoin","groupid":"6228482"}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000002","from":"808081","type":"message","groupid":"6228482","seq":0,"at":1000,"message":"a \"quoted\"\nline"}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000003","from":"808081","type":"memberleave","groupid":"6228482"}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000005","from":"808081","type":"memberkick","groupid":"6228482"}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000006","from":"808080","type":"memberkick","groupid":"6228482"}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000007","from":"808080","type":"historypurge","groupid":"6228482"}"#,
        ]
    );
    let _ = engine.create(ALICE, GroupId(1), NOW).unwrap();
    let _ = engine.join(BOB, GroupId(1), NOW).unwrap();
    let ranked = engine.set_rank(ALICE, GroupId(1), BOB, Rank::Admin, NOW).unwrap();
    let changed = engine.transfer(ALICE, GroupId(1), BOB, NOW).unwrap();
    assert_eq!(
        [ranked, changed]
            .map(|o| serde_json::to_string(&wire::Frame::from(&o.signals[0])).unwrap()),
        [
            r#"{"key":"a1cea2ac677ae9780000000000000009","from":"808081","type":"rankchange","groupid":"1","rank":"admin"}"#,
            r#"{"key":"a1cea2ac677ae978000000000000000a","from":"808081","type":"ownerchange","groupid":"1"}"#,
        ]
    );
    let versioned = serde_json::to_string(&wire::VersionedFrame::from(&signals[2])).unwrap();
    assert_eq!(
        versioned,
        r#"{"key":"a1cea2ac677ae9780000000000000003","from":"808081","type":"memberleave","groupid":"6228482","version":3}"#
    );
}

/// What is kept and sent between machines: reads back from JSON and from a positional format.
#[track_caller]
fn assert_form<T>(value: &T, json: &str, bytes: &[u8])
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
    assert_eq!(postcard::to_stdvec(value).unwrap(), bytes);
    assert_eq!(&postcard::from_bytes::<T>(bytes).unwrap(), value);
}

#[test]
fn commands_refusals_and_configuration_as_data() {
    use disband::Command::{self, *};
    let (user, group) = (UserId(1), GroupId(2));
    let form = |command: Command<UserId, GroupId>, json, bytes: &[u8]| {
        assert_form(&command, json, bytes);
    };
    form(
        Create { owner: user, group, options: None },
        r#"{"create":{"owner":"1","group":"2","options":null}}"#,
        &[0, 1, 2, 0],
    );
    form(
        Create { owner: user, group, options: Some(disband::GroupOptions::default()) },
        r#"{"create":{"owner":"1","group":"2","options":{"owner_exit":"dissolve","history":"from_join","keep_entries":null,"keep_ms":null}}}"#,
        &[0, 1, 2, 1, 0, 0, 0, 0],
    );
    form(Join { user, group }, r#"{"join":{"user":"1","group":"2"}}"#, &[1, 1, 2]);
    form(
        Leave { user, group, stint: Some(Stint(3)) },
        r#"{"leave":{"user":"1","group":"2","stint":3}}"#,
        &[2, 1, 2, 1, 3],
    );
    form(
        Kick { by: UserId(9), group, user },
        r#"{"kick":{"by":"9","group":"2","user":"1"}}"#,
        &[3, 9, 2, 1],
    );
    form(
        Post { author: user, group, message: "hi".into() },
        r#"{"post":{"author":"1","group":"2","message":"hi"}}"#,
        &[4, 1, 2, 2, b'h', b'i'],
    );
    form(Dissolve { owner: user, group }, r#"{"dissolve":{"owner":"1","group":"2"}}"#, &[5, 1, 2]);
    form(
        Transfer { owner: UserId(9), group, user },
        r#"{"transfer":{"owner":"9","group":"2","user":"1"}}"#,
        &[6, 9, 2, 1],
    );
    form(
        SetRank { by: UserId(9), group, user, rank: Rank::Admin },
        r#"{"set_rank":{"by":"9","group":"2","user":"1","rank":"admin"}}"#,
        &[7, 9, 2, 1, 1],
    );
    let options = GroupOptions {
        owner_exit: OwnerExit::Succeed,
        history: HistoryAccess::Full,
        keep_entries: Some(7),
        keep_ms: Some(8),
    };
    form(
        SetOptions { by: user, group, options },
        r#"{"set_options":{"by":"1","group":"2","options":{"owner_exit":"succeed","history":"full","keep_entries":7,"keep_ms":8}}}"#,
        &[8, 1, 2, 2, 1, 1, 7, 1, 8],
    );
    form(
        Ban { by: UserId(9), group, user, until: Some(Timestamp(5)) },
        r#"{"ban":{"by":"9","group":"2","user":"1","until":5}}"#,
        &[9, 9, 2, 1, 1, 5],
    );
    form(
        Unban { by: UserId(9), group, user },
        r#"{"unban":{"by":"9","group":"2","user":"1"}}"#,
        &[10, 9, 2, 1],
    );
    form(LeaveAll { user }, r#"{"leave_all":{"user":"1"}}"#, &[11, 1]);
    assert_form(
        &Refusal::<UserId>::OverLimit { limit: Limit::MessageBytes, max: 9 },
        r#"{"over_limit":{"limit":"message_bytes","max":9}}"#,
        &[17, 2, 9],
    );
    assert_form(
        &disband::BatchRefusal { index: 3, refusal: Refusal::<UserId>::NotBanned },
        r#"{"index":3,"refusal":"not_banned"}"#,
        &[3, 15],
    );
    assert_form(
        &Refusal::TargetNotMember(Absence::Kicked { by: user, at: Timestamp(5) }),
        r#"{"target_not_member":{"kicked":{"by":"1","at":5}}}"#,
        &[6, 2, 1, 5],
    );
    assert_form(&Refusal::<UserId>::AlreadyMember, r#""already_member""#, &[9]);
    assert_form(&disband::SignalKey(0xada), r#""00000000000000000000000000000ada""#, &[0xda, 0x15]);
    let config: Config = serde_json::from_str(r#"{"quotas":{"leave":"unlimited"}}"#).unwrap();
    let quotas = Quotas { leave: disband::Quota::UNLIMITED, ..Quotas::default() };
    assert_eq!(config, Config { quotas, ..Config::default() });
    assert_form(
        &Config::default(),
        concat!(
            r#"{"instance":0,"quotas":{"#,
            r#""create":{"limited":{"cells":1,"per_ms":10000,"burst":5}},"#,
            r#""join":{"limited":{"cells":1,"per_ms":2000,"burst":3}},"#,
            r#""leave":{"limited":{"cells":1,"per_ms":2000,"burst":3}},"#,
            r#""kick":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""post":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""dissolve":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""transfer":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""set_rank":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""set_options":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""ban":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""unban":{"limited":{"cells":1,"per_ms":250,"burst":20}},"#,
            r#""leave_all":{"limited":{"cells":1,"per_ms":250,"burst":20}}},"#,
            r#""tombstone_ms":2678400000,"departures":16,"#,
            r#""limits":{"members_per_group":10000000,"groups_per_user":20000,"#,
            r#""message_bytes":65536,"entries_per_group":100000000,"bans_per_group":100000}}"#
        ),
        &[
            &[0, 1, 1, 0x90, 0x4e, 5][..],
            &[1, 1, 0xd0, 0x0f, 3].repeat(2),
            &[1, 1, 0xfa, 1, 20].repeat(9),
            &[0x80, 0xc8, 0x94, 0xfd, 9, 16],
            &[1, 0x80, 0xad, 0xe2, 4, 1, 0xa0, 0x9c, 1, 1, 0x80, 0x80, 4],
            &[1, 0x80, 0xc2, 0xd7, 0x2f, 1, 0xa0, 0x8d, 6],
        ]
        .concat(),
    );
}
