//! Random configurations, commands and times. There are few users and few groups, so that commands
//! affect one another. The clock goes on, stands still, jumps and goes back.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use disband::{
    Admission, Announce, Command, Config, Engine, GroupId, GroupOptions, HistoryAccess, Limits,
    OwnerExit, Quota, Quotas, Rank, Rate, Seq, Stint, Timestamp, UserId,
};
use proptest::prelude::*;

use crate::sight::{EngineResult, GROUPS, Step, USERS};

pub fn user() -> impl Strategy<Value = UserId> {
    // One user is chosen more often than the others. Otherwise owners and admins would seldom send
    // a command.
    prop_oneof![1 => Just(UserId(0)), 2 => (0..USERS).prop_map(UserId)]
}

pub fn group() -> impl Strategy<Value = GroupId> {
    // Most commands go to one group. Otherwise no group would get a long series of commands.
    prop_oneof![3 => Just(GroupId(0)), 1 => (0..GROUPS).prop_map(GroupId)]
}

pub fn quota() -> impl Strategy<Value = Quota> {
    prop_oneof![
        2 => Just(Quota::Unlimited),
        1 => (1..4u32, 1..2_000u64, 1..5u32).prop_map(|(cells, per_ms, burst)| {
            Quota::Limited(Rate {
                cells: NonZeroU32::new(cells).unwrap(),
                per_ms: NonZeroU64::new(per_ms).unwrap(),
                burst: NonZeroU32::new(burst).unwrap(),
            })
        }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let small = |most| prop::option::weighted(0.2, 0..most);
    let per_group = (small(5u64), small(8u64), small(3u64), small(3u64));
    let texts = (small(3u64), prop::option::weighted(0.5, 0..2u64));
    let totals = (small(12u64), small(12u64));
    (per_group, small(3u64), texts, totals).prop_map(
        |((members, entries, bans, mutes), groups, (message, note), (bytes, memberships))| Limits {
            members_per_group: members,
            groups_per_user: groups,
            message_bytes: message,
            entries_per_group: entries,
            bans_per_group: bans,
            mutes_per_group: mutes,
            note_bytes: note,
            message_bytes_total: bytes,
            memberships_total: memberships,
        },
    )
}

pub fn config() -> impl Strategy<Value = Config> {
    let ttl = prop_oneof![4 => Just(0), 4 => 1..500u64, 1 => 1..5_000u64, 1 => Just(u64::MAX)];
    (any::<u64>(), quota(), quota(), ttl, 0..4u8, limits()).prop_map(
        |(instance, limit, leave, tombstone_ms, departures, limits)| Config {
            instance,
            quotas: Quotas { leave, ..Quotas::all(limit) },
            tombstone_ms,
            departures,
            limits,
        },
    )
}

/// A change of the configuration. Often it keeps the quota of `leave`, the other quotas or both.
/// Seldom it has another instance number, which the engine refuses.
pub fn change() -> impl Strategy<Value = Change> {
    (config(), any::<[bool; 2]>(), prop::bool::weighted(0.9)).prop_map(
        |(config, keep_quotas, keep_instance)| Change { config, keep_quotas, keep_instance },
    )
}

/// A change of the limits, of `departures` and of `tombstone_ms`.
pub fn change_of_limits() -> impl Strategy<Value = Change> {
    config().prop_map(|config| Change { config, keep_quotas: [true; 2], keep_instance: true })
}

#[derive(Debug, Clone)]
pub struct Change {
    config: Config,
    keep_quotas: [bool; 2],
    keep_instance: bool,
}

impl Change {
    /// The configuration that replaces `old`.
    pub fn new_config(&self, old: Config) -> Config {
        let [keep_leave, keep_others] = self.keep_quotas;
        let mut new = self.config;
        let leave = if keep_leave { old.quotas.leave } else { new.quotas.leave };
        if keep_others {
            new.quotas = old.quotas;
        }
        new.quotas.leave = leave;
        if self.keep_instance {
            new.instance = old.instance;
        }
        new
    }
}

pub fn options() -> impl Strategy<Value = GroupOptions> {
    let exit = prop_oneof![
        1 => Just(OwnerExit::Dissolve), 3 => Just(OwnerExit::Succeed), 2 => Just(OwnerExit::Refuse)
    ];
    let history = prop_oneof![Just(HistoryAccess::FromJoin), Just(HistoryAccess::Full)];
    let entries = prop::option::weighted(0.4, 0..6u64);
    let ms = prop::option::weighted(0.4, prop_oneof![0..2_000u64, Just(u64::MAX)]);
    let admission = prop_oneof![3 => Just(Admission::Open), 1 => Just(Admission::Closed)];
    let add = prop_oneof![
        2 => Just(Rank::Member), 2 => Just(Rank::Admin), 1 => Just(Rank::Owner)
    ];
    let post = prop_oneof![
        6 => Just(Rank::Member), 1 => Just(Rank::Admin), 1 => Just(Rank::Owner)
    ];
    let announce = prop_oneof![2 => Just(Announce::Everyone), 1 => Just(Announce::Staff)];
    ((exit, history, entries, ms), (admission, add, post, announce)).prop_map(
        |((owner_exit, history, keep_entries, keep_ms), (admission, add, post, announce))| {
            GroupOptions {
                owner_exit,
                history,
                keep_entries,
                keep_ms,
                admission,
                add,
                post,
                announce,
            }
        },
    )
}

/// The end of a ban or a mute: none, a time near those of most steps, or any time.
fn until() -> impl Strategy<Value = Option<Timestamp>> {
    let near = (999_000..1_010_000u64).prop_map(|ms| Some(Timestamp(ms)));
    prop_oneof![Just(None), near, any::<u64>().prop_map(|ms| Some(Timestamp(ms)))]
}

/// A configuration without rate limits and size limits, so that only the rules for groups and
/// members refuse commands.
pub fn unlimited() -> impl Strategy<Value = Config> {
    config().prop_map(|config| Config { quotas: Quotas::UNLIMITED, limits: Limits::NONE, ..config })
}

pub fn command() -> impl Strategy<Value = Command<UserId, GroupId>> {
    prop_oneof![
        12 => (user(), group(), prop::option::weighted(0.8, options())).prop_map(|(owner, group, options)| {
            Command::Create { owner, group, options }
        }),
        24 => (user(), group()).prop_map(|(user, group)| Command::Join { user, group }),
        7 => (user(), group()).prop_map(|(user, group)| Command::Leave { user, group, stint: None }),
        4 => (user(), group(), 0..30u64).prop_map(|(user, group, stint)| {
            Command::Leave { user, group, stint: Some(Stint(stint)) }
        }),
        8 => (user(), group(), user()).prop_map(|(by, group, user)| Command::Kick { by, group, user }),
        20 => (user(), group(), message()).prop_map(|(author, group, message)| {
            Command::Post { author, group, message }
        }),
        2 => (user(), group(), prop::option::of(message()), prop::option::of(group())).prop_map(
            |(owner, group, note, successor)| Command::Dissolve { owner, group, note, successor }
        ),
        4 => (user(), group(), user()).prop_map(|(owner, group, user)| {
            Command::Transfer { owner, group, user }
        }),
        14 => (user(), group(), user(), rank()).prop_map(|(by, group, user, rank)| {
            Command::SetRank { by, group, user, rank }
        }),
        3 => (user(), group(), options()).prop_map(|(by, group, options)| {
            Command::SetOptions { by, group, options }
        }),
        8 => (user(), group(), user(), until()).prop_map(|(by, group, user, until)| {
            Command::Ban { by, group, user, until }
        }),
        6 => (user(), group(), user()).prop_map(|(by, group, user)| {
            Command::Unban { by, group, user }
        }),
        1 => user().prop_map(|user| Command::LeaveAll { user }),
        10 => (user(), group(), user()).prop_map(|(by, group, user)| {
            Command::Add { by, group, user }
        }),
        9 => (user(), group(), user(), until()).prop_map(|(by, group, user, until)| {
            Command::Mute { by, group, user, until }
        }),
        6 => (user(), group(), user()).prop_map(|(by, group, user)| {
            Command::Unmute { by, group, user }
        }),
        12 => (user(), group(), seq(), message()).prop_map(|(author, group, seq, message)| {
            Command::Edit { author, group, seq, message }
        }),
        10 => (user(), group(), seq()).prop_map(|(by, group, seq)| Command::Erase { by, group, seq }),
    ]
}

fn message() -> impl Strategy<Value = Arc<str>> {
    "[a-c]{0,2}".prop_map(Into::into)
}

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![6 => (0..3u64).prop_map(Seq), 2 => (0..12u64).prop_map(Seq), 1 => any::<u64>().prop_map(Seq)]
}

fn rank() -> impl Strategy<Value = Rank> {
    prop_oneof![5 => Just(Rank::Admin), 2 => Just(Rank::Member), 1 => Just(Rank::Owner)]
}

/// Commands that create groups with a few members and an admin. They come before the random
/// commands. Sometimes there are none.
fn setup() -> impl Strategy<Value = Vec<Command<UserId, GroupId>>> {
    let create_group = |(id, options): (u64, GroupOptions)| {
        let (owner, group) = (UserId(id), GroupId(id));
        let create = Command::Create { owner, group, options: Some(options) };
        let join = (1..4).map(move |n| UserId((id + n) % USERS)).map(move |user| {
            match options.admission {
                Admission::Closed => Command::Add { by: owner, group, user },
                _ => Command::Join { user, group },
            }
        });
        let user = UserId((id + 2) % USERS);
        let admin = Command::SetRank { by: owner, group, user, rank: Rank::Admin };
        [create].into_iter().chain(join).chain([admin])
    };
    let some = prop::collection::vec(options(), GROUPS as usize)
        .prop_map(move |options| (0..GROUPS).zip(options).flat_map(create_group).collect());
    prop_oneof![4 => some, 1 => Just(Vec::new())]
}

/// Commands with times. The times mostly go on; sometimes they stand still, jump or go back.
pub fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let start = prop_oneof![8 => Just(1_000_000u64), 1 => Just(0), 1 => Just(u64::MAX - 3_000)];
    let tick = prop_oneof![
        4 => Just(0i128),
        8 => 1..400i128,
        2 => 400..8_000i128,
        1 => Just(1_000_000i128),
        2 => -3_000..0i128,
        1 => Just(-1_000_000i128),
    ];
    let random = prop::collection::vec((command(), tick), 1..length);
    (start, setup(), random).prop_map(|(start, setup, random)| {
        let mut now = i128::from(start);
        let step = |(command, tick): (_, i128)| {
            now = (now + tick).clamp(0, i128::from(u64::MAX));
            (command, Timestamp(now.try_into().unwrap()))
        };
        setup.into_iter().map(|command| (command, 0)).chain(random).map(step).collect()
    })
}

/// One thing that a host does.
#[derive(Debug, Clone)]
pub enum Turn {
    Command(Command<UserId, GroupId>, Timestamp),
    /// The rate limit is charged for this command, but the command is not run.
    Charge(Command<UserId, GroupId>, Timestamp),
    /// The configuration changes.
    Change(Box<Change>),
}

/// Commands with times. Before a few of them, the rate limit is also charged for the same command
/// without running it. The configuration changes a few times between the commands.
pub fn turns(length: usize) -> impl Strategy<Value = Vec<Turn>> {
    let position = any::<prop::sample::Index>;
    let changes = prop::collection::vec((position(), change()), 0..4);
    let charges = prop::collection::vec(position(), 0..4);
    (steps(length), charges, changes).prop_map(|(steps, charges, changes)| {
        let mut turns: Vec<Turn> =
            steps.into_iter().map(|(command, now)| Turn::Command(command, now)).collect();
        for at in charges {
            let at = at.index(turns.len());
            if let Turn::Command(command, now) = turns[at].clone() {
                turns.insert(at, Turn::Charge(command, now));
            }
        }
        for (at, change) in changes {
            turns.insert(at.index(turns.len()), Turn::Change(Box::new(change)));
        }
        turns
    })
}

/// Runs a turn. Returns the result if the turn is a command.
pub fn run_turn(engine: &mut Engine, turn: &Turn) -> Option<EngineResult> {
    match turn {
        Turn::Command(command, now) => return Some(engine.apply(command.clone(), *now)),
        Turn::Charge(command, now) => {
            let _ = engine.charge(command.operation(), command.actor(), command.group(), *now);
        }
        Turn::Change(change) => {
            let _ = engine.set_config(change.new_config(*engine.config()));
        }
    }
    None
}

/// Runs the steps. After each, calls `inspect` with the engine before the step, the step, its
/// result, and the engine after it.
pub fn run(
    config: Config,
    steps: &[Step],
    mut inspect: impl FnMut(&Engine, &Step, &EngineResult, &Engine),
) -> Engine {
    let mut engine = Engine::new(config);
    for step in steps {
        let before = engine.clone();
        let result = engine.apply(step.0.clone(), step.1);
        inspect(&before, step, &result, &engine);
    }
    engine
}

/// All current memberships, each with its stint (the id of one unbroken membership of one user in
/// one group).
pub fn stints(engine: &Engine) -> BTreeSet<(GroupId, UserId, Stint)> {
    engine
        .groups()
        .flat_map(|(id, group)| group.members().map(move |(user, stint)| (*id, *user, stint)))
        .collect()
}
