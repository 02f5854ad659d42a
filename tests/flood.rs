//! A flood of users and groups that nobody has seen before does not fill the memory.

use std::env;
use std::num::{NonZeroU32, NonZeroU64};

use disband::{Config, Engine, Quota, Quotas, Timestamp};

/// Steps through all numbers of 64 bits, far from one another.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const PER_MS: u64 = 10;

/// `FLOOD=10000000` sends more of them.
#[test]
fn a_flood_of_strangers_leaves_no_more_cells_than_two_windows_have_seen() {
    let commands: u64 = env::var("FLOOD").map_or(500_000, |number| number.parse().unwrap());
    let (burst, per_ms) = (3, 2_000);
    let bound = 2 * u64::from(burst) * per_ms * PER_MS;
    let quota = Quota::new(NonZeroU32::new(burst).unwrap(), NonZeroU64::new(per_ms).unwrap());
    let config = Config { quotas: Quotas::all(quota), ..Config::default() };

    let mut engine: Engine<u64, u64> = Engine::new(config);
    let (mut user, mut most) = (0_u64, 0);
    for nth in 0..commands {
        user = user.wrapping_add(GOLDEN);
        let group = user.rotate_left(32);
        assert!(engine.leave(user, group, Timestamp(nth / PER_MS)).is_err());
        most = most.max(engine.stats().cells);
    }
    assert!(most <= bound, "{most} cells, and {bound} commands in two windows");
    assert!(commands < bound || most > bound / 4, "{most} cells: so few that nothing was tested");
}
