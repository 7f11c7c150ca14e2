//! The HTTP status and the health document: each is judged, and where they
//! disagree both are told of.

use super::{document::Reading, rows::Rows};
use crate::{
    check::{Disagreement, Rules},
    line::line,
    report::{Component, Document, Verdict},
};

/// An answer's two voices.
pub(super) struct Answer<'a> {
    pub(super) rules: &'a Rules,
    /// The HTTP status.
    pub(super) status: u16,
    pub(super) reading: Option<&'a Reading>,
}

const DOCUMENT: &str = "the document says pass";

impl Answer<'_> {
    /// Judges both, or the one that decides. What the document says comes
    /// first: it knows which part it is.
    pub(super) fn judge(&self, rows: &mut Rows) {
        let decides = self.rules.on_disagreement;
        let http = self.http();
        let document = self
            .reading
            .map(|reading| &reading.document)
            .filter(|_| decides != Disagreement::Http);
        let said = document.and_then(|document| document.status.verdict());
        if let Some((document, verdict)) = document.zip(said) {
            if decides == Disagreement::Document {
                // However bad the HTTP status, it counts no more than that.
                let http = http.map(|http| http.min(verdict));
                return self.judge_document(document, verdict, http, rows);
            }
            self.judge_document(document, verdict, http, rows);
        }
        let wanted = self.wanted();
        let expect = format!("HTTP status {wanted}");
        let Some(verdict) = http else {
            return rows.met(&expect);
        };
        let finding = format!("HTTP status {}, expected {wanted}", self.status);
        match said {
            Some(said) if said >= verdict => rows.not_met_either(verdict, &expect, finding),
            Some(said) => {
                let finding = format!("{finding}, but the document says {said}");
                rows.not_met(verdict, &expect, finding);
            }
            None => rows.not_met(verdict, &expect, finding),
        }
    }

    fn judge_document(
        &self,
        document: &Document,
        verdict: Verdict,
        http: Option<Verdict>,
        rows: &mut Rows,
    ) {
        let status = self.status;
        let finding = finding(document);
        match http {
            _ if verdict == Verdict::Pass => rows.met(DOCUMENT),
            None if verdict == Verdict::Fail => {
                let finding = format!("HTTP status {status}, but {finding}");
                rows.not_met(verdict, DOCUMENT, finding);
            }
            None => rows.not_met(verdict, DOCUMENT, finding),
            Some(http) if verdict >= http => {
                rows.not_met(
                    verdict,
                    DOCUMENT,
                    format!("HTTP status {status}, {finding}"),
                );
            }
            Some(_) => rows.not_met_either(verdict, DOCUMENT, finding),
        }
    }

    /// What the HTTP status makes of the verdict, when it is not as wanted.
    fn http(&self) -> Option<Verdict> {
        let status = self.status;
        let wanted = &self.rules.status;
        if !wanted.is_empty() {
            return (!wanted.contains(&status)).then_some(Verdict::Fail);
        }
        let warns = self
            .reading
            .is_some_and(|reading| reading.warns.contains(&status));
        match status {
            200..300 => None,
            _ if warns => Some(Verdict::Warn),
            _ => Some(Verdict::Fail),
        }
    }

    fn wanted(&self) -> String {
        if self.rules.status.is_empty() {
            return "200 to 299".to_owned();
        }
        let list: Vec<_> = self.rules.status.iter().map(ToString::to_string).collect();
        list.join(", ")
    }
}

/// What the document found, for a person.
fn finding(document: &Document) -> String {
    /// So many parts are named in one line.
    const NAMED: usize = 3;
    let mut said: Vec<String> = Vec::new();
    said.extend(document.detail.as_deref().map(|detail| line(detail, 100)));
    let worst = document
        .components
        .iter()
        .filter_map(|part| part.status.verdict())
        .max()
        .filter(|verdict| *verdict != Verdict::Pass);
    let bad = |part: &&Component| worst.is_some() && part.status.verdict() == worst;
    let mut n_bad = 0;
    for part in document.components.iter().filter(bad) {
        n_bad += 1;
        if n_bad > NAMED {
            continue;
        }
        said.push(match &part.detail {
            Some(detail) => format!("`{}` ({})", part.name, line(detail, 100)),
            None => format!("`{}`", part.name),
        });
    }
    if n_bad > NAMED {
        said.push(format!("{} more", n_bad - NAMED));
    }
    let says = document.status;
    let colon = if said.is_empty() { "" } else { ": " };
    format!("the document says {says}{colon}{}", said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::Dialect,
        verdict::{Judge, tests::answer},
    };

    const UP: &str = r#"{"status":"UP"}"#;
    const DOWN: &str = r#"{"status":"DOWN"}"#;
    const CUSTOM: &str = r#"{"status":"CUSTOM","components":{"a":{"status":"CUSTOM"}}}"#;
    const WARN: &str = r#"{"status":"warn","output":"slow"}"#;

    fn check(rules: &Rules, http: u16, body: &str, expected: (Verdict, &str)) {
        let judgement = Judge::new(rules).unwrap().judge(&answer(http, body, 12));
        let said = (judgement.verdict, judgement.message.as_str());
        assert_eq!(said, expected, "{http} {body}");
        let dialect = judgement.document.map(|document| document.status);
        assert_eq!(dialect.is_some(), body.contains("status"), "both are kept");
    }

    #[test]
    fn the_worse_of_the_two_wins() {
        use Verdict::{Fail, Pass, Warn};
        for (http, body, verdict, message) in [
            (200, UP, Pass, "200 in 12 ms"),
            (503, DOWN, Fail, "HTTP status 503, the document says fail"),
            (
                200,
                DOWN,
                Fail,
                "HTTP status 200, but the document says fail",
            ),
            (
                503,
                UP,
                Fail,
                "HTTP status 503, expected 200 to 299, but the document says pass",
            ),
            (200, WARN, Warn, "the document says warn: slow"),
            (
                503,
                WARN,
                Fail,
                "HTTP status 503, expected 200 to 299, but the document says warn",
            ),
            (200, CUSTOM, Pass, "200 in 12 ms"),
            (500, CUSTOM, Fail, "HTTP status 500, expected 200 to 299"),
            (200, "{}", Pass, "200 in 12 ms"),
        ] {
            check(&Rules::default(), http, body, (verdict, message));
        }
    }

    #[test]
    fn one_of_the_two_may_decide_alone() {
        use Verdict::{Fail, Pass, Warn};
        let by = |on_disagreement| Rules {
            on_disagreement,
            ..Rules::default()
        };
        for (http, body, verdict, message) in [
            (200, DOWN, Pass, "200 in 12 ms"),
            (200, WARN, Pass, "200 in 12 ms"),
            (503, UP, Fail, "HTTP status 503, expected 200 to 299"),
            (503, DOWN, Fail, "HTTP status 503, expected 200 to 299"),
        ] {
            check(&by(Disagreement::Http), http, body, (verdict, message));
        }
        for (http, body, verdict, message) in [
            (503, UP, Pass, "503 in 12 ms"),
            (
                503,
                WARN,
                Warn,
                "HTTP status 503, the document says warn: slow",
            ),
            (
                200,
                DOWN,
                Fail,
                "HTTP status 200, but the document says fail",
            ),
            // It says nothing.
            (500, CUSTOM, Fail, "HTTP status 500, expected 200 to 299"),
            (500, "{}", Fail, "HTTP status 500, expected 200 to 299"),
        ] {
            check(&by(Disagreement::Document), http, body, (verdict, message));
        }
    }

    #[test]
    fn statuses_that_are_wanted_are_wanted_of_every_dialect() {
        let body = r#"{"AggregatedStatus":"warning","Checks":[]}"#;
        let rules = Rules {
            status: vec![200],
            ..Rules::default()
        };
        let judged = |rules: &Rules| Judge::new(rules).unwrap().judge(&answer(429, body, 1));
        assert_eq!(judged(&rules).verdict, Verdict::Fail);
        assert_eq!(judged(&Rules::default()).verdict, Verdict::Warn);
    }

    #[test]
    fn an_answer_in_no_known_dialect_fails_where_one_is_named() {
        let rules = |on_disagreement| Rules {
            dialect: Dialect::Named("spring-boot"),
            on_disagreement,
            ..Rules::default()
        };
        let said = |rules: &Rules, http| {
            let judgement = Judge::new(rules)
                .unwrap()
                .judge(&answer(http, "<html>", 12));
            judgement.message
        };
        let worse = rules(Disagreement::Worse);
        assert_eq!(
            said(&worse, 200),
            "the body is no health document in `spring-boot`"
        );
        assert_eq!(
            said(&worse, 502),
            "HTTP status 502, expected 200 to 299 (+1 more)"
        );
        assert_eq!(said(&rules(Disagreement::Http), 200), "200 in 12 ms");
    }

    #[test]
    fn half_a_document_is_not_read() {
        let mut broken = answer(200, DOWN, 12);
        broken.failure = Some(crate::observation::Failure::Refused);
        let judgement = Judge::new(&Rules::default()).unwrap().judge(&broken);
        assert_eq!(judgement.document, None);
        assert_eq!(judgement.message, "connection refused");
    }
}
