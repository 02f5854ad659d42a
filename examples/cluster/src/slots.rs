//! Which shard a group lives in.

use disband::GroupId;

/// One of the Raft groups that each process takes part in.
pub type Shard = u16;

/// Over how many slots groups are spread. Shards take slots in turn, so that their number may once be
/// another without every group's having to move.
pub const SLOTS: u16 = 1024;

/// The slot of a group: the first two bytes of the BLAKE3 hash of its id's eight (little-endian, both),
/// modulo 1,024. Written down, as it must be the same everywhere and for good.
#[must_use]
pub fn slot(group: GroupId) -> u16 {
    let hash = blake3::hash(&group.0.to_le_bytes());
    let [low, high, ..] = *hash.as_bytes();
    u16::from_le_bytes([low, high]) % SLOTS
}

/// The shard that a group lives in, of so many; at least one.
#[must_use]
pub fn shard_of(group: GroupId, shards: Shard) -> Shard {
    slot(group) % shards.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups would be looked for where they are not, were it another.
    #[test]
    fn the_slots_are_written_down() {
        let slots = [0, 1, 2, 6_228_482, u64::MAX].map(|id| slot(GroupId(id)));
        assert_eq!(slots, [113, 282, 490, 834, 371]);
    }

    #[test]
    fn shards_share_the_groups_evenly() {
        let mut counts = [0u32; 4];
        for id in 0..10_000 {
            counts[usize::from(shard_of(GroupId(id), 4))] += 1;
        }
        assert!(counts.iter().all(|count| (2_300..2_700).contains(count)), "{counts:?}");
    }
}
