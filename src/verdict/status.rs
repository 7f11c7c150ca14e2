//! A check's status over time: how one run's verdict changes it.

use crate::{
    check::Thresholds,
    clock::Timestamp,
    report::{Held, Status, Summary, Verdict},
};

/// What is known of a check between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The status.
    pub status: Status,
    /// Since when.
    pub since: Timestamp,
    /// The newest verdict.
    pub verdict: Verdict,
    /// Runs in a row with that verdict.
    pub consecutive: u32,
    /// Runs in a row on the same side of failing: all failed, or none did.
    /// Those that are withheld do not count.
    pub streak: u32,
    /// After this moment nothing is known, unless another run ends.
    pub good_until: Timestamp,
    /// Since when nothing was known before the newest run, if that was so.
    pub unknown_since: Option<Timestamp>,
    /// The status that is withheld, while it is.
    pub held: Option<Held>,
}

/// What a run adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its verdict.
    pub verdict: Verdict,
    /// When its probe started.
    pub at: Timestamp,
    /// How long its record is good for.
    pub good_until: Timestamp,
    /// It failed, and supercheck's own network may be the cause: it says
    /// nothing of the target.
    pub withheld: bool,
}

impl Standing {
    /// What `summary` says, read back after a restart.
    pub fn of(summary: &Summary) -> Self {
        Self {
            status: summary.status,
            since: summary.since,
            verdict: summary.verdict,
            consecutive: summary.consecutive,
            streak: summary.streak.unwrap_or(summary.consecutive),
            good_until: summary.expires_at,
            unknown_since: summary.unknown_since,
            held: summary.held,
        }
    }

    /// The status that counts, also while it is withheld, and since when.
    pub fn counted(&self) -> Held {
        self.held.unwrap_or(Held {
            status: self.status,
            since: self.since,
        })
    }

    /// Moves the beginning of the status back to where `earlier`, which has
    /// the same, says that it was.
    pub fn continue_from(&mut self, earlier: &Self) {
        let since = earlier.counted().since;
        match &mut self.held {
            Some(held) => held.since = held.since.min(since),
            None => self.since = self.since.min(since),
        }
    }

    /// The standing after a run.
    ///
    /// `down` needs `fail_after` failing runs in a row, and ends after
    /// `recover_after` runs in a row that do not fail. A first failure below
    /// the threshold leaves the status as it was.
    ///
    /// A time in which nothing is known leaves no trace in the status: it goes
    /// on from what it was, and the first run says since when it was unknown.
    pub fn after(before: Option<Self>, turn: Turn, thresholds: Thresholds) -> Self {
        if turn.withheld {
            return Self::withheld(before, turn);
        }
        let Turn { verdict, at, .. } = turn;
        let streak = before.map_or(1, |b| {
            if fails(b.verdict) == fails(verdict) {
                b.streak.saturating_add(1)
            } else {
                1
            }
        });
        let counted = before.map(|before| before.counted());
        let was = counted.map_or(Status::Unknown, |counted| counted.status);
        let well = if verdict == Verdict::Warn {
            Status::Degraded
        } else {
            Status::Up
        };
        let status = match (fails(verdict), was) {
            (true, _) if streak >= thresholds.fail_after => Status::Down,
            (false, Status::Down) if streak < thresholds.recover_after => Status::Down,
            (true, was) => was,
            (false, _) => well,
        };
        let since = counted
            .filter(|counted| counted.status == status)
            .map_or(at, |counted| counted.since);
        Self {
            status,
            since,
            verdict,
            consecutive: in_a_row(before, verdict),
            streak,
            good_until: turn.good_until,
            unknown_since: before.and_then(|before| before.unknown_at(at)),
            held: None,
        }
    }

    /// The standing after a failing run that says nothing: it is unknown what
    /// the status is, and what it was is kept.
    fn withheld(before: Option<Self>, turn: Turn) -> Self {
        let gap = before.and_then(|before| before.unknown_at(turn.at));
        let counted = before.map_or(
            Held {
                status: Status::Unknown,
                since: turn.at,
            },
            |before| before.counted(),
        );
        Self {
            status: Status::Unknown,
            since: gap.unwrap_or(turn.at),
            verdict: turn.verdict,
            consecutive: in_a_row(before, turn.verdict),
            // The failing runs that count, of those that came before.
            streak: before
                .filter(|before| fails(before.verdict))
                .map_or(0, |before| before.streak),
            good_until: turn.good_until,
            unknown_since: None,
            held: Some(counted),
        }
    }

    /// Since when nothing was known right before `at`, if that is so.
    fn unknown_at(&self, at: Timestamp) -> Option<Timestamp> {
        if self.held.is_some() {
            Some(self.since)
        } else {
            (at > self.good_until).then_some(self.good_until)
        }
    }
}

fn fails(verdict: Verdict) -> bool {
    verdict == Verdict::Fail
}

fn in_a_row(before: Option<Standing>, verdict: Verdict) -> u32 {
    before
        .filter(|before| before.verdict == verdict)
        .map_or(1, |before| before.consecutive.saturating_add(1))
}

#[cfg(test)]
mod tests;
