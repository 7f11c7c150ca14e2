//! `supercheck check`: probes here and now, and says why. Stores nothing and
//! needs no NATS.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use clap::Args;
use futures_util::StreamExt as _;

use super::{
    Failure, Global, load,
    out::{self, Cell},
};
use crate::{
    check::Check,
    config,
    error::Exit,
    near::nearest,
    observation::Observation,
    probe::{Prober, ProberSettings},
    report::{Component, Document, Encoded, Expectation, FailedAttempt, Status, Trigger, millis},
    runner,
    verdict::{
        Judge, Judgement,
        status::{Standing, Turn},
        write_up::{Making, write_up},
    },
};

/// How many targets are probed at once.
const AT_ONCE: usize = 32;

/// What `check` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// Checks of the configuration, or URLs [default: all checks]
    #[arg(value_name = "NAME|URL")]
    targets: Vec<String>,
    /// One report a line, as the daemon would store it
    #[arg(long)]
    json: bool,
}

/// One target, probed and judged.
struct Outcome {
    check: Arc<Check>,
    observation: Observation,
    judgement: Judgement,
    /// The attempts before.
    failed: Vec<FailedAttempt>,
}

/// Probes the targets, as often as the daemon would within one run. The exit code is that of the worst verdict.
///
/// # Errors
/// When a name is not configured.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let checks = checks(global, &options.targets)?;
    out::block_on(async {
        let prober = Prober::new(&ProberSettings::default())
            .map_err(|error| Failure::new(Exit::Bug, error))?;
        let mut outcomes = Vec::with_capacity(checks.len());
        let mut progress = Progress::new(checks.len());
        let mut runs = futures_util::stream::iter(checks)
            .map(|check| probe(&prober, check))
            .buffer_unordered(AT_ONCE);
        while let Some(outcome) = runs.next().await {
            outcomes.push(outcome?);
            progress.done(outcomes.len());
        }
        progress.clear();
        outcomes.sort_by(|a, b| a.check.name.cmp(&b.check.name));
        let exit = out::exit(outcomes.iter().map(status));
        out::print(&if options.json {
            json(outcomes)?
        } else {
            table(&outcomes)
        })?;
        Ok(exit)
    })
}

async fn probe(prober: &Prober, check: Arc<Check>) -> Result<Outcome, Failure> {
    let judge = Judge::new(&check.rules).map_err(|(_, error)| Failure::new(Exit::Config, error))?;
    let seen = runner::see(prober, &check, &judge).await;
    Ok(Outcome {
        check,
        observation: seen.observation,
        judgement: seen.judgement,
        failed: seen.failed,
    })
}

/// The checks named. URLs alone need no configuration at all.
fn checks(global: &Global, targets: &[String]) -> Result<Vec<Arc<Check>>, Failure> {
    let is_url = |target: &String| target.contains("://");
    let configured = if !targets.is_empty() && targets.iter().all(is_url) {
        Vec::new()
    } else {
        load::load(global.config.as_deref())?.config.checks
    };
    if targets.is_empty() {
        let asked = configured.into_iter().filter(|check| !check.is_push());
        return Ok(asked.collect());
    }
    targets
        .iter()
        .map(|target| {
            if is_url(target) {
                return config::ad_hoc(target)
                    .map(Arc::new)
                    .map_err(|error| Failure::new(Exit::Usage, anyhow::Error::msg(error)));
            }
            let found = configured
                .iter()
                .find(|check| check.name.as_str() == target);
            match found {
                Some(check) if check.is_push() => Err(not_asked(target)),
                Some(check) => Ok(Arc::clone(check)),
                None => Err(unknown(target, &configured)),
            }
        })
        .collect()
}

fn not_asked(target: &str) -> Failure {
    Failure {
        exit: Exit::Usage,
        error: anyhow::anyhow!("`{target}` cannot be asked: its job reports by itself"),
        hint: Some(format!(
            "`supercheck status {target}` shows what it last said"
        )),
    }
}

fn unknown(target: &str, configured: &[Arc<Check>]) -> Failure {
    let hint = nearest(target, configured.iter().map(|check| check.name.as_str())).map_or_else(
        || "a URL starts with `http://` or `https://`".to_owned(),
        |near| {
            format!(
                "did you mean `{near}`? `supercheck check` alone runs all {}",
                configured.len()
            )
        },
    );
    Failure {
        exit: Exit::Usage,
        error: anyhow::anyhow!("no check is named `{target}`"),
        hint: Some(hint),
    }
}

fn status(outcome: &Outcome) -> Status {
    out::of_verdict(outcome.judgement.verdict)
}

/// The check's name; or its URL where the name, which URLs on the command line
/// have of their host, is that of others too.
fn label<'a>(outcome: &'a Outcome, all: &[Outcome]) -> &'a str {
    let name = &outcome.check.name;
    let same = all.iter().filter(|other| other.check.name == *name);
    if same.count() > 1 {
        &outcome.check.shown_url
    } else {
        name.as_str()
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let colour = out::colour();
    let mut rows = Vec::new();
    for outcome in outcomes {
        let http = outcome
            .observation
            .response
            .as_ref()
            .map(|response| response.status);
        rows.push(vec![
            Cell::plain(label(outcome, outcomes)),
            Cell::status(status(outcome), colour),
            Cell::plain(out::latency(millis(outcome.observation.latency))),
            Cell::plain(http.map_or_else(|| "-".to_owned(), |code| code.to_string())),
            Cell::plain(&outcome.judgement.message),
        ]);
    }
    let mut text = out::table(&["CHECK", "STATUS", "LATENCY", "HTTP", "MESSAGE"], &rows);
    // One target is looked at closely: every expectation and every part of its
    // health document is shown.
    if let [outcome] = outcomes {
        for (attempt, failed) in outcome.failed.iter().enumerate() {
            let message = &failed.message;
            text.push_str(&format!("  attempt {} failed: {message}\n", attempt + 1));
        }
        for Expectation {
            expect,
            met,
            finding,
        } in &outcome.judgement.expectations
        {
            let mark = if *met { "met    " } else { "not met" };
            let finding = finding
                .as_ref()
                .map(|text| format!(": {text}"))
                .unwrap_or_default();
            text.push_str(&format!("  {mark}  {expect}{finding}\n"));
        }
        if let Some(document) = &outcome.judgement.document {
            text.push_str(&shown(document, colour));
        }
    }
    text
}

/// A health document and its parts.
fn shown(document: &Document, colour: bool) -> String {
    let Document {
        dialect,
        status,
        detail,
        components,
        omitted,
        counts: _,
    } = document;
    let detail = detail
        .as_ref()
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    let mut text = format!("\nhealth document ({dialect}) says {status}{detail}\n");
    let row = |part: &Component| {
        vec![
            Cell::plain(&part.name),
            Cell::health(part.status, colour),
            Cell::plain(part.detail.as_deref().unwrap_or_default()),
        ]
    };
    if !components.is_empty() {
        let rows: Vec<_> = components.iter().map(row).collect();
        text.push_str(&out::table(&["COMPONENT", "STATUS", "DETAIL"], &rows));
    }
    if *omitted > 0 {
        text.push_str(&format!("and {omitted} more\n"));
    }
    text
}

/// A report a line, as the daemon would store it.
fn json(outcomes: Vec<Outcome>) -> Result<String, Failure> {
    let mut text = String::new();
    for outcome in outcomes {
        let Outcome {
            check,
            observation,
            judgement,
            failed,
        } = outcome;
        let turn = Turn {
            verdict: judgement.verdict,
            at: observation.started_at,
            good_until: observation.started_at + check.lasts(),
            withheld: false,
        };
        let standing = Standing::after(None, turn, check.thresholds);
        let (instance, run) = ("supercheck check".into(), nuid::next().to_string());
        let making = Making {
            failed_attempts: failed,
            ..Making::new(Trigger::Request, &instance, run)
        };
        let report = write_up(&check, &observation, judgement, standing, making);
        let details = report.details.encode();
        let details = details.map_err(|error| Failure::new(Exit::Bug, error))?;
        let encoded = Encoded::new(&report.summary, &details);
        text.push_str(&String::from_utf8_lossy(&encoded.report));
        text.push('\n');
    }
    Ok(text)
}

/// Says how far it is, on a terminal, when there is more than a glance to wait.
struct Progress {
    all: usize,
    shown: bool,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self {
            all,
            shown: all > 1 && io::stderr().is_terminal(),
        }
    }

    fn done(&mut self, done: usize) {
        if self.shown {
            out::mutter(format_args!("\r\x1b[K{done} of {} probed", self.all));
        }
    }

    fn clear(&mut self) {
        if self.shown {
            out::mutter("\r\x1b[K");
        }
    }
}
