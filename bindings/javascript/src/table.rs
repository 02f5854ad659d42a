//! Values that JavaScript names by numbers.

use crate::failure::Failure;

/// Values with numbers. A number is free again when its value is removed.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Table<T> {
    pub(crate) const fn new() -> Self {
        Table { slots: Vec::new(), free: Vec::new() }
    }

    /// Makes room for one more value, so that the next [`insert`](Self::insert) cannot fail. O(1),
    /// amortised.
    pub(crate) fn reserve(&mut self) -> Result<(), Failure> {
        if self.free.is_empty() {
            self.slots.try_reserve(1)?;
            // `remove` then never allocates.
            self.free.try_reserve(self.slots.len() + 1)?;
        }
        Ok(())
    }

    /// Adds a value and returns its number. The caller has called [`reserve`](Self::reserve). O(1).
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(number as usize)
        {
            *slot = Some(value);
            return number;
        }
        self.slots.push(Some(value));
        (self.slots.len() - 1) as u32
    }

    /// The value with that number.
    pub(crate) fn get(&self, number: u32) -> Result<&T, Failure> {
        self.slots.get(number as usize).and_then(Option::as_ref).ok_or(Failure::NoValue)
    }

    /// The value with that number.
    pub(crate) fn get_mut(&mut self, number: u32) -> Result<&mut T, Failure> {
        self.slots.get_mut(number as usize).and_then(Option::as_mut).ok_or(Failure::NoValue)
    }

    /// Removes a value. The caller drops it. O(1).
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let value = self.slots.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_only_after_their_value_is_removed() {
        let mut table = Table::new();
        for value in 0..3 {
            table.reserve().unwrap();
            assert_eq!(table.insert(value), value);
        }
        assert_eq!(table.remove(1), Some(1));
        assert_eq!(table.remove(1), None);
        assert!(table.get(1).is_err() && table.get_mut(7).is_err());
        table.reserve().unwrap();
        assert_eq!(table.insert(9), 1);
        assert_eq!((table.get(1).unwrap(), table.get(2).unwrap()), (&9, &2));
    }
}
