//! Writing metrics: OpenMetrics for who asks for it, else Prometheus' text.

use std::fmt::{Display, Write as _};

use axum::http::{HeaderMap, header};

use crate::tally::{BOUNDS, Spread};

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows; its samples end in `_total`.
    Counter,
    /// Values by size.
    Histogram,
}

/// A page of metrics.
#[derive(Debug)]
pub struct Exposition {
    out: String,
    open: bool,
    name: &'static str,
    kind: Kind,
}

impl Exposition {
    /// A page for whoever sent these headers.
    pub fn for_asker(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let open = accepted
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("application/openmetrics-text"));
        Self {
            out: String::new(),
            open,
            name: "",
            kind: Kind::Gauge,
        }
    }

    /// What the page is written in.
    pub const fn content_type(&self) -> &'static str {
        if self.open {
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        } else {
            "text/plain; version=0.0.4; charset=utf-8"
        }
    }

    /// Begins a metric: its name without `_total`, and what it means.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) {
        (self.name, self.kind) = (name, kind);
        let total = if kind == Kind::Counter && !self.open {
            "_total"
        } else {
            ""
        };
        let word = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        self.line(format_args!("# HELP {name}{total} {help}"));
        self.line(format_args!("# TYPE {name}{total} {word}"));
        if self.open
            && let Some(unit) = ["seconds", "bytes"]
                .into_iter()
                .find(|unit| name.ends_with(unit))
        {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
    }

    /// A value of the metric that was begun.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        let end = if self.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        self.write(end, labels, None, value);
    }

    /// A metric of one value.
    pub fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(&[], value);
    }

    /// A histogram of the metric that was begun.
    pub fn spread(&mut self, labels: &[(&str, &str)], spread: &Spread) {
        let mut count = 0;
        for (bound, n) in BOUNDS.iter().zip(&spread.buckets) {
            count += n;
            self.write("_bucket", labels, Some(&format!("{bound:?}")), count);
        }
        let all: u64 = spread.buckets.iter().sum();
        self.write("_bucket", labels, Some("+Inf"), all);
        self.write("_sum", labels, None, spread.sum);
        self.write("_count", labels, None, all);
    }

    /// The page.
    pub fn finish(mut self) -> String {
        if self.open {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn write(&mut self, end: &str, labels: &[(&str, &str)], le: Option<&str>, value: impl Display) {
        self.out.push_str(self.name);
        self.out.push_str(end);
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(le.map(|le| ("le", le))) {
            self.out.push(before);
            before = ',';
            self.out.push_str(name);
            self.out.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        if before == ',' {
            self.out.push('}');
        }
        self.line(format_args!(" {value}"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        if self.out.write_fmt(text).is_ok() {
            self.out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn page(accept: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        let mut page = Exposition::for_asker(&headers);
        page.metric("runs", Kind::Counter, "Runs.");
        page.sample(&[("check", "a\"\\\nb")], 3);
        page.metric("lag_seconds", Kind::Histogram, "Lag.");
        let mut spread = Spread::<u32>::default();
        spread.note(Duration::from_millis(2));
        spread.note(Duration::from_secs(60));
        page.spread(&[], &spread.wide());
        page.finish()
    }

    #[test]
    fn labels_are_escaped_and_buckets_add_up() {
        let text = page("text/plain");
        assert!(
            text.starts_with("# HELP runs_total Runs.\n# TYPE runs_total counter\nruns_total{check=\"a\\\"\\\\\\nb\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains("lag_seconds_bucket{le=\"0.001\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("lag_seconds_bucket{le=\"0.0025\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("lag_seconds_bucket{le=\"1.0\"} 1\n"),
            "{text}"
        );
        assert!(
            text.ends_with("{le=\"+Inf\"} 2\nlag_seconds_sum 60.002\nlag_seconds_count 2\n"),
            "{text}"
        );
    }

    #[test]
    fn open_metrics_are_for_who_asks() {
        let text = page("application/openmetrics-text;version=1.0.0,*/*;q=0.1");
        assert!(text.contains("# TYPE runs counter\nruns_total{"), "{text}");
        assert!(text.contains("# UNIT lag_seconds seconds\n"), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }
}
