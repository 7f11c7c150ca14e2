//! `supercheck status`: the stored summaries as a table, live with `--watch`.

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;

use super::{
    Failure, Global, load,
    out::{self, Cell},
    with_store,
};
use crate::{
    check::{Check, CheckName},
    clock::{self, Timestamp},
    config::Config,
    error::{Chain, Exit},
    report::{Status, Summary},
    store::{Store, read::Known},
};

/// How often `--watch` looks again.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// What `status` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// The checks to show [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Go on showing, once a second, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// One JSON document a line, as stored, with `status` as of now
    #[arg(long)]
    json: bool,
}

/// Shows the summaries. The exit code is that of the worst status.
///
/// # Errors
/// When NATS cannot be reached, or a name is not one.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    for name in &options.names {
        CheckName::new(name).map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    let config = &loaded.config;
    out::block_on(async {
        if !options.watch {
            return with_store(config, async |store| show(store, options, config).await).await;
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => Ok(Exit::Ok),
            failure = watch(options, config) => Err(failure),
        }
    })
}

/// Prints what is known now. The exit code is that of the worst status.
async fn show(store: &Store, options: &Options, config: &Config) -> Result<Exit, Failure> {
    let rows = rows(store, options, &config.checks).await?;
    let now = clock::now();
    // Home, clear below: no flicker, and the scroll-back stays.
    let screen = options.watch && !options.json && std::io::stdout().is_terminal();
    let clear = if screen { "\x1b[H\x1b[J" } else { "" };
    let text = if options.json {
        json(&rows, now)
    } else {
        table(&rows, now)
    };
    out::print(&format!("{clear}{text}"))?;
    Ok(out::exit(rows.iter().map(|row| row.status(now))))
}

/// Shows again and again. Once something was shown NATS may go and come back.
async fn watch(options: &Options, config: &Config) -> Failure {
    let mut shown = false;
    let mut told = false;
    loop {
        let ended: Result<(), _> = with_store(config, async |store| {
            loop {
                show(store, options, config).await?;
                (shown, told) = (true, false);
                tokio::time::sleep(WATCH_EVERY).await;
            }
        })
        .await;
        match ended {
            Err(failure) if failure.exit != Exit::Unavailable || !shown => return failure,
            Err(failure) if !told => {
                let error = Chain(failure.error.as_ref());
                out::tell(format_args!("{error}; trying again"));
                told = true;
            }
            Ok(()) | Err(_) => {}
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// A line of the table.
#[derive(Debug)]
enum Row {
    /// What is stored.
    Stored(Box<Summary>),
    /// Nothing is.
    Absent(String),
    /// Something that is not ours.
    Foreign(String),
}

impl Row {
    fn status(&self, now: Timestamp) -> Status {
        match self {
            Self::Stored(summary) => summary.status_at(now),
            Self::Absent(_) | Self::Foreign(_) => Status::Unknown,
        }
    }
}

/// The rows asked for: the named checks; or all that are stored, and those of
/// the configuration that are not.
async fn rows(
    store: &Store,
    options: &Options,
    checks: &[std::sync::Arc<Check>],
) -> Result<Vec<Row>, Failure> {
    let failed = |error| Failure::new(Exit::Unavailable, anyhow::Error::new(error));
    let row = |name: &str, known: Option<Known>| match known {
        Some(Known::Summary(summary)) => Row::Stored(summary),
        Some(Known::Foreign { key, .. }) => Row::Foreign(key),
        None => Row::Absent(name.to_owned()),
    };
    if !options.names.is_empty() {
        let mut rows = Vec::new();
        for name in &options.names {
            rows.push(row(name, store.summary(name).await.map_err(failed)?));
        }
        return Ok(rows);
    }
    let mut rows: Vec<_> = store
        .summaries()
        .await
        .map_err(failed)?
        .into_iter()
        .map(|known| row("", Some(known)))
        .collect();
    let stored: std::collections::HashSet<String> =
        rows.iter().map(|row| name(row).to_owned()).collect();
    let absent = checks
        .iter()
        .map(|check| check.name.as_str())
        .filter(|name| !stored.contains(*name));
    rows.extend(absent.map(|name| Row::Absent(name.to_owned())));
    rows.sort_by(|a, b| name(a).cmp(name(b)));
    Ok(rows)
}

fn name(row: &Row) -> &str {
    match row {
        Row::Stored(summary) => &summary.check,
        Row::Absent(name) | Row::Foreign(name) => name,
    }
}

fn table(rows: &[Row], now: Timestamp) -> String {
    if rows.is_empty() {
        return "no check has been stored yet\n".to_owned();
    }
    let colour = out::colour();
    let lines: Vec<_> = rows.iter().map(|row| line(row, now, colour)).collect();
    let head = [
        "CHECK", "STATUS", "FOR", "CHECKED", "LATENCY", "HTTP", "MESSAGE",
    ];
    out::table(&head, &lines)
}

fn line(row: &Row, now: Timestamp, colour: bool) -> Vec<Cell> {
    let (message, summary) = match row {
        Row::Stored(summary) => (None, Some(summary)),
        Row::Absent(_) => (Some("never checked, or long ago"), None),
        Row::Foreign(_) => (
            Some("another client put something there that is no summary"),
            None,
        ),
    };
    let status = row.status(now);
    let Some(summary) = summary else {
        let mut cells = vec![Cell::plain(name(row)), Cell::status(status, colour)];
        cells.extend(std::iter::repeat_n(Cell::plain("-"), 4));
        cells.push(Cell::plain(message.unwrap_or_default()));
        return cells;
    };
    let stale = status != summary.status;
    let message = if stale {
        format!("stale; it was {}: {}", summary.status, summary.message)
    } else {
        summary.message.clone()
    };
    let message = match (summary.maintenance, &summary.maintenance_reason) {
        (false, _) => message,
        (true, None) => format!("{message} (in maintenance)"),
        (true, Some(reason)) => format!("{message} (in maintenance: {reason})"),
    };
    // Since when it is unknown: since the last record ran out.
    let since = if stale {
        summary.expires_at
    } else {
        summary.since
    };
    vec![
        Cell::plain(&*summary.check),
        Cell::status(status, colour),
        Cell::plain(out::age(now.since(since))),
        Cell::plain(format!("{} ago", out::age(now.since(summary.checked_at)))),
        Cell::plain(out::latency(summary.latency_ms)),
        Cell::plain(
            summary
                .http_status
                .map_or_else(|| "-".to_owned(), |code| code.to_string()),
        ),
        Cell::plain(message),
    ]
}

/// A line of JSON a row: the summary, its status as of now, and its freshness.
fn json(rows: &[Row], now: Timestamp) -> String {
    let mut text = String::new();
    for row in rows {
        let value = match row {
            Row::Stored(summary) => {
                let mut value = serde_json::to_value(summary).unwrap_or_default();
                if let Some(object) = value.as_object_mut() {
                    object.insert("status".into(), summary.status_at(now).as_str().into());
                    let freshness = serde_json::to_value(summary.freshness(now));
                    object.insert("freshness".into(), freshness.unwrap_or_default());
                }
                value
            }
            Row::Absent(name) | Row::Foreign(name) => {
                serde_json::json!({"check": name, "status": "unknown", "freshness": "absent"})
            }
        };
        text.push_str(&value.to_string());
        text.push('\n');
    }
    text
}
