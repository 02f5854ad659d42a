//! The JSON of replies and frames (`disband::wire`), byte for byte.

use disband::{
    Absence, CommandResult, Config, Engine, Farewell, GroupId, GroupOptions, Limit, OwnerExit,
    Quotas, Rank, Refusal, Seq, Timestamp, UserId, wire,
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
fn a_refusal_has_exactly_this_json() {
    let at = Timestamp(900);
    assert_refusal(
        Refusal::TooFast { retry_at: Timestamp(3_500) },
        r#"{"ok":false,"code":429,"msg":"GRPS_429","data":{"retry_at":3500,"retry_after_ms":2500}}"#,
    );
    assert_refusal(Refusal::NoSuchGroup, r#"{"ok":false,"code":404,"msg":"GRPS_404","data":{}}"#);
    assert_refusal(
        Refusal::Dissolved { by: ALICE, at, note: None, successor: None },
        r#"{"ok":false,"code":404,"msg":"GRPS_404","data":{"reason":"dissolved","by":"808080","at":900}}"#,
    );
    assert_refusal(
        Refusal::Dissolved {
            by: ALICE,
            at,
            note: Some("moved".into()),
            successor: Some(GroupId(8)),
        },
        r#"{"ok":false,"code":404,"msg":"GRPS_404","data":{"reason":"dissolved","by":"808080","at":900,"note":"moved","successor":"8"}}"#,
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
        Refusal::Closed,
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"closed"}}"#,
    );
    assert_refusal(
        Refusal::TargetBanned { by: ALICE, until: Some(at) },
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"target_banned","by":"808080","until":900}}"#,
    );
    assert_refusal(
        Refusal::Muted { by: ALICE, until: None },
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"muted","by":"808080","until":null}}"#,
    );
    assert_refusal(
        Refusal::NotMuted,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"not_muted"}}"#,
    );
    assert_refusal(
        Refusal::NoSuchEntry,
        r#"{"ok":false,"code":404,"msg":"GRPS_404","data":{"reason":"no_such_entry"}}"#,
    );
    assert_refusal(
        Refusal::NotAuthor,
        r#"{"ok":false,"code":403,"msg":"GRPS_403","data":{"reason":"not_author"}}"#,
    );
    assert_refusal(
        Refusal::AlreadyErased,
        r#"{"ok":false,"code":409,"msg":"GRPS_409","data":{"reason":"already_erased"}}"#,
    );
    for (limit, name) in [
        (Limit::MutesPerGroup, "mutes_per_group"),
        (Limit::NoteBytes, "note_bytes"),
        (Limit::MessageBytesTotal, "message_bytes_total"),
        (Limit::MembershipsTotal, "memberships_total"),
    ] {
        let expected = format!(
            r#"{{"ok":false,"code":413,"msg":"GRPS_413","data":{{"reason":"over_limit","limit":"{name}","max":5}}}}"#
        );
        assert_refusal(Refusal::OverLimit { limit, max: 5 }, &expected);
    }
    assert_refusal(
        Refusal::OverLimit { limit: Limit::GroupsPerUser, max: 5 },
        r#"{"ok":false,"code":413,"msg":"GRPS_413","data":{"reason":"over_limit","limit":"groups_per_user","max":5}}"#,
    );
}

#[test]
fn a_reply_of_success_has_exactly_this_json() {
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
fn replies_of_moderation_and_leave_all_have_exactly_this_json() {
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
    let user = UserId(5);
    let added = r#"{"ok":true,"code":200,"msg":"OK","data":{"stint":8}}"#;
    assert_eq!(reply(Add { by: BOB, group, user }), added);
    assert_eq!(reply(Mute { by: BOB, group, user, until: None }), plain);
    assert_eq!(reply(Unmute { by: BOB, group, user }), plain);
    reply(Post { author: user, group, message: "hi".into() });
    let edit = Edit { author: user, group, seq: Seq(0), message: "hello".into() };
    assert_eq!(reply(edit), plain);
    assert_eq!(reply(Erase { by: BOB, group, seq: Seq(0) }), plain);
    let dissolve = Dissolve { owner: BOB, group, note: Some("moved".into()), successor: None };
    assert_eq!(reply(dissolve), plain);
}

#[test]
fn a_frame_has_exactly_this_json() {
    let config =
        Config { instance: 0xa1ce_a2ac_677a_e978, quotas: Quotas::UNLIMITED, ..Config::default() };
    let mut engine = Engine::new(config);
    engine.create(ALICE, GROUP, NOW).unwrap().ignore_signals();
    let mut signals = engine.join(BOB, GROUP, NOW).unwrap().signals;
    signals.extend(engine.post(BOB, GROUP, "a \"quoted\"\nline", NOW).unwrap().signals);
    signals.extend(engine.leave(BOB, GROUP, NOW).unwrap().signals);
    engine.join(BOB, GROUP, NOW).unwrap().ignore_signals();
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
    engine.create(ALICE, GroupId(1), NOW).unwrap().ignore_signals();
    engine.join(BOB, GroupId(1), NOW).unwrap().ignore_signals();
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
    engine.create(ALICE, GroupId(2), NOW).unwrap().ignore_signals();
    let mut later = engine.add(ALICE, GroupId(2), BOB, NOW).unwrap().signals;
    engine.post(BOB, GroupId(2), "hi", NOW).unwrap().ignore_signals();
    later.extend(engine.edit(BOB, GroupId(2), Seq(0), "hello", Timestamp(1_001)).unwrap().signals);
    later.extend(engine.erase(ALICE, GroupId(2), Seq(0), NOW).unwrap().signals);
    later.extend(engine.mute(ALICE, GroupId(2), BOB, None, NOW).unwrap().signals);
    let until = Some(Timestamp(9_000));
    later.extend(engine.mute(ALICE, GroupId(2), BOB, until, NOW).unwrap().signals);
    later.extend(engine.unmute(ALICE, GroupId(2), BOB, NOW).unwrap().signals);
    let farewell = Farewell { note: Some("moved".into()), successor: Some(GroupId(8)) };
    later.extend(engine.dissolve(ALICE, GroupId(2), farewell, NOW).unwrap().signals);
    let frames: Vec<String> = later
        .iter()
        .map(|signal| serde_json::to_string(&wire::Frame::from(signal)).unwrap())
        .collect();
    assert_eq!(
        frames,
        [
            r#"{"key":"a1cea2ac677ae978000000000000000b","from":"808081","type":"memberjoin","groupid":"2"}"#,
            r#"{"key":"a1cea2ac677ae978000000000000000d","from":"808081","type":"messageedit","groupid":"2","seq":0,"at":1001,"message":"hello"}"#,
            r#"{"key":"a1cea2ac677ae978000000000000000e","from":"808080","type":"messageerase","groupid":"2","seq":0}"#,
            r#"{"key":"a1cea2ac677ae978000000000000000f","from":"808081","type":"mute","groupid":"2","until":null}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000010","from":"808081","type":"mute","groupid":"2","until":9000}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000011","from":"808081","type":"unmute","groupid":"2"}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000012","from":"808080","type":"memberkick","groupid":"2"}"#,
            r#"{"key":"a1cea2ac677ae9780000000000000013","from":"808080","type":"historypurge","groupid":"2","note":"moved","successor":"8"}"#,
        ]
    );
    let versioned = serde_json::to_string(&wire::VersionedFrame::from(&signals[2])).unwrap();
    assert_eq!(
        versioned,
        r#"{"key":"a1cea2ac677ae9780000000000000003","from":"808081","type":"memberleave","groupid":"6228482","version":3}"#
    );
}
