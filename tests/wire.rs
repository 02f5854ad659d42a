//! The wire, to the byte.

use disband::{
    Absence, CommandResult, Config, Engine, GroupId, Quotas, Refusal, Seq, Stint, Timestamp,
    UserId, wire,
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
        r#"{"create":{"owner":"1","group":"2","options":{"owner_exit":"dissolve"}}}"#,
        &[0, 1, 2, 1, 0],
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
            r#""post":{"limited":{"cells":1,"per_ms":250,"burst":20}}},"#,
            r#""tombstone_ms":2678400000,"departures":16}"#
        ),
        &[
            0, 1, 1, 0x90, 0x4e, 5, 1, 1, 0xd0, 0x0f, 3, 1, 1, 0xd0, 0x0f, 3, 1, 1, 0xfa, 1, 20, 1,
            1, 0xfa, 1, 20, 0x80, 0xc8, 0x94, 0xfd, 9, 16,
        ],
    );
}
