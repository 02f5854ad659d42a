//! The answers to commands with a [`Key`], so that a command that is sent again is not done again.
//!
//! Each answer is kept for ten minutes. Within them, the same key of the same user gets the same answer.
//! A [`Key`] that carries its time is safe after that as well: it is refused when it is too old, or not
//! newer than what was forgotten. A key without a time would then count as new.

use std::ops::Bound;

use disband::Timestamp;
use im::OrdMap;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::key::Key;
use crate::name::Name;

/// For how many milliseconds an answer is kept.
const KEPT_MS: u64 = 10 * 60 * 1000;
/// By how many milliseconds the time of a key may be ahead.
const AHEAD_MS: u64 = 2 * 60 * 1000;
/// How many answers are kept for one user. One more forgets the oldest of the same user.
const PER_USER: u32 = 64;
/// How many answers are kept in all. A new key beyond that is refused, so that nobody can make the server
/// forget the answers of others.
const IN_ALL: usize = 1_000_000;
/// How many expired answers one command removes. A command adds one, so two keep up.
const EXPIRED_PER_COMMAND: usize = 2;

/// A hash of a command, to recognise it when it is sent again.
pub(crate) type Fingerprint = [u8; 16];

/// Why a command with a key is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyRefusal {
    /// The key was used for another command.
    Reused,
    /// The key is too old to tell whether its command was carried out.
    Expired,
    /// The time in the key is too far ahead. This is the machine's time.
    Ahead(Timestamp),
    /// No more answers can be kept.
    Full,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: the command may be carried out.
    New,
    /// The command was carried out, with this answer.
    Answered(Answer),
    /// The command must not be carried out.
    Refused(KeyRefusal),
}

/// All answers that are kept. A clone is O(1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    kept: OrdMap<(Name, Key), Kept>,
    /// The kept answers in the order in which they expire.
    due: OrdMap<(Timestamp, u64), (Name, Key)>,
    users: OrdMap<Name, Account>,
    /// No key with this time or an older one is carried out: such a key may have been forgotten.
    floor: Timestamp,
    /// How many answers were ever kept. It makes the places in `due` unique.
    count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    fingerprint: Fingerprint,
    answer: Answer,
    /// The key's own time, or when the answer was kept.
    time: Timestamp,
    expires: Timestamp,
    nth: u64,
}

/// The kept answers of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Account {
    kept: u32,
    /// The newest time of a key of this user that was forgotten before it expired.
    floor: Timestamp,
}

/// [`Keys`] as they are serialised.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeysData {
    kept: Vec<((Name, Key), Kept)>,
    floors: Vec<(Name, Timestamp)>,
    floor: Timestamp,
    count: u64,
}

impl Keys {
    /// What is known of a user's key at the machine's time `now`. O(log answers).
    pub(crate) fn look_up(
        &self,
        place: &(Name, Key),
        fingerprint: &Fingerprint,
        now: Timestamp,
    ) -> Known {
        if let Some(kept) = self.kept.get(place) {
            return if kept.fingerprint == *fingerprint {
                Known::Answered(kept.answer.clone())
            } else {
                Known::Refused(KeyRefusal::Reused)
            };
        }
        if let Some(time) = place.1.time() {
            let of_user = self.users.get(&place.0).map_or(Timestamp(0), |user| user.floor);
            // A floor from far ahead is of a time when the clock was wrong.
            let right = of_user.since(now) <= AHEAD_MS + KEPT_MS;
            let floor = if right { self.floor.max(of_user) } else { self.floor };
            if time.since(now) > AHEAD_MS {
                return Known::Refused(KeyRefusal::Ahead(now));
            }
            if now.since(time) > KEPT_MS || time <= floor {
                return Known::Refused(KeyRefusal::Expired);
            }
        }
        // Carrying the command out removes expired answers first.
        if self.kept.len() >= IN_ALL && !self.has_expired(now) {
            return Known::Refused(KeyRefusal::Full);
        }
        Known::New
    }

    /// Keeps the answer to a command whose key is new. O(log answers).
    pub(crate) fn keep(
        &mut self,
        place: (Name, Key),
        fingerprint: Fingerprint,
        answer: Answer,
        now: Timestamp,
    ) {
        if self.users.get(&place.0).is_some_and(|user| user.kept >= PER_USER) {
            self.forget_oldest_of(&place.0);
        }
        let time = place.1.time().unwrap_or(now);
        // A key from ahead must be known until it counts as too old by its own time.
        let expires = Timestamp(now.max(time).0.saturating_add(KEPT_MS));
        self.count += 1;
        let nth = self.count;
        self.due.insert((expires, nth), place.clone());
        self.users.entry(place.0.clone()).or_default().kept += 1;
        self.kept.insert(place, Kept { fingerprint, answer: answer.brief(), time, expires, nth });
    }

    /// Removes a few expired answers. O(log answers).
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        for _ in 0..EXPIRED_PER_COMMAND {
            let Some(((expires, _), place)) = self.due.get_min() else { return };
            if *expires >= now {
                return;
            }
            let place = place.clone();
            self.forget(&place);
            // If the clock is set back, the key would not look too old. The floor still refuses it.
            if let Some(time) = place.1.time() {
                self.floor = self.floor.max(time);
            }
        }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.due.get_min().is_some_and(|((expires, _), _)| *expires < now)
    }

    /// The machine's time was set back to `now`. Keys from before are refused, since they may have been
    /// forgotten while the clock was ahead. Newer ones are accepted, whatever was forgotten meanwhile.
    pub(crate) fn correct(&mut self, now: Timestamp) {
        self.floor = now;
    }

    /// Forgets the answer with the oldest time of one user. O([`PER_USER`]).
    fn forget_oldest_of(&mut self, user: &Name) {
        let of_user =
            self.kept.range((Bound::Included((user.clone(), Key::lowest())), Bound::Unbounded));
        let of_user = of_user.take_while(|(place, _)| place.0 == *user);
        let Some((place, _)) = of_user.min_by_key(|(_, kept)| (kept.time, kept.nth)) else {
            return;
        };
        let place = place.clone();
        self.forget(&place);
        if let (Some(time), Some(account)) = (place.1.time(), self.users.get_mut(user)) {
            account.floor = account.floor.max(time);
        }
    }

    fn forget(&mut self, place: &(Name, Key)) {
        let Some(kept) = self.kept.remove(place) else { return };
        self.due.remove(&(kept.expires, kept.nth));
        let Some(account) = self.users.get_mut(&place.0) else { return };
        account.kept -= 1;
        if account.kept == 0 {
            // The answers of this user that were forgotten early are older than this last one.
            self.floor = self.floor.max(account.floor);
            self.users.remove(&place.0);
        }
    }

    /// The parts to serialise.
    pub(crate) fn to_data(&self) -> KeysData {
        let floors = self.users.iter().filter(|(_, account)| account.floor > Timestamp(0));
        KeysData {
            kept: self.kept.iter().map(|(place, kept)| (place.clone(), kept.clone())).collect(),
            floors: floors.map(|(user, account)| (user.clone(), account.floor)).collect(),
            floor: self.floor,
            count: self.count,
        }
    }

    /// The same from its parts. Returns `None` if they are not those of valid keys.
    pub(crate) fn from_data(data: KeysData) -> Option<Keys> {
        let KeysData { kept, floors, floor, count } = data;
        let ascending = kept.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && floors.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascending || kept.len() > IN_ALL {
            return None;
        }
        let mut keys = Keys { floor, count, ..Keys::default() };
        for (place, kept) in &kept {
            let account = keys.users.entry(place.0.clone()).or_default();
            account.kept += 1;
            let unique = keys.due.insert((kept.expires, kept.nth), place.clone()).is_none();
            let possible = kept.nth <= count && kept.time.since(kept.expires) == 0;
            if !unique || !possible || account.kept > PER_USER {
                return None;
            }
        }
        for (user, floor) in floors {
            keys.users.get_mut(&user)?.floor = floor;
        }
        keys.kept = kept.into_iter().collect();
        Some(keys)
    }

    /// How many answers are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::answer::{Done, Value};

    const NOW: u64 = 1_700_000_000_000;
    const MINUTE: u64 = 60_000;

    fn answer(at: u64) -> Answer {
        Answer { at: Timestamp(at), result: Ok(Done { value: Value::Nothing, caused: vec![] }) }
    }

    /// A key of version 7 with this time. `nth` makes it unique.
    fn key(time: u64, nth: u64) -> Key {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&nth.to_be_bytes());
        let uuid = uuid::Builder::from_unix_timestamp_millis(time, &random).into_uuid();
        uuid.to_string().parse().unwrap()
    }

    fn plain(nth: u64) -> Key {
        format!("key-{nth}").parse().unwrap()
    }

    fn look_up(keys: &Keys, user: u64, key: &Key, now: u64) -> Known {
        keys.look_up(&(user.into(), key.clone()), &[1; 16], Timestamp(now))
    }

    fn keep(keys: &mut Keys, user: u64, key: &Key, now: u64) {
        keys.tidy(Timestamp(now));
        keys.keep((user.into(), key.clone()), [1; 16], answer(now), Timestamp(now));
        let again = Keys::from_data(keys.to_data());
        assert_eq!(again.as_ref(), Some(&*keys));
    }

    const EXPIRED: Known = Known::Refused(KeyRefusal::Expired);

    #[test]
    fn a_key_gets_its_first_answer_again_for_ten_minutes_and_is_then_refused() {
        let mut keys = Keys::default();
        let mine = key(NOW, 1);
        assert_eq!(look_up(&keys, 1, &mine, NOW), Known::New);
        keep(&mut keys, 1, &mine, NOW + 5);
        for now in [NOW, NOW + MINUTE, NOW + 10 * MINUTE] {
            keys.tidy(Timestamp(now));
            assert_eq!(look_up(&keys, 1, &mine, now), Known::Answered(answer(NOW + 5)));
        }
        assert_eq!(look_up(&keys, 2, &mine, NOW + 5), Known::New, "another user has other keys");
        let reused = keys.look_up(&(1.into(), mine.clone()), &[2; 16], Timestamp(NOW));
        assert_eq!(reused, Known::Refused(KeyRefusal::Reused));
        let later = NOW + 10 * MINUTE + 6;
        keys.tidy(Timestamp(later));
        assert_eq!((keys.len(), look_up(&keys, 1, &mine, later)), (0, EXPIRED));
        assert_eq!(look_up(&keys, 1, &mine, NOW), EXPIRED, "also if the clock is set back");
    }

    #[test]
    fn a_key_from_last_week_or_tomorrow_is_refused() {
        let keys = Keys::default();
        assert_eq!(look_up(&keys, 1, &key(NOW - 7 * 24 * 60 * MINUTE, 1), NOW), EXPIRED);
        assert_eq!(look_up(&keys, 1, &key(NOW - 10 * MINUTE, 1), NOW), Known::New);
        assert_eq!(look_up(&keys, 1, &key(NOW + 2 * MINUTE, 1), NOW), Known::New);
        let ahead = Known::Refused(KeyRefusal::Ahead(Timestamp(NOW)));
        assert_eq!(look_up(&keys, 1, &key(NOW + 24 * 60 * MINUTE, 1), NOW), ahead);
    }

    #[test]
    fn a_key_from_ahead_is_known_until_it_is_too_old_by_its_own_time() {
        let mut keys = Keys::default();
        let mine = key(NOW + 2 * MINUTE, 1);
        keep(&mut keys, 1, &mine, NOW);
        for minute in 0..=20 {
            let now = NOW + minute * MINUTE;
            keys.tidy(Timestamp(now));
            assert_ne!(look_up(&keys, 1, &mine, now), Known::New, "after {minute} minutes");
        }
    }

    #[test]
    fn the_65th_key_of_a_user_forgets_the_oldest_which_is_then_refused() {
        let mut keys = Keys::default();
        for nth in 0..64 {
            keep(&mut keys, 1, &key(NOW + nth, nth), NOW + 100);
        }
        assert!(matches!(look_up(&keys, 1, &key(NOW, 0), NOW + 100), Known::Answered(_)));
        keep(&mut keys, 1, &key(NOW + 64, 64), NOW + 100);
        assert_eq!(look_up(&keys, 1, &key(NOW, 0), NOW + 100), EXPIRED);
        assert!(matches!(look_up(&keys, 1, &key(NOW + 1, 1), NOW + 100), Known::Answered(_)));
        assert_eq!(look_up(&keys, 2, &key(NOW, 0), NOW + 100), Known::New, "of another user");
        assert_eq!(keys.len(), 64);
    }

    #[test]
    fn a_key_without_a_time_is_kept_as_long_as_there_is_room() {
        let mut keys = Keys::default();
        for nth in 0..65 {
            keep(&mut keys, 1, &plain(nth), NOW + nth);
        }
        assert_eq!(look_up(&keys, 1, &plain(0), NOW + 100), Known::New, "best effort");
        assert!(matches!(look_up(&keys, 1, &plain(1), NOW + 100), Known::Answered(_)));
    }

    #[test]
    fn a_full_table_refuses_new_keys_and_keeps_the_others() {
        let mut keys = Keys::default();
        for nth in 0..IN_ALL as u64 {
            let user = 1 + nth / u64::from(PER_USER);
            let place = (Name::from(user), plain(nth));
            keys.keep(place, [1; 16], answer(NOW), Timestamp(NOW));
        }
        assert_eq!(look_up(&keys, 99_999, &plain(0), NOW), Known::Refused(KeyRefusal::Full));
        assert!(matches!(look_up(&keys, 1, &plain(0), NOW), Known::Answered(_)));
        // Nothing was removed yet: carrying out a command does that.
        let later = Timestamp(NOW + 11 * MINUTE);
        assert_eq!(look_up(&keys, 99_999, &plain(0), later.0), Known::New);
        keys.tidy(later);
        assert_eq!(keys.len(), IN_ALL - 2);
    }

    #[test]
    fn data_that_is_not_valid_is_refused() {
        let mut keys = Keys::default();
        keep(&mut keys, 1, &key(NOW, 1), NOW);
        keep(&mut keys, 1, &key(NOW + 1, 2), NOW);
        let mut twice = keys.to_data();
        twice.kept[1] = twice.kept[0].clone();
        assert_eq!(Keys::from_data(twice), None);
        let mut same_place = keys.to_data();
        same_place.kept[1].1 = same_place.kept[0].1.clone();
        assert_eq!(Keys::from_data(same_place), None);
        let mut future = keys.to_data();
        future.count = 1;
        assert_eq!(Keys::from_data(future), None);
        let mut stranger = keys.to_data();
        stranger.floors.push((2.into(), Timestamp(1)));
        assert_eq!(Keys::from_data(stranger), None);
    }

    #[derive(Debug, Clone)]
    struct Step {
        user: u64,
        /// When the client made the key, relative to the present, in seconds.
        offset: i64,
        nth: u64,
        /// By how much the clock goes forward, or back, before the step, in seconds.
        wait: i64,
    }

    fn step() -> impl Strategy<Value = Step> {
        let wait = prop_oneof![20 => 0..30_i64, 2 => 0..900_i64, 1 => -900..0_i64];
        let offset = prop_oneof![4 => -30..30_i64, 1 => -700..200_i64];
        (1..3_u64, offset, 0..4_u64, wait).prop_map(|(user, offset, nth, wait)| Step {
            user,
            offset,
            nth,
            wait,
        })
    }

    proptest! {
        /// Each key with a time is carried out at most once, whatever the clock does.
        #[test]
        fn a_key_with_a_time_is_never_carried_out_twice(
            steps in prop::collection::vec(step(), 1..400),
        ) {
            let mut keys = Keys::default();
            let mut done = BTreeMap::new();
            let mut now = NOW;
            let mut used = Vec::new();
            for Step { user, offset, nth, wait } in steps {
                now = now.saturating_add_signed(wait * 1000);
                // Half of the time, an earlier key again.
                let mine = match used.get((offset.unsigned_abs() as usize * 7) % (used.len() * 2 + 1)) {
                    Some(key) => Key::clone(key),
                    None => key(now.saturating_add_signed(offset * 1000), nth),
                };
                used.push(mine.clone());
                keys.tidy(Timestamp(now));
                match look_up(&keys, user, &mine, now) {
                    Known::New => {
                        let first = done.insert((user, mine.clone()), answer(now)).is_none();
                        prop_assert!(first, "carried out twice");
                        keep(&mut keys, user, &mine, now);
                    }
                    Known::Answered(found) => {
                        prop_assert_eq!(Some(&found), done.get(&(user, mine)));
                    }
                    Known::Refused(_) => {}
                }
            }
        }
    }
}
