//! Many commands by unknown users to unknown groups do not fill the memory.

use std::env;
use std::num::{NonZeroU32, NonZeroU64};

use disband::{Config, Engine, Quota, Quotas, Timestamp};

/// Adding this again and again, wrapping around, gives distinct ids spread over all 64-bit numbers.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Commands per millisecond.
const PER_MS: u64 = 10;

/// Each command comes from a new user and makes a cell: the stored state of one rate limit. A
/// window is the time in which an empty allowance refills. A cell expires within two windows, and
/// each command evicts up to two expired cells. So there are never more cells than commands in two
/// windows.
///
/// `FLOOD=10000000` sends ten million commands instead of 500,000.
#[test]
fn rate_cells_are_no_more_than_the_commands_of_two_windows() {
    let commands: u64 = env::var("FLOOD").map_or(500_000, |number| number.parse().unwrap());
    let (burst, per_ms) = (3, 2_000);
    let bound = 2 * u64::from(burst) * per_ms * PER_MS;
    let quota = Quota::new(NonZeroU32::new(burst).unwrap(), NonZeroU64::new(per_ms).unwrap());
    let config = Config { quotas: Quotas::all(quota), ..Config::default() };

    let mut engine: Engine<u64, u64> = Engine::new(config);
    let (mut user, mut most) = (0_u64, 0);
    for nth in 0..commands {
        user = user.wrapping_add(SPREAD);
        let group = user.rotate_left(32);
        assert!(engine.leave(user, group, Timestamp(nth / PER_MS)).is_err());
        most = most.max(engine.stats().cells);
    }
    assert!(most <= bound, "{most} cells, but {bound} commands in two windows");
    assert!(commands < bound || most > bound / 4, "only {most} cells: the test proves nothing");
}
