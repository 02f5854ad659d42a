//! Counts what commands and reads cost in groups of 10, 1,000 and 100,000 members: comparisons and
//! clones of ids, allocations, bytes and frees. The counts are the same on every machine.
//!
//! `cargo test --test counting -- --nocapture` prints the counts, in the form of the tables below.
//!
//! The index lists the groups of each user. A dissolved group leaves stale entries in the index,
//! which the sweep removes during later commands. A tombstone is what is remembered of a dissolved
//! group for a while. A rate cell is the stored state of one rate limit.

use std::sync::OnceLock;
use std::thread;

use disband::{
    Announce, BatchResult, Command, CommandResult, Config, Engine, GroupOptions, HistoryAccess,
    Limits, Operation, OwnerExit, Page, Quotas, Rank, Reply, Seq, Stint, Timestamp,
};

mod counted;

use counted::{COLUMNS, Counts, Group, User, count, larger};

const SIZES: [u64; 3] = [10, 1_000, 100_000];

/// The most that a cost may be at 100,000 members is this factor times the cost at 1,000 members,
/// plus [`GROWTH_CONSTANT`]. A logarithmic cost does not even double. A linear cost grows a
/// hundredfold.
const GROWTH_FACTOR: u64 = 2;

/// In the order of [`COLUMNS`]. The constants allow for:
/// - maps that are an array at one group size and a tree at another. Changing an array of 32 rate
///   cells clones its keys, of two ids each, and the keys of their order of eviction.
/// - compared group ids in a run of the sweep. Each of its 96 looks is a search among the groups
///   that were dissolved. At 100,000 members more of these groups are remembered.
/// - freeing four blocks of 32 texts that were dropped from a log before.
const GROWTH_CONSTANT: Counts = [10, 1_100, 140, 10, 8_000, 140];

/// A command to be counted.
struct Case {
    name: &'static str,
    /// How many times the command is counted, each time with another user. The largest count of
    /// each column is the result.
    samples: usize,
    /// The status of the result: 200, or the code of the refusal.
    code: u16,
    prepare: fn(&mut World, usize) -> Act,
    /// The most that the command may cost in an engine where only rate cells have expired.
    usual: Counts,
    /// The most that the command may cost while there is much to clean: expired tombstones, expired
    /// rate cells and stale index entries.
    cleaning: Counts,
    /// The same as `cleaning`, while a clone of the engine exists that was made just before.
    snapshot: Counts,
}

/// A read to be counted.
struct Read {
    name: &'static str,
    read: fn(&World, usize) -> Counts,
    most: Counts,
}

#[derive(Clone)]
enum Act {
    One(Command<User, Group>),
    Batch(Vec<Command<User, Group>>),
}

/// The most that each command may cost at 100,000 members, in the order of [`COLUMNS`]. For ids and
/// bytes it is what was measured plus a few per cent. For allocations it is exactly what was
/// measured, because a walk over all members may be visible in no other column: an iterator that
/// only reads allocates once, for its path through the tree.
///
/// The two dissolutions come last because they end the groups that other cases need.
#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "create", samples: 8, code: 200, prepare: create,
           usual: [57, 30, 28, 4, 1_056, 5], cleaning: [57, 115, 28, 4, 1_056, 6],
           snapshot: [57, 115, 780, 42, 33_696, 4] },
    Case { name: "join", samples: 33, code: 200, prepare: join,
           usual: [120, 31, 14, 1, 192, 3], cleaning: [2_052, 1_396, 115, 104, 9_536, 113],
           snapshot: [2_052, 1_396, 1_633, 171, 67_648, 113] },
    Case { name: "leave", samples: 33, code: 200, prepare: leave,
           usual: [110, 31, 18, 3, 1_088, 3], cleaning: [109, 61, 18, 3, 1_088, 4],
           snapshot: [109, 61, 949, 47, 41_184, 3] },
    Case { name: "leave of a stint", samples: 33, code: 200, prepare: leave_stint,
           usual: [106, 27, 13, 2, 1_440, 2], cleaning: [106, 56, 13, 2, 1_440, 5],
           snapshot: [106, 56, 920, 47, 41_472, 5] },
    Case { name: "leave of an admin", samples: 8, code: 200, prepare: leave_of_an_admin,
           usual: [120, 27, 13, 1, 192, 2], cleaning: [120, 55, 13, 1, 192, 3],
           snapshot: [120, 55, 1_026, 49, 43_712, 3] },
    Case { name: "leave_all of 3 groups", samples: 8, code: 200, prepare: leave_all,
           usual: [143, 58, 101, 15, 3_232, 15], cleaning: [143, 137, 64, 12, 2_464, 13],
           snapshot: [143, 137, 1_028, 61, 43_808, 9] },
    Case { name: "add", samples: 33, code: 200, prepare: add,
           usual: [180, 431, 14, 3, 544, 4], cleaning: [2_050, 1_395, 115, 104, 9_536, 113],
           snapshot: [2_050, 1_395, 1_309, 164, 58_784, 113] },
    Case { name: "kick", samples: 33, code: 200, prepare: kick,
           usual: [114, 29, 20, 4, 704, 4], cleaning: [115, 85, 20, 4, 704, 5],
           snapshot: [115, 85, 979, 48, 39_552, 5] },
    Case { name: "post", samples: 33, code: 200, prepare: post,
           usual: [81, 31, 12, 3, 2_016, 4], cleaning: [81, 89, 13, 3, 2_016, 5],
           snapshot: [81, 89, 906, 46, 41_280, 5] },
    Case { name: "edit", samples: 33, code: 200, prepare: edit,
           usual: [79, 27, 156, 14, 10_912, 11], cleaning: [79, 82, 156, 14, 10_912, 11],
           snapshot: [79, 82, 870, 58, 48_640, 8] },
    Case { name: "erase", samples: 33, code: 200, prepare: erase,
           usual: [118, 432, 12, 4, 672, 4], cleaning: [1_903, 1_393, 113, 105, 9_568, 114],
           snapshot: [1_903, 1_393, 1_003, 158, 54_336, 112] },
    Case { name: "transfer", samples: 8, code: 200, prepare: transfer,
           usual: [115, 30, 29, 5, 2_816, 3], cleaning: [115, 82, 29, 5, 2_816, 5],
           snapshot: [115, 82, 870, 46, 37_856, 4] },
    Case { name: "set_rank to admin", samples: 8, code: 200, prepare: appoint,
           usual: [87, 29, 10, 4, 1_760, 4], cleaning: [87, 87, 10, 4, 1_760, 4],
           snapshot: [87, 87, 786, 42, 35_392, 4] },
    Case { name: "set_rank to member", samples: 8, code: 200, prepare: demote,
           usual: [89, 29, 9, 1, 192, 2], cleaning: [89, 87, 9, 1, 192, 2],
           snapshot: [89, 87, 811, 43, 35_808, 2] },
    Case { name: "join of a quiet group", samples: 16, code: 200, prepare: join_of_a_quiet_group,
           usual: [142, 31, 13, 2, 1_024, 3], cleaning: [143, 85, 14, 2, 1_024, 5],
           snapshot: [143, 85, 1_206, 56, 48_480, 5] },
    Case { name: "leave of a quiet group", samples: 16, code: 200, prepare: leave_of_a_quiet_group,
           usual: [108, 30, 13, 1, 192, 3], cleaning: [108, 57, 13, 1, 192, 3],
           snapshot: [108, 57, 861, 44, 39_264, 3] },
    Case { name: "add to a quiet group", samples: 16, code: 200, prepare: add_to_a_quiet_group,
           usual: [177, 429, 15, 2, 256, 2], cleaning: [2_055, 1_387, 116, 104, 9_536, 114],
           snapshot: [2_055, 1_387, 1_292, 164, 58_720, 114] },
    Case { name: "kick from a quiet group", samples: 16, code: 200, prepare: kick_from_a_quiet_group,
           usual: [115, 29, 13, 1, 192, 4], cleaning: [115, 83, 13, 1, 192, 4],
           snapshot: [115, 83, 875, 46, 38_496, 4] },
    Case { name: "set_options", samples: 8, code: 200, prepare: set_options,
           usual: [58, 29, 9, 2, 576, 3], cleaning: [58, 82, 9, 2, 576, 4],
           snapshot: [58, 82, 629, 37, 31_488, 4] },
    Case { name: "ban of a member", samples: 16, code: 200, prepare: ban_of_a_member,
           usual: [203, 431, 16, 3, 768, 3], cleaning: [180, 88, 16, 3, 768, 5],
           snapshot: [180, 88, 1_164, 57, 46_752, 5] },
    Case { name: "ban of a stranger", samples: 8, code: 200, prepare: ban_of_a_stranger,
           usual: [159, 29, 12, 0, 0, 2], cleaning: [159, 85, 13, 0, 0, 3],
           snapshot: [159, 85, 949, 49, 39_296, 3] },
    Case { name: "unban", samples: 8, code: 200, prepare: unban,
           usual: [111, 29, 8, 2, 640, 3], cleaning: [110, 85, 8, 2, 640, 4],
           snapshot: [110, 85, 872, 46, 38_496, 4] },
    Case { name: "mute of a member", samples: 16, code: 200, prepare: mute_of_a_member,
           usual: [148, 30, 14, 3, 832, 3], cleaning: [148, 85, 14, 3, 832, 4],
           snapshot: [148, 85, 1_002, 52, 43_392, 4] },
    Case { name: "mute of a stranger", samples: 8, code: 200, prepare: mute_of_a_stranger,
           usual: [162, 29, 13, 0, 0, 3], cleaning: [162, 85, 13, 0, 0, 3],
           snapshot: [162, 85, 918, 49, 41_568, 3] },
    Case { name: "unmute", samples: 8, code: 200, prepare: unmute,
           usual: [147, 30, 9, 2, 704, 3], cleaning: [147, 87, 9, 2, 704, 3],
           snapshot: [147, 87, 906, 48, 41_312, 3] },
    Case { name: "batch of leave and join", samples: 8, code: 200, prepare: batch,
           usual: [152, 21, 684, 34, 23_136, 30], cleaning: [152, 109, 939, 50, 35_904, 48],
           snapshot: [152, 109, 939, 50, 35_904, 6] },

    Case { name: "refused: join by a member", samples: 8, code: 409, prepare: join_by_a_member,
           usual: [111, 433, 8, 1, 128, 2], cleaning: [1_807, 1_395, 109, 103, 9_376, 114],
           snapshot: [1_807, 1_395, 1_163, 150, 55_008, 114] },
    Case { name: "refused: join by a banned user", samples: 8, code: 403, prepare: join_by_a_banned_user,
           usual: [64, 32, 10, 0, 0, 0], cleaning: [64, 87, 10, 0, 0, 2],
           snapshot: [64, 87, 736, 34, 34_048, 2] },
    Case { name: "refused: leave by a stranger", samples: 8, code: 400, prepare: leave_by_a_stranger,
           usual: [83, 27, 8, 1, 1_280, 2], cleaning: [83, 53, 8, 1, 1_280, 2],
           snapshot: [83, 53, 556, 28, 29_024, 2] },
    Case { name: "refused: leave of an unknown group", samples: 8, code: 404, prepare: leave_of_an_unknown_group,
           usual: [51, 33, 7, 0, 0, 2], cleaning: [51, 69, 7, 0, 0, 2],
           snapshot: [51, 69, 604, 27, 28_160, 2] },
    Case { name: "refused: leave of a dissolved group", samples: 8, code: 404, prepare: leave_of_a_dissolved_group,
           usual: [51, 33, 7, 1, 864, 2], cleaning: [51, 68, 7, 1, 864, 3],
           snapshot: [51, 68, 545, 27, 28_160, 3] },
    Case { name: "refused: create of a living group", samples: 8, code: 409, prepare: create_of_a_living_group,
           usual: [40, 27, 70, 2, 2_112, 3], cleaning: [2_032, 1_390, 144, 105, 10_848, 116],
           snapshot: [2_032, 1_390, 911, 144, 45_504, 114] },
    Case { name: "refused: kick by a member", samples: 8, code: 403, prepare: kick_by_a_member,
           usual: [60, 27, 40, 2, 832, 5], cleaning: [60, 80, 40, 2, 832, 6],
           snapshot: [60, 80, 618, 35, 31_040, 4] },
    Case { name: "refused: post by a stranger", samples: 8, code: 400, prepare: post_by_a_stranger,
           usual: [78, 27, 9, 0, 0, 3], cleaning: [78, 81, 9, 0, 0, 4],
           snapshot: [78, 81, 659, 35, 34_560, 3] },
    Case { name: "refused: add of a member", samples: 8, code: 409, prepare: add_of_a_member,
           usual: [78, 29, 9, 0, 0, 2], cleaning: [78, 83, 9, 0, 0, 3],
           snapshot: [78, 83, 531, 31, 28_000, 3] },
    Case { name: "refused: post by a muted member", samples: 8, code: 403, prepare: post_by_a_muted_member,
           usual: [75, 27, 10, 1, 1_280, 2], cleaning: [75, 82, 10, 1, 1_280, 4],
           snapshot: [75, 82, 671, 34, 33_728, 3] },
    Case { name: "refused: edit by another user", samples: 8, code: 403, prepare: edit_by_another_user,
           usual: [78, 31, 7, 0, 0, 3], cleaning: [78, 88, 7, 0, 0, 5],
           snapshot: [78, 88, 678, 37, 35_424, 4] },
    Case { name: "refused: erase of an unknown entry", samples: 8, code: 404, prepare: erase_of_an_unknown_entry,
           usual: [92, 532, 9, 1, 128, 2], cleaning: [56, 83, 9, 0, 0, 3],
           snapshot: [56, 83, 545, 31, 29_056, 3] },
    Case { name: "refused: dissolve with a long note", samples: 8, code: 413, prepare: dissolve_with_a_long_note,
           usual: [54, 29, 9, 2, 768, 3], cleaning: [54, 55, 9, 2, 768, 4],
           snapshot: [54, 55, 432, 23, 23_520, 3] },
    Case { name: "refused: too fast", samples: 8, code: 429, prepare: too_fast,
           usual: [18, 14, 5, 0, 0, 0], cleaning: [18, 14, 5, 0, 0, 0],
           snapshot: [18, 14, 5, 0, 0, 0] },

    Case { name: "leave of an owner who is succeeded", samples: 4, code: 200, prepare: succession,
           usual: [141, 26, 19, 2, 1_184, 3], cleaning: [141, 51, 19, 2, 1_184, 4],
           snapshot: [141, 51, 992, 47, 42_272, 3] },
    Case { name: "post under a retention by age", samples: 33, code: 200, prepare: post_under_a_retention,
           usual: [83, 32, 12, 3, 2_016, 3], cleaning: [83, 88, 12, 3, 2_016, 36],
           snapshot: [83, 88, 768, 49, 44_320, 5] },
    Case { name: "post at the limit of all bytes", samples: 8, code: 200, prepare: post_at_the_limit,
           usual: [120, 534, 37, 5, 6_496, 5], cleaning: [82, 84, 37, 11, 12_736, 144],
           snapshot: [82, 84, 810, 56, 53_696, 12] },
    Case { name: "set_options that drops the log", samples: 1, code: 200, prepare: drop_the_log,
           usual: [52, 27, 7, 2, 256, 133], cleaning: [52, 81, 7, 2, 256, 134],
           snapshot: [52, 81, 578, 40, 32_576, 2] },
    Case { name: "dissolve", samples: 1, code: 200, prepare: dissolve,
           usual: [53, 37, 104, 8, 2_240, 5], cleaning: [53, 80, 20, 4, 608, 0],
           snapshot: [53, 80, 629, 36, 30_432, 0] },
    Case { name: "leave of the owner: dissolution", samples: 1, code: 200, prepare: leave_of_the_owner,
           usual: [67, 38, 109, 5, 2_080, 6], cleaning: [67, 78, 19, 1, 352, 2],
           snapshot: [67, 78, 707, 35, 33_920, 2] },
];

#[rustfmt::skip]
const READS: &[Read] = &[
    Read { name: "group", read: |w, _| count(|| w.engine.group(&MAIN)).1, most: [0, 12, 0, 0, 0, 0] },
    Read { name: "contains", read: contains, most: [21, 0, 0, 0, 0, 0] },
    Read { name: "rank", read: rank, most: [22, 0, 0, 0, 0, 0] },
    Read { name: "members_after, 100 members", read: members_after, most: [21, 0, 0, 1, 128, 2] },
    Read { name: "history, the newest 20", read: newest, most: [22, 12, 0, 0, 0, 0] },
    Read { name: "history, 20 from the middle", read: middle, most: [22, 12, 0, 0, 0, 0] },
    Read { name: "groups_of", read: groups_of, most: [24, 34, 0, 0, 0, 0] },
    Read { name: "owned_by", read: owned_by, most: [24, 53, 0, 0, 0, 0] },
    Read { name: "stats", read: |w, _| count(|| w.engine.stats()).1, most: [0, 0, 0, 0, 0, 0] },
    Read { name: "clone", read: |w, _| count(|| w.engine.clone()).1, most: [0, 0, 0, 0, 0, 0] },
    Read { name: "preview of a leave", read: preview, most: [104, 56, 771, 39, 34_304, 35] },
    Read { name: "charge", read: charge, most: [45, 75, 640, 30, 29_088, 0] },
    Read { name: "admits", read: admits, most: [45, 75, 2, 30, 0, 0] },
    Read { name: "set_config that changes every quota", read: set_config, most: [0, 0, 0, 2, 320, 2] },
    Read { name: "audience: clone", read: clone_audience, most: [0, 0, 0, 0, 0, 0] },
    Read { name: "groups_after, 100 groups", read: groups_after, most: [0, 30, 0, 1, 128, 1] },
    Read { name: "audience: iter_after, 100 users", read: audience_after, most: [121, 0, 0, 1, 128, 2] },
    Read { name: "audience: contains", read: audience_contains, most: [21, 0, 0, 0, 0, 0] },
];

#[test]
fn no_command_grows_faster_than_the_logarithm_of_the_members() {
    let [_, small, large] = measured();
    let mut over = Vec::new();
    for (case, (small, large)) in CASES.iter().zip(small.commands.iter().zip(&large.commands)) {
        over.extend(growth(&format!("{}, usual", case.name), small.usual, large.usual));
        over.extend(growth(&format!("{}, cleaning", case.name), small.cleaning, large.cleaning));
        over.extend(growth(&format!("{}, snapshot", case.name), small.snapshot, large.snapshot));
    }
    assert!(over.is_empty(), "\n{}", over.join("\n"));
}

#[test]
fn no_read_grows_faster_than_the_logarithm_of_the_members() {
    let [_, small, large] = measured();
    let mut over = Vec::new();
    for (read, (small, large)) in READS.iter().zip(small.reads.iter().zip(&large.reads)) {
        over.extend(growth(read.name, *small, *large));
    }
    assert!(over.is_empty(), "\n{}", over.join("\n"));
}

#[test]
fn no_command_costs_more_than_its_ceiling_in_the_largest_group() {
    let [.., large] = measured();
    let mut over = Vec::new();
    for (case, cost) in CASES.iter().zip(&large.commands) {
        over.extend(above(&format!("{}, usual", case.name), cost.usual, case.usual));
        over.extend(above(&format!("{}, cleaning", case.name), cost.cleaning, case.cleaning));
        over.extend(above(&format!("{}, snapshot", case.name), cost.snapshot, case.snapshot));
    }
    assert!(over.is_empty(), "\n{}", over.join("\n"));
}

#[test]
fn no_read_costs_more_than_its_ceiling_in_the_largest_group() {
    let [.., large] = measured();
    let mut over = Vec::new();
    for (read, cost) in READS.iter().zip(&large.reads) {
        over.extend(above(read.name, *cost, read.most));
    }
    assert!(over.is_empty(), "\n{}", over.join("\n"));
}

/// A message for each column in which a cost grows too fast from 1,000 to 100,000 members.
fn growth(name: &str, small: Counts, large: Counts) -> Vec<String> {
    let most =
        std::array::from_fn(|column| GROWTH_FACTOR * small[column] + GROWTH_CONSTANT[column]);
    above(&format!("{name}, {} members ({small:?} at {})", SIZES[2], SIZES[1]), large, most)
}

/// A message for each column in which a cost is above its maximum.
fn above(name: &str, cost: Counts, most: Counts) -> Vec<String> {
    let columns = COLUMNS.iter().enumerate().filter(|(column, _)| cost[*column] > most[*column]);
    columns
        .map(|(column, title)| {
            format!("{name}: {} {title}, at most {}", cost[column], most[column])
        })
        .collect()
}

/// The counts in groups of one size.
struct Measured {
    commands: Vec<Cost>,
    reads: Vec<Counts>,
}

#[derive(Default)]
struct Cost {
    usual: Counts,
    cleaning: Counts,
    snapshot: Counts,
}

/// Counts once, for all tests.
fn measured() -> &'static [Measured; 3] {
    static MEASURED: OnceLock<[Measured; 3]> = OnceLock::new();
    MEASURED.get_or_init(|| {
        // The counters are thread-local, so the sizes can be counted at the same time.
        let counted = thread::scope(|scope| {
            SIZES.map(|size| scope.spawn(move || measure_all(size))).map(|run| run.join().unwrap())
        });
        print(&counted);
        counted
    })
}

fn measure_all(members: u64) -> Measured {
    let mut usual = World::new(members);
    let mut world = World::new(members);
    world.add_much_to_clean();

    let read = |read: &Read| {
        (0..16).map(|sample| (read.read)(&world, sample)).fold(Counts::default(), larger)
    };
    let reads = READS.iter().map(read).collect();
    let command = |case| {
        let ((usual, _), (cleaning, snapshot)) = (usual.measure(case), world.measure(case));
        Cost { usual, cleaning, snapshot }
    };
    let commands = CASES.iter().map(command).collect();

    let stats = world.engine.stats();
    assert!(stats.unswept > 0 && stats.tombstones > 100, "too little is left to clean: {stats:?}");
    assert!(stats.cells > 1_000, "too few cells are left to clean: {stats:?}");
    Measured { commands, reads }
}

fn print(measured: &[Measured; 3]) {
    println!("{COLUMNS:?}");
    for (row, case) in CASES.iter().enumerate() {
        println!("{}", case.name);
        for (size, measured) in SIZES.iter().zip(measured) {
            let Cost { usual, cleaning, snapshot } = &measured.commands[row];
            println!("{size:>8} usual: {usual:?}, cleaning: {cleaning:?}, snapshot: {snapshot:?}");
        }
    }
    for (row, read) in READS.iter().enumerate() {
        println!("{}", read.name);
        for (size, measured) in SIZES.iter().zip(measured) {
            println!("{size:>8} most: {:?}", measured.reads[row]);
        }
    }
}

/// The group that most commands are counted in.
const MAIN: Group = Group(1 << 63);

/// Another group of the same size, for the case `dissolve`.
const SECOND: Group = Group((1 << 63) + 1);

/// The owner of both groups, until a transfer.
const FOUNDER: u64 = 1 << 62;

/// Its multiples, wrapping around, are distinct ids spread over all 64-bit numbers.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// How many other groups there are, of up to eight members each.
const OTHERS: u64 = 300;

/// How many expired tombstones, expired rate cells and stale index entries there are at the start:
/// so many that some are left at the end. A command removes up to two tombstones and two rate
/// cells. A run of the sweep, which not every command does, looks at 96 index entries.
const TO_CLEAN: u64 = 4_000;

/// 32 days, in milliseconds. Every tombstone and every rate cell expires in a shorter time.
const LONG: u64 = 32 * 24 * 60 * 60 * 1_000;

/// An engine in use, with a group of `size` members.
struct World {
    engine: Engine<User, Group>,
    now: u64,
    size: u64,
    /// The members of the main group who are neither owner nor admin, in the order of joining.
    members: Vec<u64>,
    /// The users handed out by [`World::newcomer`].
    newcomers: u64,
    /// The groups handed out by [`World::new_group`].
    groups: u64,
}

impl World {
    fn new(size: u64) -> Self {
        let mut world = World {
            engine: Engine::default(),
            now: 1_000_000,
            size,
            members: (1..size).map(member).collect(),
            newcomers: 0,
            groups: 0,
        };
        world.create_the_other_groups();
        world.create_the_two_large_groups();
        world.add_rate_cells();
        world
    }

    /// Each user who joins is in about three of these groups.
    fn create_the_other_groups(&mut self) {
        for other in 0..OTHERS {
            let (owner, group) = (User(self.newcomer()), other_group(other));
            self.run(Command::Create { owner, group: group.clone(), options: None });
            let user = |nth| User(scattered(2_500_000 + (other * 7 + nth) * 37 % 700));
            let join = |nth| Command::Join { user: user(nth), group: group.clone() };
            self.batch((0..7).map(join).collect());
        }
    }

    fn create_the_two_large_groups(&mut self) {
        let (members, log) = (self.members.clone(), self.size / 4 + 40);
        self.run(Command::Create { owner: User(FOUNDER), group: MAIN, options: None });
        self.run(Command::Create { owner: User(FOUNDER), group: SECOND, options: None });
        for chunk in members.chunks(1_000) {
            let join = |user: &u64| Command::Join { user: User(*user), group: SECOND };
            self.batch(chunk.iter().map(join).collect());
        }
        let posts = (0..log).map(|nth| post_by(members[nth as usize % members.len()], SECOND));
        self.batch(posts.collect());

        // The main group grows as it would in use: users join one by one, some of them leave, and
        // some post. Bans, mutes and admins come after that.
        for (nth, user) in members.iter().enumerate() {
            self.now += 1;
            self.run(Command::Join { user: User(*user), group: MAIN });
            if nth % 10 == 0 {
                let visitor = self.newcomer();
                self.run(Command::Join { user: User(visitor), group: MAIN });
                self.run(Command::Leave { user: User(visitor), group: MAIN, stint: None });
            }
            if nth % 4 == 0 {
                self.run(post_by(*user, MAIN));
            }
        }
        self.batch((0..40).map(|nth| post_by(members[nth % members.len()], MAIN)).collect());
        for nth in 0..self.size / 50 + 80 {
            let user = User(self.newcomer());
            let until = (nth % 2 == 0).then_some(Timestamp(self.now + 60_000 + nth));
            let by = User(FOUNDER);
            let ban = Command::Ban { by: by.clone(), group: MAIN, user: user.clone(), until };
            self.batch(vec![ban, Command::Mute { by, group: MAIN, user, until }]);
        }
        for nth in 0..self.size / 100 + 1 {
            let at = nth as usize * 37 % self.members.len();
            let user = User(self.members.swap_remove(at));
            let by = User(FOUNDER);
            self.batch(vec![Command::SetRank { by, group: MAIN, user, rank: Rank::Admin }]);
        }
    }

    /// Each user who sends a `leave` for a group that does not exist gets a rate cell.
    fn add_rate_cells(&mut self) {
        for _ in 0..TO_CLEAN {
            self.now += 1;
            let user = User(self.newcomer());
            let _ = self.engine.leave(user, unknown_group(), Timestamp(self.now)).unwrap_err();
        }
    }

    fn add_much_to_clean(&mut self) {
        for _ in 0..TO_CLEAN {
            let (owner, group) = (User(FOUNDER), self.new_group());
            let create =
                Command::Create { owner: owner.clone(), group: group.clone(), options: None };
            self.batch(vec![create, dissolution(owner, group)]);
        }
        // These users have the lowest ids, so the sweep looks at their index entries first.
        let stale = self.new_group();
        let join = |user| Command::Join { user: User(user), group: stale.clone() };
        let create = Command::Create { owner: User(0), group: stale.clone(), options: None };
        self.batch([create].into_iter().chain((1..TO_CLEAN).map(join)).collect());
        self.engine.sweep(usize::MAX);
        self.now += LONG;
        self.batch(vec![dissolution(User(0), stale.clone())]);

        let stats = self.engine.stats();
        assert!(stats.unswept == TO_CLEAN && stats.tombstones >= TO_CLEAN - 1, "{stats:?}");
        assert!(stats.cells >= TO_CLEAN, "{stats:?}");
    }

    /// The largest counts of the samples of a case, without and with a clone of the engine.
    fn measure(&mut self, case: &Case) -> (Counts, Counts) {
        let mut most = (Counts::default(), Counts::default());
        for sample in 0..case.samples {
            self.restore_size();
            let act = (case.prepare)(self, sample);
            let now = self.tick();
            let (again, mut engine) = (act.clone(), self.engine.clone());
            let (done, snapshot) = count(|| act.run(&mut engine, now));
            drop((engine, done));
            let (done, alone) = count(|| again.run(&mut self.engine, now));
            assert_eq!(done.code(), case.code, "{}, sample {sample}: {done:?}", case.name);
            most = (larger(most.0, alone), larger(most.1, snapshot));
        }
        most
    }

    /// Gives the main group its original size: demotes admins, then lets members leave or newcomers
    /// join.
    fn restore_size(&mut self) {
        while self.main().admins().len() as u64 > self.size / 100 + 2 {
            let (user, _) = self.main().admins().next_back().unwrap();
            let (by, user) = (self.owner(), user.clone());
            self.members.push(user.0);
            self.batch(vec![Command::SetRank { by, group: MAIN, user, rank: Rank::Member }]);
        }
        while self.main().len() as u64 > self.size {
            let user = self.members.pop().unwrap();
            self.run(Command::Leave { user: User(user), group: MAIN, stint: None });
        }
        while (self.main().len() as u64) < self.size {
            let user = self.joined();
            self.members.push(user);
        }
    }

    fn main(&self) -> &disband::Group<User> {
        self.engine.group(&MAIN).unwrap()
    }

    fn owner(&self) -> User {
        self.main().owner().clone()
    }

    /// A member who is neither owner nor admin.
    fn pick(&self, sample: usize) -> u64 {
        self.members[sample * 7_919 % self.members.len()]
    }

    /// The same, for a user who is about to leave or to get another rank. Removes them from
    /// `members`.
    fn take(&mut self, sample: usize) -> u64 {
        let at = sample * 7_919 % self.members.len();
        self.members.swap_remove(at)
    }

    /// A user who was never in any group.
    fn newcomer(&mut self) -> u64 {
        self.newcomers += 1;
        scattered(1_000_000 + self.newcomers)
    }

    /// A newcomer who has joined the main group.
    fn joined(&mut self) -> u64 {
        let user = self.newcomer();
        self.run(Command::Join { user: User(user), group: MAIN });
        user
    }

    /// The id of a group that does not exist.
    fn new_group(&mut self) -> Group {
        self.groups += 1;
        Group(scattered(3_000_000 + self.groups))
    }

    fn tick(&mut self) -> Timestamp {
        self.now += 1_000;
        Timestamp(self.now)
    }

    /// A command that succeeds, under the rate limit.
    #[track_caller]
    fn run(&mut self, command: Command<User, Group>) {
        self.engine.apply(command, Timestamp(self.now)).unwrap().ignore_signals();
    }

    /// Commands that succeed, without a rate limit.
    #[track_caller]
    fn batch(&mut self, commands: Vec<Command<User, Group>>) {
        self.engine.apply_all(commands, Timestamp(self.now)).unwrap().ignore_signals();
    }
}

fn scattered(nth: u64) -> u64 {
    nth.wrapping_mul(SPREAD)
}

fn member(nth: u64) -> u64 {
    scattered(nth)
}

fn other_group(nth: u64) -> Group {
    Group(scattered(2_000_000 + nth))
}

fn unknown_group() -> Group {
    Group(scattered(4_000_000))
}

fn post_by(author: u64, group: Group) -> Command<User, Group> {
    Command::Post { author: User(author), group, message: "hello".into() }
}

#[derive(Debug)]
enum Done {
    One(CommandResult<Reply<User, Group>, User, Group>),
    Batch(BatchResult<User, Group>),
}

impl Act {
    fn run(self, engine: &mut Engine<User, Group>, now: Timestamp) -> Done {
        match self {
            Act::One(command) => Done::One(engine.apply(command, now)),
            Act::Batch(commands) => Done::Batch(engine.apply_all(commands, now)),
        }
    }
}

impl Done {
    fn code(&self) -> u16 {
        match self {
            Done::One(Ok(_)) | Done::Batch(Ok(_)) => 200,
            Done::One(Err(refusal)) => refusal.code(),
            Done::Batch(Err(refused)) => refused.refusal.code(),
        }
    }
}

// Each of these functions prepares the world and returns the command to count. Where a rate cell of
// the same operation may or may not exist, every second sample has one.

fn create(world: &mut World, sample: usize) -> Act {
    let owner = world.pick(sample);
    let create = |world: &mut World| Command::Create {
        owner: User(owner),
        group: world.new_group(),
        options: None,
    };
    if sample % 2 == 1 {
        let first = create(world);
        world.run(first);
    }
    Act::One(create(world))
}

fn join(world: &mut World, sample: usize) -> Act {
    let user = if sample % 2 == 1 {
        let user = world.joined();
        world.run(Command::Leave { user: User(user), group: MAIN, stint: None });
        user
    } else {
        world.newcomer()
    };
    world.members.push(user);
    Act::One(Command::Join { user: User(user), group: MAIN })
}

fn leave(world: &mut World, sample: usize) -> Act {
    let user = world.take(sample);
    if sample % 2 == 1 {
        let (user, now) = (User(user), Timestamp(world.now));
        let _ = world.engine.leave_stint(user, MAIN, Stint(0), now).unwrap_err();
    }
    Act::One(Command::Leave { user: User(user), group: MAIN, stint: None })
}

fn leave_stint(world: &mut World, sample: usize) -> Act {
    let user = User(world.take(sample));
    let stint = world.main().stint(&user);
    Act::One(Command::Leave { user, group: MAIN, stint })
}

/// A member who has just become an admin.
fn new_admin(world: &mut World, sample: usize) -> User {
    let (by, user) = (world.owner(), User(world.take(sample)));
    let rank = Rank::Admin;
    world.batch(vec![Command::SetRank { by, group: MAIN, user: user.clone(), rank }]);
    user
}

fn leave_of_an_admin(world: &mut World, sample: usize) -> Act {
    Act::One(Command::Leave { user: new_admin(world, sample), group: MAIN, stint: None })
}

/// The user is a member of the main group and of a small group, and owns a third group.
fn leave_all(world: &mut World, sample: usize) -> Act {
    let (user, own) = (User(world.joined()), world.new_group());
    world.run(Command::Create { owner: user.clone(), group: own.clone(), options: None });
    world.run(Command::Join { user: user.clone(), group: other_group(sample as u64) });
    for user in world.members.iter().take(3).copied().collect::<Vec<_>>() {
        world.run(Command::Join { user: User(user), group: own.clone() });
    }
    assert_eq!(world.engine.groups_of(&user).count(), 3);
    Act::One(Command::LeaveAll { user })
}

fn kick(world: &mut World, sample: usize) -> Act {
    Act::One(Command::Kick { by: world.owner(), group: MAIN, user: User(world.take(sample)) })
}

fn post(world: &mut World, sample: usize) -> Act {
    let author = world.pick(sample / 2);
    Act::One(post_by(author, MAIN))
}

fn add(world: &mut World, _: usize) -> Act {
    let user = world.newcomer();
    world.members.push(user);
    Act::One(Command::Add { by: world.owner(), group: MAIN, user: User(user) })
}

/// The author and the number of an entry in the middle of the log. The author is still a member and
/// may read the entry.
fn entry(world: &mut World, sample: usize) -> (User, Seq) {
    let (owner, now) = (world.owner(), Timestamp(world.now));
    let middle = Seq(world.main().next_seq().0 / 2 + sample as u64 * 3);
    let page = Page::before(middle, 100);
    let entries = world.engine.history(&owner, &MAIN, page, now).unwrap();
    let may_read = |author, seq| {
        let page = Page::before(Seq(seq + 1), 1);
        world.engine.history(author, &MAIN, page, now).is_ok_and(|mut page| page.next().is_some())
    };
    let intact = entries.filter(|(_, entry)| entry.erased_by().is_none());
    let mut found = intact.filter(|(seq, entry)| may_read(&entry.author, seq.0));
    if let Some((seq, entry)) = found.next() {
        return (entry.author.clone(), seq);
    }
    // In a small group all authors may have left.
    let author = world.pick(sample);
    world.batch(vec![post_by(author, MAIN)]);
    (User(author), Seq(world.main().next_seq().0 - 1))
}

fn edit(world: &mut World, sample: usize) -> Act {
    let (author, seq) = entry(world, sample);
    Act::One(Command::Edit { author, group: MAIN, seq, message: "hello!".into() })
}

fn erase(world: &mut World, sample: usize) -> Act {
    let (_, seq) = entry(world, sample);
    Act::One(Command::Erase { by: world.owner(), group: MAIN, seq })
}

/// Transfers the group to a member, and in every second sample back to the founder.
fn transfer(world: &mut World, sample: usize) -> Act {
    let user = if sample % 2 == 1 { User(FOUNDER) } else { User(world.take(sample)) };
    Act::One(Command::Transfer { owner: world.owner(), group: MAIN, user })
}

fn appoint(world: &mut World, sample: usize) -> Act {
    let user = User(world.take(sample));
    Act::One(Command::SetRank { by: world.owner(), group: MAIN, user, rank: Rank::Admin })
}

fn demote(world: &mut World, sample: usize) -> Act {
    let user = new_admin(world, sample);
    world.members.push(user.0);
    Act::One(Command::SetRank { by: world.owner(), group: MAIN, user, rank: Rank::Member })
}

/// In a quiet group only the staff gets the signals that plain members join and leave.
fn make_quiet(world: &mut World) {
    let options = GroupOptions { announce: Announce::Staff, ..GroupOptions::default() };
    let by = world.owner();
    world.batch(vec![Command::SetOptions { by, group: MAIN, options }]);
}

fn join_of_a_quiet_group(world: &mut World, sample: usize) -> Act {
    make_quiet(world);
    join(world, sample)
}

fn leave_of_a_quiet_group(world: &mut World, sample: usize) -> Act {
    make_quiet(world);
    leave(world, sample)
}

fn add_to_a_quiet_group(world: &mut World, sample: usize) -> Act {
    make_quiet(world);
    add(world, sample)
}

fn kick_from_a_quiet_group(world: &mut World, sample: usize) -> Act {
    make_quiet(world);
    kick(world, sample)
}

/// After this the group is not quiet.
fn set_options(world: &mut World, sample: usize) -> Act {
    let options = GroupOptions {
        owner_exit: if sample % 2 == 1 { OwnerExit::Dissolve } else { OwnerExit::Refuse },
        ..GroupOptions::default()
    };
    Act::One(Command::SetOptions { by: world.owner(), group: MAIN, options })
}

fn ban_of(world: &World, user: u64) -> Act {
    let until = Some(Timestamp(world.now + 1_000_000));
    Act::One(Command::Ban { by: world.owner(), group: MAIN, user: User(user), until })
}

fn ban_of_a_member(world: &mut World, sample: usize) -> Act {
    let user = world.take(sample);
    ban_of(world, user)
}

fn ban_of_a_stranger(world: &mut World, _: usize) -> Act {
    let user = world.newcomer();
    ban_of(world, user)
}

fn banned(world: &World, sample: usize) -> User {
    let mut bans = world.main().bans(Timestamp(world.now));
    bans.nth(sample).unwrap().0.clone()
}

fn unban(world: &mut World, sample: usize) -> Act {
    Act::One(Command::Unban { by: world.owner(), group: MAIN, user: banned(world, sample) })
}

/// The mute is short, so that the user can post in later cases.
fn mute_of(world: &World, user: u64) -> Act {
    let until = Some(Timestamp(world.now + 2_000));
    Act::One(Command::Mute { by: world.owner(), group: MAIN, user: User(user), until })
}

fn mute_of_a_member(world: &mut World, sample: usize) -> Act {
    mute_of(world, world.pick(sample))
}

fn mute_of_a_stranger(world: &mut World, _: usize) -> Act {
    let user = world.newcomer();
    mute_of(world, user)
}

fn muted(world: &World, sample: usize) -> User {
    let mut mutes = world.main().mutes(Timestamp(world.now));
    mutes.nth(sample).unwrap().0.clone()
}

fn unmute(world: &mut World, sample: usize) -> Act {
    Act::One(Command::Unmute { by: world.owner(), group: MAIN, user: muted(world, sample) })
}

fn batch(world: &mut World, sample: usize) -> Act {
    let (leaver, joiner) = (world.take(sample), world.newcomer());
    world.members.push(joiner);
    Act::Batch(vec![
        Command::Leave { user: User(leaver), group: MAIN, stint: None },
        Command::Join { user: User(joiner), group: MAIN },
    ])
}

fn join_by_a_member(world: &mut World, sample: usize) -> Act {
    Act::One(Command::Join { user: User(world.pick(sample / 2)), group: MAIN })
}

fn join_by_a_banned_user(world: &mut World, sample: usize) -> Act {
    Act::One(Command::Join { user: banned(world, sample / 2), group: MAIN })
}

fn leave_by_a_stranger(world: &mut World, _: usize) -> Act {
    Act::One(Command::Leave { user: User(world.newcomer()), group: MAIN, stint: None })
}

fn leave_of_an_unknown_group(world: &mut World, sample: usize) -> Act {
    let user = User(world.pick(sample / 2));
    Act::One(Command::Leave { user, group: unknown_group(), stint: None })
}

fn leave_of_a_dissolved_group(world: &mut World, sample: usize) -> Act {
    let (owner, group) = (User(world.pick(sample)), world.new_group());
    let create = Command::Create { owner: owner.clone(), group: group.clone(), options: None };
    world.batch(vec![create, dissolution(owner.clone(), group.clone())]);
    Act::One(Command::Leave { user: owner, group, stint: None })
}

fn create_of_a_living_group(world: &mut World, sample: usize) -> Act {
    Act::One(Command::Create { owner: User(world.pick(sample)), group: MAIN, options: None })
}

fn kick_by_a_member(world: &mut World, sample: usize) -> Act {
    let (by, user) = (User(world.pick(sample)), User(world.pick(sample + 1)));
    Act::One(Command::Kick { by, group: MAIN, user })
}

fn post_by_a_stranger(world: &mut World, _: usize) -> Act {
    let author = world.newcomer();
    Act::One(post_by(author, MAIN))
}

fn add_of_a_member(world: &mut World, sample: usize) -> Act {
    let user = User(world.pick(sample));
    Act::One(Command::Add { by: world.owner(), group: MAIN, user })
}

fn post_by_a_muted_member(world: &mut World, sample: usize) -> Act {
    let (by, user) = (world.owner(), world.pick(sample));
    let until = Some(Timestamp(world.now + 1_001));
    world.batch(vec![Command::Mute { by, group: MAIN, user: User(user), until }]);
    Act::One(post_by(user, MAIN))
}

fn edit_by_another_user(world: &mut World, sample: usize) -> Act {
    let (_, seq) = entry(world, sample);
    Act::One(Command::Edit { author: world.owner(), group: MAIN, seq, message: "mine".into() })
}

fn erase_of_an_unknown_entry(world: &mut World, _: usize) -> Act {
    Act::One(Command::Erase { by: world.owner(), group: MAIN, seq: world.main().next_seq() })
}

fn dissolve_with_a_long_note(world: &mut World, _: usize) -> Act {
    let note = Some("x".repeat(2_000).into());
    Act::One(Command::Dissolve { owner: world.owner(), group: MAIN, note, successor: None })
}

fn too_fast(world: &mut World, _: usize) -> Act {
    let (user, now) = (User(world.newcomer()), Timestamp(world.now + 1_000));
    for _ in 0..3 {
        let _ = world.engine.leave(user.clone(), MAIN, now).unwrap_err();
    }
    Act::One(Command::Leave { user, group: MAIN, stint: None })
}

fn succession(world: &mut World, sample: usize) -> Act {
    let options = GroupOptions { owner_exit: OwnerExit::Succeed, ..GroupOptions::default() };
    let by = world.owner();
    world.batch(vec![Command::SetOptions { by, group: MAIN, options }]);
    let _ = new_admin(world, sample);
    Act::One(Command::Leave { user: world.owner(), group: MAIN, stint: None })
}

/// In the world with much to clean, time has moved on by [`LONG`]. So the older entries there are
/// past the retention, and each post drops four of them.
fn post_under_a_retention(world: &mut World, sample: usize) -> Act {
    if sample == 0 {
        let options = GroupOptions { keep_ms: Some(LONG / 2), ..GroupOptions::default() };
        let by = world.owner();
        world.batch(vec![Command::SetOptions { by, group: MAIN, options }]);
    }
    post(world, sample)
}

/// The post is accepted because the entry that it drops makes room.
fn post_at_the_limit(world: &mut World, sample: usize) -> Act {
    let author = world.pick(sample / 2);
    let _ = world.engine.set_config(Config::default()).unwrap();
    for _ in 0..2 {
        // The first change drops the entries past the old retention. Then `log_len` is the number
        // of entries that are left.
        let keep_entries = Some(world.main().log_len());
        let history = HistoryAccess::Full;
        let options = GroupOptions { keep_entries, history, ..GroupOptions::default() };
        let by = world.owner();
        world.batch(vec![Command::SetOptions { by, group: MAIN, options }]);
    }
    let (owner, everything) = (world.owner(), Page::newest(u64::MAX));
    let oldest_is_empty = |world: &World| {
        let now = Timestamp(world.now);
        let mut entries = world.engine.history(&owner, &MAIN, everything, now).unwrap();
        entries.next_back().unwrap().1.message.is_empty()
    };
    // Dropping an erased entry would make no room.
    while oldest_is_empty(world) {
        world.batch(vec![post_by(author, MAIN)]);
    }
    let total = Some(world.engine.stats().message_bytes);
    let limits = Limits { message_bytes_total: total, ..Limits::default() };
    let _ = world.engine.set_config(Config { limits, ..Config::default() }).unwrap();
    Act::One(post_by(author, MAIN))
}

/// All but ten entries are past the old retention, so the command drops them.
fn drop_the_log(world: &mut World, _: usize) -> Act {
    let options = GroupOptions { keep_entries: Some(10), ..GroupOptions::default() };
    let by = world.owner();
    world.batch(vec![Command::SetOptions { by, group: MAIN, options }]);
    Act::One(Command::SetOptions {
        by: world.owner(),
        group: MAIN,
        options: GroupOptions::default(),
    })
}

fn leave_of_the_owner(world: &mut World, _: usize) -> Act {
    Act::One(Command::Leave { user: world.owner(), group: MAIN, stint: None })
}

fn dissolution(owner: User, group: Group) -> Command<User, Group> {
    Command::Dissolve { owner, group, note: None, successor: None }
}

fn dissolve(_: &mut World, _: usize) -> Act {
    let (owner, note, successor) = (User(FOUNDER), Some("moved".into()), Some(MAIN));
    Act::One(Command::Dissolve { owner, group: SECOND, note, successor })
}

fn contains(world: &World, sample: usize) -> Counts {
    let (user, stranger) = (User(world.pick(sample)), User(scattered(5_000_000 + sample as u64)));
    let group = world.main();
    let (has_member, of_a_member) = count(|| group.contains(&user));
    let (has_stranger, of_a_stranger) = count(|| group.contains(&stranger));
    assert!(has_member && !has_stranger);
    larger(of_a_member, of_a_stranger)
}

fn rank(world: &World, sample: usize) -> Counts {
    let (user, group) = (User(world.pick(sample)), world.main());
    let admin = group.admins().nth(sample % group.admins().len()).unwrap().0;
    let (member, of_a_member) = count(|| group.rank(&user));
    let (rank, of_an_admin) = count(|| group.rank(admin));
    assert_eq!((member, rank), (Some(Rank::Member), Some(Rank::Admin)));
    larger(of_a_member, of_an_admin)
}

fn members_after(world: &World, sample: usize) -> Counts {
    let (user, group) = (User(world.pick(sample)), world.main());
    let (walked, counts) = count(|| group.members_after(Some(&user)).take(100).count());
    assert_eq!(walked, group.members().filter(|(member, _)| **member > user).take(100).count());
    counts
}

fn history(world: &World, sample: usize, page: Page) -> Counts {
    let user = User(world.pick(sample));
    let now = Timestamp(world.now);
    count(|| world.engine.history(&user, &MAIN, page, now).unwrap().count()).1
}

fn newest(world: &World, sample: usize) -> Counts {
    history(world, sample, Page::newest(20))
}

/// Some of the members joined later and may read only a part of the page.
fn middle(world: &World, sample: usize) -> Counts {
    let half = world.main().next_seq().0 / 2;
    history(world, sample, Page::before(Seq(half), 20))
}

fn groups_of(world: &World, sample: usize) -> Counts {
    let user = User(world.pick(sample));
    let (groups, counts) = count(|| world.engine.groups_of(&user).count());
    assert!(groups >= 2);
    counts
}

fn owned_by(world: &World, _: usize) -> Counts {
    let (owned, counts) = count(|| world.engine.owned_by(&User(FOUNDER)).count());
    assert_eq!(owned, 2);
    counts
}

fn preview(world: &World, sample: usize) -> Counts {
    let leave = Command::Leave { user: User(world.pick(sample)), group: MAIN, stint: None };
    let (result, counts) = count(|| world.engine.preview(leave, Timestamp(world.now)));
    let _ = result.unwrap();
    counts
}

fn charge(world: &World, sample: usize) -> Counts {
    let (mut engine, user) = (world.engine.clone(), User(world.pick(sample)));
    let now = Timestamp(world.now);
    let (charged, counts) = count(|| engine.charge(Operation::Post, &user, Some(&MAIN), now));
    charged.unwrap();
    counts
}

fn admits(world: &World, sample: usize) -> Counts {
    let (engine, user) = (&world.engine, User(world.pick(sample)));
    let now = Timestamp(world.now);
    let (admitted, counts) = count(|| engine.admits(Operation::Post, &user, Some(&MAIN), now));
    admitted.unwrap();
    counts
}

fn set_config(world: &World, _: usize) -> Counts {
    let mut engine = world.engine.clone();
    let config = Config { quotas: Quotas::UNLIMITED, ..Config::default() };
    let (forgotten, counts) = count(|| engine.set_config(config));
    assert!(forgotten.unwrap().len() > 10);
    counts
}

fn clone_audience(world: &World, sample: usize) -> Counts {
    let leave = Command::Leave { user: User(world.pick(sample)), group: MAIN, stint: None };
    let left = world.engine.preview(leave, Timestamp(world.now)).unwrap();
    count(|| left.signals[0].audience.clone()).1
}

fn groups_after(world: &World, _: usize) -> Counts {
    let groups = world.engine.groups().count();
    let (walked, counts) = count(|| world.engine.groups_after(Some(&MAIN)).take(100).count());
    assert!(walked <= groups);
    counts
}

fn audience_after(world: &World, sample: usize) -> Counts {
    let user = User(world.pick(sample));
    let leave = Command::Leave { user: user.clone(), group: MAIN, stint: None };
    let left = world.engine.preview(leave, Timestamp(world.now)).unwrap();
    let audience = &left.signals[0].audience;
    let (walked, counts) = count(|| audience.iter_after(Some(&user)).take(100).count());
    assert_eq!(walked, audience.iter().filter(|other| **other > user).take(100).count());
    counts
}

fn audience_contains(world: &World, sample: usize) -> Counts {
    let leave = Command::Leave { user: User(world.pick(sample)), group: MAIN, stint: None };
    let left = world.engine.preview(leave, Timestamp(world.now)).unwrap();
    let other = User(world.pick(sample + 1));
    let (is_recipient, counts) = count(|| left.signals[0].audience.contains(&other));
    assert!(is_recipient);
    counts
}
