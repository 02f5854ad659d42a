//! All peers give the same results, so their figures can be compared.

use disband_peers::mix::MS_PER_COMMAND;
use disband_peers::rows::{Measure, Part, Row};
use disband_peers::script::{Mix, Scale};
use disband_peers::{Answer, Handwritten, Ours, Peer, Recipients, Step};

const SCALE: Scale = Scale { groups: 40, largest: 200, commands: 20_000 };

/// All results of a peer.
#[derive(Debug, PartialEq)]
struct Results {
    /// For each step the answer, and the members of the group if the step dissolved it.
    answers: Vec<(Step, Answer, Vec<u64>)>,
    members: Vec<Vec<u64>>,
    entries: Vec<u64>,
    groups_of: Vec<Vec<u64>>,
}

/// Runs the mix and collects all results of the peer.
struct CollectResults;

impl Measure for CollectResults {
    type Figures = Results;

    fn of<P: Peer>(&self, mut peer: P) -> Results {
        let mut mix = Mix::new(SCALE, 7);
        peer.fill(&mut mix.setup());
        let mut answers = Vec::new();
        for _ in 0..SCALE.commands {
            let step = mix.step();
            peer.wait(MS_PER_COMMAND - 1);
            peer.snapshot();
            let output = peer.run(step);
            let dissolved = P::dissolved_members(&output);
            assert_eq!(P::is_large(&output), !dissolved.is_empty() && P::is_large(&output));
            answers.push((step, P::answer(&output), dissolved));
            drop(peer.keep(output));
        }
        peer.catch_up();
        let groups: Vec<u64> = mix.groups().collect();
        Results {
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
    let expected = first.measure(&CollectResults, None).unwrap();
    for row in others.iter().filter(|row| **row != Row::Redis || redis.is_some()) {
        let results = row.measure(&CollectResults, redis.as_deref()).unwrap();
        assert!(results == expected, "{}", row.title());
    }
}

/// The signals of a dissolution have no copies, because the command returns the whole group.
#[test]
fn copied_recipients_are_the_same_users_as_in_disband() {
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

/// Otherwise the figures would describe another mix than the documented one.
#[test]
fn the_mix_has_the_documented_shares_of_commands() {
    let Results { answers, members, .. } = CollectResults.of(Ours::default());
    let count = |wanted: &dyn Fn(&Step, &Answer) -> bool| {
        answers.iter().filter(|(step, answer, _)| wanted(step, answer)).count()
    };
    let per_1_000 = |count: usize| count * 1_000 / answers.len();
    assert!((550..650).contains(&per_1_000(count(&|step, _| matches!(step, Step::Post { .. })))));
    assert!((150..200).contains(&per_1_000(count(&|step, _| matches!(step, Step::Join { .. })))));
    assert!((20..60).contains(&per_1_000(count(&|step, _| matches!(step, Step::Kick { .. })))));
    for code in [400, 404] {
        assert!(count(&|_, answer| *answer == Err(code)) > 0, "{code}");
    }
    let refused = count(&|step, answer| !matches!(step, Step::Leave { .. }) && answer.is_err());
    assert_eq!(refused, 0, "only leaves may be refused");
    let dissolved = answers.iter().filter(|(_, _, members)| !members.is_empty()).count();
    assert!(dissolved > 10, "{dissolved} owners left");
    assert!(members.iter().all(|members| !members.is_empty()));
}
