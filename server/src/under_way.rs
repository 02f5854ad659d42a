//! How many commands each user has under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::name::Name;
use crate::unanswered::Unanswered;

/// How many commands of one user may be under way.
const MAX: usize = 8;

/// Counts the commands under way.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<BTreeMap<Name, usize>>);

/// The place of one command. It is free again when this is dropped: when the command has its answer, even
/// if its client no longer waits for it.
pub(crate) struct Place {
    under_way: Arc<UnderWay>,
    user: Name,
}

impl UnderWay {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<Name, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more command of a user.
    ///
    /// # Errors
    /// The user has too many commands under way.
    pub(crate) fn enter(self: &Arc<Self>, user: &Name) -> Result<Place, Unanswered> {
        let mut counts = self.counts();
        let count = counts.entry(user.clone()).or_default();
        if *count >= MAX {
            return Err(Unanswered::Busy { max: MAX });
        }
        *count += 1;
        Ok(Place { under_way: Arc::clone(self), user: user.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.under_way.counts();
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_eight_places_and_gets_them_back() {
        let under_way = Arc::new(UnderWay::default());
        let (alice, bob) = (Name::from(1), Name::from(2));
        let mut places: Vec<_> = (0..8).map(|_| under_way.enter(&alice).unwrap()).collect();
        assert!(matches!(under_way.enter(&alice), Err(Unanswered::Busy { max: 8 })));
        assert!(under_way.enter(&bob).is_ok(), "each user has places of their own");
        places.pop();
        places.push(under_way.enter(&alice).unwrap());
        assert!(under_way.enter(&alice).is_err());
        drop(places);
        assert!(under_way.counts().is_empty());
    }
}
