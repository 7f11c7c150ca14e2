//! Starts that come a moment after their slots, at random: for targets that
//! many programs ask at the same round times.

use super::mixed;

/// How long after its slot a start comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter {
    /// So many milliseconds at most; zero for none.
    pub most: u64,
    /// What moments are drawn from: instances of one seed agree on them.
    pub seed: u64,
}

impl Jitter {
    /// Starts at their slots.
    pub const NONE: Self = Self { most: 0, seed: 0 };

    /// The moment for one slot of the checks that `hash` stands for: a tenth of
    /// their interval at most, so that the order of slots is that of starts.
    pub(super) fn moment(self, hash: u64, interval: u64, slot: u64) -> u64 {
        match self.most.min(interval / 10) {
            0 => 0,
            most => mixed(hash ^ mixed(self.seed ^ slot)) % (most + 1),
        }
    }
}
