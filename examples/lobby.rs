//! A game lobby for up to three players. The owner leaves, and an admin becomes the owner. When the
//! game starts, the lobby is dissolved, and its players join the group that replaces it.
//!
//! `cargo run --example lobby`

use std::error::Error;
use std::time::Duration;

use disband::{
    Config, Departure, Engine, Event, Farewell, GroupId, GroupOptions, Limit, Limits, OwnerExit,
    Quota, Quotas, Rank, Refusal, Timestamp, UserId,
};

const ALICE: UserId = UserId(1);
const BOB: UserId = UserId(2);
const CAROL: UserId = UserId(3);
const DAVE: UserId = UserId(4);
const LOBBY: GroupId = GroupId(100);
const GAME: GroupId = GroupId(101);

fn main() -> Result<(), Box<dyn Error>> {
    let limits = Limits { members_per_group: Some(3), ..Limits::default() };
    let quotas = Quotas { join: Quota::per(2, Duration::from_secs(10))?, ..Quotas::default() };
    let mut engine = Engine::new(Config { limits, quotas, ..Config::default() });
    // A server passes its clock: `Timestamp::from(SystemTime::now())`.
    let now = Timestamp(1_000);

    // Alice opens the lobby, and makes Bob an admin.
    let options = GroupOptions { owner_exit: OwnerExit::Succeed, ..GroupOptions::default() };
    engine.create_with(ALICE, LOBBY, options, now)?.ignore_signals();
    engine.join(BOB, LOBBY, now)?.ignore_signals();
    engine.join(CAROL, LOBBY, now)?.ignore_signals();
    engine.set_rank(ALICE, LOBBY, BOB, Rank::Admin, now)?.ignore_signals();

    // The lobby is full. Refused commands are charged too, so Dave's third request is too fast.
    let full = Refusal::OverLimit { limit: Limit::MembersPerGroup, max: 3 };
    for _ in 0..2 {
        let refusal = engine.join(DAVE, LOBBY, now).unwrap_err();
        println!("{DAVE} joins: {refusal}");
        assert_eq!(refusal, full);
    }
    let refusal = engine.join(DAVE, LOBBY, now).unwrap_err();
    println!("{DAVE} joins: {refusal}");
    let Refusal::TooFast { retry_at } = refusal else { panic!("{refusal}") };

    // The owner leaves. Bob is the only admin, so he becomes the owner. Dave takes the free place.
    let left = engine.leave(ALICE, LOBBY, now)?;
    for signal in &left.signals {
        println!("{signal}");
    }
    let Departure::Succeeded { owner, .. } = left.value else { panic!("{:?}", left.value) };
    assert_eq!(owner, BOB);
    let now = retry_at;
    engine.join(DAVE, LOBBY, now)?.ignore_signals();

    // Bob starts the game: he creates a group for it, and dissolves the lobby. The others read the
    // group's id in the last signal of the lobby, and join it.
    engine.create(BOB, GAME, now)?.ignore_signals();
    let farewell = Farewell { note: Some("the game starts".into()), successor: Some(GAME) };
    let dissolved = engine.dissolve(BOB, LOBBY, farewell, now)?;
    for (player, signal) in dissolved.deliveries() {
        if let Event::HistoryPurge { note: Some(note), successor: Some(game), .. } = &signal.event {
            println!("{player} reads {note:?}, and joins {game}");
            engine.join(*player, *game, now)?.ignore_signals();
        }
    }
    let game = engine.group(&GAME).ok_or("there is no game")?;
    assert!(game.members().map(|(player, _)| *player).eq([BOB, CAROL, DAVE]));

    // Alice comes back too late. The refusal also has the id of the game.
    let refusal = engine.join(ALICE, LOBBY, now).unwrap_err();
    println!("{ALICE} joins: {refusal}");
    assert!(matches!(refusal, Refusal::Dissolved { successor: Some(GAME), .. }));
    Ok(())
}
