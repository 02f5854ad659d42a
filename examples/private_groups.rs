//! A private group with text ids. Nobody can join it, so the owner adds its members. Then the owner
//! erases a message, mutes its author, and kicks them. Late requests of that author to leave are
//! refused.
//!
//! `cargo run --example private_groups`

use std::error::Error;
use std::sync::Arc;

use disband::{Absence, Admission, Engine, GroupOptions, Page, Refusal, Timestamp};

fn main() -> Result<(), Box<dyn Error>> {
    let mut engine = Engine::<Arc<str>, Arc<str>>::default();
    let [alice, bob, club] = ["alice", "bob", "book club"].map(Arc::<str>::from);
    // A server passes its clock: `Timestamp::from(SystemTime::now())`.
    let now = Timestamp(1_000);

    let options = GroupOptions { admission: Admission::Closed, ..GroupOptions::default() };
    engine.create_with(alice.clone(), club.clone(), options, now)?.ignore_signals();

    // Nobody can join a closed group. Bob has accepted Alice's invitation, so she adds him.
    let refusal = engine.join(bob.clone(), club.clone(), now).unwrap_err();
    println!("bob joins: {refusal}");
    assert_eq!(refusal, Refusal::Closed);
    let stint = engine.add(alice.clone(), club.clone(), bob.clone(), now)?.ignore_signals();
    println!("alice adds bob: this membership is stint {stint}");

    // Alice erases a message of Bob's. Its entry stays in the log, without the text.
    let rude = engine.post(bob.clone(), club.clone(), "a rude word", now)?.ignore_signals();
    engine.erase(alice.clone(), club.clone(), rude, now)?.ignore_signals();
    let (seq, entry) = engine.history("alice", "book club", Page::newest(1), now)?.next().unwrap();
    println!("message {seq} by {}: {:?}", entry.author, entry.message);
    assert_eq!((&*entry.message, entry.erased_by()), ("", Some(&alice)));

    // Alice mutes Bob for a minute.
    let until = now.after(60_000);
    engine.mute(alice.clone(), club.clone(), bob.clone(), Some(until), now)?.ignore_signals();
    let refusal = engine.post(bob.clone(), club.clone(), "another", now).unwrap_err();
    println!("bob posts: {refusal}");
    assert_eq!(refusal, Refusal::Muted { by: alice.clone(), until: Some(until) });
    engine.post(bob.clone(), club.clone(), "sorry", until)?.ignore_signals();

    // Bob's client asks to leave, but the request is slow. Alice's kick comes first.
    let now = until.after(1_000);
    engine.kick(alice.clone(), club.clone(), bob.clone(), now)?.ignore_signals();
    let refusal = engine.leave_stint(bob.clone(), club.clone(), stint, now).unwrap_err();
    println!("bob leaves: {refusal}");
    assert_eq!(refusal, Refusal::NotMember(Absence::Kicked { by: alice.clone(), at: now }));

    // Alice adds Bob again. His client repeats its request, which names the old membership.
    engine.add(alice.clone(), club.clone(), bob.clone(), now)?.ignore_signals();
    let refusal = engine.leave_stint(bob, club, stint, now).unwrap_err();
    println!("bob leaves, again: {refusal}");
    assert_eq!(refusal, Refusal::NotMember(Absence::StintOver));
    assert!(engine.group("book club").is_some_and(|club| club.contains("bob")));
    Ok(())
}
