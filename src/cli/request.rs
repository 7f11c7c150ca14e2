//! `supercheck request`: asks the running daemon for a check, through NATS.

use std::{io::IsTerminal as _, time::Duration};

use clap::Args;

use super::{Failure, Global, load, out, with_store};
use crate::{
    error::Exit,
    report::Summary,
    request::{Refusal, RequestId, What},
    store::Store,
};

/// What `request` is told.
#[derive(Debug, Args)]
pub struct Options {
    /// A check's name, or its URL
    #[arg(value_name = "NAME|URL")]
    target: String,
    /// A report no older than this will do, such as `10s`
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    max_age: Option<Duration>,
    /// Asked again with the same id, the request has the same result
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Put it in the queue, and do not wait for its result
    #[arg(long, conflicts_with_all = ["max_age", "timeout", "json"])]
    no_wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print the report as JSON [default: when stdout is no terminal]
    #[arg(long)]
    json: bool,
}

/// Asks, and exits with what the check's run came to.
///
/// # Errors
/// When NATS or the daemon cannot be reached, or the request is refused.
pub fn run(global: &Global, options: &Options) -> Result<Exit, Failure> {
    let loaded = load::load(global.config.as_deref())?;
    let id = options.id.as_deref().map(RequestId::new).transpose();
    let id = id.map_err(|refusal| refused(refusal, None))?;
    let id = match id {
        Some(id) => id,
        None => RequestId::new(&nuid::next()).map_err(|refusal| refused(refusal, None))?,
    };
    out::block_on(with_store(&loaded.config, async |store| {
        if options.no_wait {
            return enqueue(store, options, &id).await;
        }
        let mut body = serde_json::Map::new();
        let key = match What::of(&options.target) {
            What::Check(_) => "check",
            What::Url(_) => "url",
        };
        body.insert(key.to_owned(), options.target.clone().into());
        if let Some(age) = options.max_age {
            let age = humantime::format_duration(age).to_string();
            body.insert("max_age".to_owned(), age.into());
        }
        let timeout = humantime::format_duration(options.timeout).to_string();
        body.insert("timeout".to_owned(), timeout.into());
        let body = serde_json::Value::Object(body).to_string();
        // The daemon gives up first, and says why.
        let patience = options.timeout + Duration::from_secs(2);
        // Without an id of the asker's own nothing need be looked up.
        let named = options.id.as_ref().map(|_| &id);
        let answer = store
            .ask("supercheck.check", body, named, patience)
            .await
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
        let report = answer.map_err(|refusal| refused(refusal, named))?;
        shown(&report, options)
    }))
}

async fn enqueue(store: &Store, options: &Options, id: &RequestId) -> Result<Exit, Failure> {
    let token = match What::of(&options.target) {
        What::Check(name) => crate::check::CheckName::new(&name)
            .map_err(|error| Failure::new(Exit::Usage, error))?
            .to_string(),
        What::Url(_) => {
            return Err(Failure {
                exit: Exit::Usage,
                error: anyhow::anyhow!("`--no-wait` takes a check's name, not a URL"),
                hint: Some("`supercheck status` lists the names".to_owned()),
            });
        }
    };
    let accepted = store
        .enqueue(&token, id, bytes::Bytes::new())
        .await
        .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let again = if accepted.duplicate {
        " (it was there already)"
    } else {
        ""
    };
    out::print(&format!(
        "accepted as number {}{again}, id {id}\n\
         its result: supercheck request {} --id {id}\n\
         its record: key id.{} of the KV bucket supercheck_requests\n",
        accepted.sequence,
        options.target,
        id.token()
    ))?;
    Ok(Exit::Ok)
}

fn shown(report: &[u8], options: &Options) -> Result<Exit, Failure> {
    let summary: Summary =
        serde_json::from_slice(report).map_err(|error| Failure::new(Exit::Bug, error))?;
    if options.json || !std::io::stdout().is_terminal() {
        out::write(report)?;
        out::print("\n")?;
    } else {
        let row = vec![
            out::Cell::plain(&*summary.check),
            out::Cell::status(out::of_verdict(summary.verdict), out::colour()),
            out::Cell::plain(out::latency(summary.latency_ms)),
            out::Cell::plain(
                summary
                    .http_status
                    .map_or_else(|| "-".to_owned(), |code| code.to_string()),
            ),
            out::Cell::plain(&summary.message),
        ];
        out::print(&out::table(
            &["CHECK", "VERDICT", "LATENCY", "HTTP", "MESSAGE"],
            &[row],
        ))?;
    }
    Ok(out::exit([out::of_verdict(summary.verdict)]))
}

/// A refusal as the command's end: what was asked wrongly is usage, what NATS
/// or the daemon cannot do now is unavailable.
pub(super) fn refused(refusal: Refusal, id: Option<&RequestId>) -> Failure {
    let exit = match refusal.code {
        429 | 500.. => Exit::Unavailable,
        _ => Exit::Usage,
    };
    let id = id.map(|id| format!(" (id {id})")).unwrap_or_default();
    Failure {
        exit,
        error: anyhow::anyhow!("{}{id}", refusal.error),
        hint: Some(refusal.hint),
    }
}
