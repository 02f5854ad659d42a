//! All peers give the same results: the figures compare like with like.

use disband_peers::script::{Mix, Scale};
use disband_peers::{Answer, Handwritten, Ours, Peer, Redis, Shared, Sqlite, Step};

const SCALE: Scale = Scale { groups: 40, largest: 200, commands: 20_000 };

/// All that a peer says.
#[derive(Debug, PartialEq)]
struct Account {
    answers: Vec<(Step, Answer, Vec<u64>)>,
    members: Vec<Vec<u64>>,
    entries: Vec<u64>,
    groups_of: Vec<Vec<u64>>,
}

fn account<P: Peer>(mut peer: P) -> Account {
    let mut mix = Mix::new(SCALE, 7);
    peer.fill(&mut mix.setup());
    let mut answers = Vec::new();
    for _ in 0..SCALE.commands {
        let step = mix.step();
        peer.prepare();
        let output = peer.run(step);
        let gone = P::gone(&output);
        assert_eq!(P::is_large(&output), !gone.is_empty() && P::is_large(&output));
        answers.push((step, P::answer(&output), gone));
    }
    peer.catch_up();
    let groups: Vec<u64> = mix.groups().collect();
    Account {
        members: groups.iter().map(|group| peer.members(*group)).collect(),
        entries: groups.iter().map(|group| peer.entries(*group)).collect(),
        groups_of: (0..2 * SCALE.largest).map(|user| peer.groups_of(user)).collect(),
        answers,
    }
}

#[test]
fn all_peers_give_the_same_results() {
    let ours = account(Ours::default());
    assert!(account(Shared::default()) == ours, "a snapshot alive");
    assert!(account(Handwritten::default()) == ours, "hand-written");
    assert!(account(Sqlite::default()) == ours, "SQLite");
    match std::env::var("REDIS_URL") {
        Ok(url) => assert!(account(Redis::connect(&url).unwrap()) == ours, "Redis"),
        Err(_) => eprintln!("Redis is left out: REDIS_URL does not say where there is one."),
    }
}

/// The script does what it says, or the figures would be about something else.
#[test]
fn the_mix_has_everything_in_it() {
    let Account { answers, members, .. } = account(Ours::default());
    let count = |wanted: &dyn Fn(&Step, &Answer) -> bool| {
        answers.iter().filter(|(step, answer, _)| wanted(step, answer)).count()
    };
    let of_1_000 = |count: usize| count * 1_000 / answers.len();
    assert!((550..650).contains(&of_1_000(count(&|step, _| matches!(step, Step::Post { .. })))));
    assert!((150..200).contains(&of_1_000(count(&|step, _| matches!(step, Step::Join { .. })))));
    assert!((20..60).contains(&of_1_000(count(&|step, _| matches!(step, Step::Kick { .. })))));
    for code in [400, 404] {
        assert!(count(&|_, answer| *answer == Err(code)) > 0, "{code}");
    }
    let refused = count(&|step, answer| !matches!(step, Step::Leave { .. }) && answer.is_err());
    assert_eq!(refused, 0, "the script knows what to ask for");
    let dissolved = answers.iter().filter(|(_, _, gone)| !gone.is_empty()).count();
    assert!(dissolved > 10, "{dissolved} owners left");
    assert!(members.iter().all(|members| !members.is_empty()));
}
