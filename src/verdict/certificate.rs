//! The target's certificate chain: it warns before one of it expires.

use std::time::Duration;

use super::rows::Rows;
use crate::{
    clock::Timestamp,
    observation::{Failure, Observation},
    report::Verdict,
};

/// Judges the certificates seen. `warn` is how long before; nothing turns it off.
pub(super) fn judge(observation: &Observation, warn: Duration, rows: &mut Rows) {
    let Some(certificate) = &observation.certificate else {
        return;
    };
    // A handshake that failed has told why.
    if warn.is_zero() || matches!(observation.failure, Some(Failure::Tls(_))) {
        return;
    }
    let (now, end) = (observation.started_at, certificate.chain_not_after);
    let expect = format!(
        "certificates valid for {}",
        humantime::format_duration(warn)
    );
    let left = end.since(now);
    if left > warn {
        rows.met(&expect);
        return;
    }
    let which = if end < certificate.not_after {
        "a certificate of the chain"
    } else {
        "the certificate"
    };
    let day = day(end);
    if end > now {
        let finding = format!("{which} expires in {} ({day})", shown(left));
        rows.not_met(Verdict::Warn, &expect, finding);
    } else {
        let finding = format!("{which} expired {} ago ({day})", shown(now.since(end)));
        rows.not_met(Verdict::Fail, &expect, finding);
    }
}

/// A length of time as people say it of certificates: `3 days`, `5 hours`.
fn shown(length: Duration) -> String {
    let seconds = length.as_secs();
    let (n, unit) = match seconds {
        172_800.. => (seconds / 86_400, "day"),
        7_200.. => (seconds / 3_600, "hour"),
        120.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {unit}{s}")
}

/// `2026-11-27`.
fn day(at: Timestamp) -> String {
    at.to_string()
        .split('T')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::Rules,
        observation::Certificate,
        verdict::{
            Judge,
            tests::{answer, certificate},
        },
    };

    const DAY: Duration = Duration::from_hours(24);
    const NOW: Timestamp = Timestamp::from_millis(1_795_500_000_000);

    /// Judges a chain of which the leaf and the first to expire have so long left.
    fn judged(leaf: i64, chain: i64, rules: &Rules) -> (Verdict, String) {
        let at = |days: i64| {
            Timestamp::from_millis(NOW.as_millis().strict_add_signed(days * 86_400_000))
        };
        let mut observation = answer(200, "", 12);
        observation.started_at = NOW;
        observation.certificate = Some(Certificate {
            not_after: at(leaf),
            chain_not_after: at(chain),
            ..certificate()
        });
        let judgement = Judge::new(rules).unwrap().judge(&observation);
        (judgement.verdict, judgement.message)
    }

    #[test]
    fn a_chain_warns_before_it_expires_and_fails_when_it_has() {
        let rules = Rules::default();
        for (leaf, chain, verdict, message) in [
            (90, 90, Verdict::Pass, "200 in 12 ms"),
            (15, 15, Verdict::Pass, "200 in 12 ms"),
            (
                14,
                14,
                Verdict::Warn,
                "the certificate expires in 14 days (2026-12-08)",
            ),
            (
                1,
                1,
                Verdict::Warn,
                "the certificate expires in 24 hours (2026-11-25)",
            ),
            (
                90,
                3,
                Verdict::Warn,
                "a certificate of the chain expires in 3 days (2026-11-27)",
            ),
            (
                0,
                0,
                Verdict::Fail,
                "the certificate expired 0 seconds ago (2026-11-24)",
            ),
            (
                90,
                -3,
                Verdict::Fail,
                "a certificate of the chain expired 3 days ago (2026-11-21)",
            ),
        ] {
            assert_eq!(judged(leaf, chain, &rules), (verdict, message.to_owned()));
        }
    }

    #[test]
    fn how_long_before_is_the_operators_choice() {
        let rules = |certificate_warn| Rules {
            certificate_warn,
            ..Rules::default()
        };
        assert_eq!(judged(20, 20, &rules(30 * DAY)).0, Verdict::Warn);
        assert_eq!(judged(2, 2, &rules(DAY)).0, Verdict::Pass);
        for days in [1, -1] {
            assert_eq!(judged(days, days, &rules(Duration::ZERO)).0, Verdict::Pass);
        }
    }

    #[test]
    fn a_handshake_that_failed_is_told_of_once() {
        let mut observation = answer(200, "", 12);
        observation.response = None;
        observation.failure = Some(Failure::Tls("the certificate has expired".into()));
        observation.certificate = Some(certificate());
        let judgement = Judge::new(&Rules::default()).unwrap().judge(&observation);
        assert_eq!(judgement.message, "TLS: the certificate has expired");
    }

    #[test]
    fn lengths_are_said_in_one_unit() {
        for (seconds, said) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7_200, "2 hours"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(shown(Duration::from_secs(seconds)), said);
        }
    }
}
