//! All peers give the same results: the figures compare like with like.

use disband_peers::mix::MS_PER_COMMAND;
use disband_peers::rows::{Measure, Part, Row};
use disband_peers::script::{Mix, Scale};
use disband_peers::{Answer, Handwritten, Ours, Peer, Recipients, Step};

const SCALE: Scale = Scale { groups: 40, largest: 200, commands: 20_000 };

/// All that a peer says.
#[derive(Debug, PartialEq)]
struct Account {
    answers: Vec<(Step, Answer, Vec<u64>)>,
    members: Vec<Vec<u64>>,
    entries: Vec<u64>,
    groups_of: Vec<Vec<u64>>,
}

/// Runs the mix and gathers all that the peer says.
struct Everything;

impl Measure for Everything {
    type Figures = Account;

    fn of<P: Peer>(&self, mut peer: P) -> Account {
        let mut mix = Mix::new(SCALE, 7);
        peer.fill(&mut mix.setup());
        let mut answers = Vec::new();
        for _ in 0..SCALE.commands {
            let step = mix.step();
            peer.wait(MS_PER_COMMAND - 1);
            peer.snapshot();
            let output = peer.run(step);
            let gone = P::gone(&output);
            assert_eq!(P::is_large(&output), !gone.is_empty() && P::is_large(&output));
            answers.push((step, P::answer(&output), gone));
            drop(peer.keep(output));
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
}

#[test]
fn all_rows_give_the_same_results() {
    let redis = std::env::var("REDIS_URL").ok();
    if redis.is_none() {
        eprintln!("Redis is left out: REDIS_URL is not set.");
    }
    let (first, others) = Part::Mix.rows().split_first().unwrap();
    let expected = first.measure(&Everything, None).unwrap();
    for row in others.iter().filter(|row| **row != Row::Redis || redis.is_some()) {
        let account = row.measure(&Everything, redis.as_deref()).unwrap();
        assert!(account == expected, "{}", row.title());
    }
}

/// The copies are of the recipients that disband's signals have. A dissolved group is handed over,
/// and its signals need no copy.
#[test]
fn copied_recipients_are_those_of_disband() {
    let (mut ours, mut copying) = (Ours::default(), Handwritten::copying());
    let mut mix = Mix::new(SCALE, 7);
    ours.fill(&mut mix.setup());
    copying.fill(&mut mix.setup());
    let mut copies = 0;
    for _ in 0..SCALE.commands {
        let step = mix.step();
        let (Ok(outcome), Ok(done)) = (ours.run(step), copying.run(step)) else { continue };
        for (signal, other) in outcome.signals.iter().zip(&done.signals) {
            match &other.recipients {
                Recipients::Copied(ids) => {
                    let mut ids = ids.clone();
                    ids.sort_unstable();
                    assert!(signal.audience.iter().eq(&ids), "{step:?}");
                    copies += 1;
                }
                Recipients::InGroup { .. } => assert!(done.dissolved.is_some(), "{step:?}"),
            }
        }
    }
    assert!(copies > SCALE.commands / 2, "{copies} signals with copies");
}

/// The script does what it says, or the figures would be about something else.
#[test]
fn the_mix_has_everything_in_it() {
    let Account { answers, members, .. } = Everything.of(Ours::default());
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
