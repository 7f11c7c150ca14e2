//! Fair shares of a bounded room: nobody has more of it than is left free, so
//! that whoever comes first leaves room for the next.
//!
//! One has half of it at most, two have a third each, and so on (the dynamic
//! thresholds that switches share their buffers by: Choudhury and Hahne, 1998).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::tally::Counter;

/// A room, and who has how much of it.
#[derive(Debug)]
pub struct Shares {
    room: usize,
    taken: Mutex<Taken>,
    /// How often somebody's share was used up.
    pub denied: Counter,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    each: HashMap<Box<str>, usize>,
}

/// One place, free again when this is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    shares: &'a Shares,
    whose: &'a str,
}

impl Shares {
    /// A room of so many places.
    pub fn new(room: usize) -> Self {
        Self {
            room,
            taken: Mutex::default(),
            denied: Counter::default(),
        }
    }

    /// Takes a place for `whose`; `None`, and counted, when its share is used up.
    pub fn take<'a>(&'a self, whose: &'a str) -> Option<Place<'a>> {
        let mut taken = self.lock();
        if !taken.leaves(self.room, whose) {
            drop(taken);
            self.denied.count();
            return None;
        }
        taken.in_all += 1;
        match taken.each.get_mut(whose) {
            Some(places) => *places += 1,
            None => drop(taken.each.insert(whose.into(), 1)),
        }
        Some(Place {
            shares: self,
            whose,
        })
    }

    /// Whether `whose` share leaves a place.
    pub fn leaves(&self, whose: &str) -> bool {
        self.lock().leaves(self.room, whose)
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.lock().in_all
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn leaves(&self, room: usize, whose: &str) -> bool {
        let own = self.each.get(whose).copied().unwrap_or(0);
        own < room.saturating_sub(self.in_all)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        taken.in_all -= 1;
        if let Some(places) = taken.each.get_mut(self.whose) {
            *places -= 1;
            if *places == 0 {
                taken.each.remove(self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<'a>(shares: &'a Shares, whose: &'a str) -> Vec<Place<'a>> {
        std::iter::from_fn(|| shares.take(whose)).collect()
    }

    #[test]
    fn nobody_has_more_than_is_left() {
        let shares = Shares::new(12);
        let first = all(&shares, "first");
        assert_eq!(first.len(), 6);
        let second = all(&shares, "second");
        assert_eq!(second.len(), 3);
        assert!(!shares.leaves("second") && shares.leaves("third"));
        assert_eq!((shares.taken(), shares.denied.total()), (9, 2));
    }

    #[test]
    fn what_is_given_back_is_free_for_all() {
        let shares = Shares::new(12);
        let mut first = all(&shares, "first");
        first.truncate(2);
        assert_eq!(all(&shares, "second").len(), 5);
        drop(first);
        assert_eq!(shares.taken(), 0);
        assert!(shares.lock().each.is_empty());
        assert_eq!(all(&shares, "first").len(), 6);
    }
}
