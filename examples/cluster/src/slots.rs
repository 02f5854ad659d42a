//! Maps groups to slots, and slots to shards.

use disband::GroupId;

/// The number of a shard: one Raft group, with a replica in each process and a part of all chat
/// groups. Counted from 0.
pub type Shard = u16;

/// The number of slots. Each slot belongs to one shard. With slots, the number of shards could be
/// changed without moving every group. This is not implemented; the README says how it could work.
pub const SLOTS: u16 = 1024;

/// The slot of a group. Take the group's id as eight bytes, little-endian, and their BLAKE3 hash.
/// The slot is the first two bytes of the hash, little-endian, modulo 1,024. Every process must
/// compute the same slot, and this must never change.
#[must_use]
pub fn slot(group: GroupId) -> u16 {
    let hash = blake3::hash(&group.0.to_le_bytes());
    let [low, high, ..] = *hash.as_bytes();
    u16::from_le_bytes([low, high]) % SLOTS
}

/// The shard that holds a group, if there are `shards` shards. Treats 0 shards as 1.
#[must_use]
pub fn shard_of(group: GroupId, shards: Shard) -> Shard {
    slot(group) % shards.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If the slot of a group changed, the group would be looked for in the wrong shard.
    #[test]
    fn the_slot_of_a_group_never_changes() {
        let slots = [0, 1, 2, 6_228_482, u64::MAX].map(|id| slot(GroupId(id)));
        assert_eq!(slots, [113, 282, 490, 834, 371]);
    }

    #[test]
    fn groups_are_spread_evenly_over_shards() {
        let mut counts = [0u32; 4];
        for id in 0..10_000 {
            counts[usize::from(shard_of(GroupId(id), 4))] += 1;
        }
        assert!(counts.iter().all(|count| (2_300..2_700).contains(count)), "{counts:?}");
    }
}
