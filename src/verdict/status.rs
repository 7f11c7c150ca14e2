//! A check's status over time: how one run's verdict changes it.

use crate::{
    check::Thresholds,
    clock::Timestamp,
    report::{Status, Summary, Verdict},
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
    pub streak: u32,
}

impl Standing {
    /// What `summary` says, read back after a restart.
    pub fn of(summary: &Summary) -> Self {
        Self {
            status: summary.status,
            since: summary.since,
            verdict: summary.verdict,
            consecutive: summary.consecutive,
            streak: summary.consecutive,
        }
    }

    /// The standing after a run with `verdict`, whose probe started at `at`.
    ///
    /// `down` needs `fail_after` failing runs in a row, and ends after
    /// `recover_after` runs in a row that do not fail. A first failure below
    /// the threshold leaves the status as it was.
    pub fn after(
        before: Option<Self>,
        verdict: Verdict,
        at: Timestamp,
        thresholds: Thresholds,
    ) -> Self {
        let fails = |verdict: Verdict| verdict == Verdict::Fail;
        let (consecutive, streak) = before.map_or((1, 1), |b| {
            (
                if b.verdict == verdict {
                    b.consecutive.saturating_add(1)
                } else {
                    1
                },
                if fails(b.verdict) == fails(verdict) {
                    b.streak.saturating_add(1)
                } else {
                    1
                },
            )
        });
        let was = before.map_or(Status::Unknown, |b| b.status);
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
        let since = before
            .filter(|b| b.status == status)
            .map_or(at, |b| b.since);
        Self {
            status,
            since,
            verdict,
            consecutive,
            streak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folds a string of verdicts (`p`, `w`, `f`) and writes the statuses
    /// (`U` up, `D` degraded, `X` down, `?` unknown).
    fn check(fail_after: u32, recover_after: u32, verdicts: &str, expected: &str) {
        let thresholds = Thresholds {
            fail_after,
            recover_after,
        };
        let mut standing = None;
        let mut seen = String::new();
        for (at, letter) in (0..).zip(verdicts.chars()) {
            let verdict = match letter {
                'p' => Verdict::Pass,
                'w' => Verdict::Warn,
                _ => Verdict::Fail,
            };
            let next = Standing::after(standing, verdict, Timestamp::from_millis(at), thresholds);
            seen.push(match next.status {
                Status::Up => 'U',
                Status::Degraded => 'D',
                Status::Down => 'X',
                Status::Unknown => '?',
            });
            standing = Some(next);
        }
        assert_eq!(seen, expected, "{verdicts} with {thresholds:?}");
    }

    #[test]
    fn a_status_follows_the_verdicts_within_its_thresholds() {
        check(1, 1, "pwfp", "UDXU");
        check(2, 1, "pfpff", "UUUUX");
        check(3, 1, "fff", "??X");
        check(1, 2, "fpfppw", "XXXXUD");
        check(2, 3, "ffpwpp", "?XXXUU");
        check(2, 2, "wfw", "DDD");
    }

    #[test]
    fn since_is_when_the_status_began() {
        let one = Thresholds::default();
        let at = Timestamp::from_millis;
        let first = Standing::after(None, Verdict::Pass, at(10), one);
        let second = Standing::after(Some(first), Verdict::Pass, at(20), one);
        assert_eq!((second.since, second.consecutive), (at(10), 2));
        let third = Standing::after(Some(second), Verdict::Fail, at(30), one);
        assert_eq!((third.since, third.consecutive), (at(30), 1));
    }
}
