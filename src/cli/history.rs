//! `supercheck history`: replays what was stored, and follows what comes.

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;

use super::{Failure, Global, load, out, with_store};
use crate::{
    check::CheckName,
    clock::{self, Timestamp},
    error::Exit,
    report::Summary,
    store::{
        StoreError,
        history::{From, Past},
    },
};

/// What `history` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// The check
    #[arg(value_name = "NAME")]
    name: String,
    /// From how long ago, such as `1h` or `7days`
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    since: Duration,
    /// Go on with what comes, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// One summary a line, as stored
    #[arg(long)]
    json: bool,
}

/// Prints the summaries, oldest first. Exits 3 when there are none.
///
/// # Errors
/// When NATS cannot be reached.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    let check = CheckName::new(&options.name).map_err(|error| Failure::new(Exit::Usage, error))?;
    out::block_on(with_store(&loaded.config, async |store| {
        let ago = u64::try_from(options.since.as_millis()).unwrap_or(u64::MAX);
        let since = Timestamp::from_millis(clock::now().as_millis().saturating_sub(ago));
        let mut last = None;
        store
            .replay(&check, From::Time(since), |batch| {
                last = batch.last().map(|past| past.sequence).or(last);
                print(&batch, options)
            })
            .await?;
        if !options.follow {
            return none_is_unknown(last, &check, options);
        }
        let from = last.map_or(From::Time(since), From::After);
        let mut news = std::pin::pin!(store.follow(&check, from).await?);
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Ok),
                past = news.next() => match past {
                    Some(past) => print(&[past?], options)?,
                    None => return Ok(Exit::Ok),
                },
            }
        }
    }))
}

impl std::convert::From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Exit::Unavailable, error)
    }
}

fn none_is_unknown(
    last: Option<u64>,
    check: &CheckName,
    options: &Options,
) -> Result<Exit, Failure> {
    if last.is_some() {
        return Ok(Exit::Ok);
    }
    let since = humantime::format_duration(options.since);
    out::tell(format_args!(
        "nothing is stored of `{check}` in the last {since}"
    ));
    Ok(Exit::Unknown)
}

fn print(batch: &[Past], options: &Options) -> Result<(), Failure> {
    let mut text = String::new();
    for Past { summary, .. } in batch {
        if options.json {
            let line = serde_json::to_string(summary);
            text.push_str(&line.map_err(|error| Failure::new(Exit::Bug, error))?);
        } else {
            text.push_str(&line(summary));
        }
        text.push('\n');
    }
    out::print(&text)
}

fn line(summary: &Summary) -> String {
    let http = summary
        .http_status
        .map_or_else(|| "-".to_owned(), |code| code.to_string());
    let status = format!("{:<8}", summary.status);
    format!(
        "{}  {}  {:>9}  {http:>4}  {}",
        summary.checked_at,
        out::status(summary.status, &status, out::colour()),
        out::latency(summary.latency_ms),
        summary.message
    )
}
