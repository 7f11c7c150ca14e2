//! Examining NATS for `supercheck doctor`: what is there, what is amiss, and
//! what helps.

use std::time::Duration;

use super::{
    HISTORY_STREAM, KV_BUCKET, OBJECT_BUCKET, Store, StoreError, Trouble,
    buckets::{self, Drift},
    crowd,
    pace::Pace,
    permissions,
    wanted::{Wanted, kv_stream, object_stream, wanted},
};
use crate::{clock, error::Chain};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Bad,
}

/// What is asked of the server, as the checks are configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// The longest body that is kept of an answer.
    pub largest_body: usize,
    /// Scheduled runs.
    pub runs_a_day: f64,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What helps.
    pub hint: Option<String>,
}

/// Clocks may differ by this much before it is worth a word.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);
/// The oldest server that supercheck is tested with.
const OLDEST: (u64, u64, u64) = (2, 9, 10);

impl Finding {
    fn good(found: impl Into<String>) -> Self {
        Self {
            level: Level::Good,
            found: found.into(),
            hint: None,
        }
    }

    fn warning(found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            found: found.into(),
            hint: Some(hint.into()),
        }
    }

    fn bad(found: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            level: Level::Bad,
            found: found.into(),
            hint: hint.map(str::to_owned),
        }
    }
}

impl Store {
    /// Looks at everything that supercheck needs of the server. With `fix`,
    /// makes what is missing and changes what can be changed.
    pub async fn examine(&self, asked: Asked, fix: bool) -> Vec<Finding> {
        let mut findings = vec![self.server(), self.payload(asked.largest_body)];
        if fix {
            let mended = tokio::select! {
                mended = self.mend() => mended,
                refusal = self.refused() => Err(refusal),
            };
            match mended {
                Ok(mended) => findings.push(mended),
                Err(error) => {
                    findings.push(self.of_trouble(&error));
                    if no_answers(&error) {
                        return findings;
                    }
                }
            }
        }
        let mut usable = true;
        for Wanted { config, .. } in wanted(self.settings()) {
            let found = tokio::select! {
                found = self.bucket(&config, asked) => found,
                refusal = self.refused() => Err(refusal),
            };
            match found {
                Ok((found, there)) => {
                    findings.extend(found);
                    let refused = if there {
                        self.unwritable(&config).await
                    } else {
                        Vec::new()
                    };
                    usable &= there && refused.is_empty();
                    findings.extend(refused);
                }
                Err(error) => {
                    usable = false;
                    findings.push(self.of_trouble(&error));
                    if no_answers(&error) {
                        return findings;
                    }
                }
            }
        }
        findings.extend(self.permissions().await);
        if usable {
            findings.push(self.write_and_clock().await);
        }
        findings
    }

    /// What does not work, and what helps: of a missing permission, the line
    /// that gives it.
    pub(super) fn of_trouble(&self, error: &StoreError) -> Finding {
        let found = Chain(error).to_string();
        let line = (error.trouble == Trouble::Denied)
            .then(|| permissions::line(&found, self.settings()))
            .flatten();
        Finding::bad(found, line.as_deref().or(error.hint()))
    }

    /// Which subjects of the stream we may not publish to. What is tried asks
    /// for another stream, so that nothing is stored.
    async fn unwritable(&self, config: &async_nats::jetstream::stream::Config) -> Vec<Finding> {
        let mut findings = Vec::new();
        for subject in &config.subjects {
            // A check's name never begins with an underscore.
            let subject = subject.replace(['>', '*'], "_doctor");
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Expected-Stream", "_doctor");
            let refused = tokio::select! {
                answer = self.confirmed(subject, headers, "".into()) => answer.err(),
                refusal = self.refused() => Some(refusal),
            };
            findings.extend(match refused {
                // That it is another stream is an answer.
                Some(error) if error.trouble == Trouble::Other => None,
                Some(error) => Some(self.of_trouble(&error)),
                None => None,
            });
        }
        findings
    }

    fn server(&self) -> Finding {
        let info = self.client.server_info();
        let found = format!(
            "connected to nats-server {} (`{}`)",
            info.version, info.server_name
        );
        match version(&info.version) {
            Some(version) if version < OLDEST => Finding::warning(
                found,
                "supercheck is tested with nats-server 2.9.10 and newer; upgrade it",
            ),
            Some((2, 10, 20..=22)) => Finding::warning(
                found,
                "2.10.20 to 2.10.22 can lose a whole stream when the server is killed; upgrade to \
                 2.10.23 or newer",
            ),
            _ => Finding::good(found),
        }
    }

    /// Reports are cut in chunks that fit, answers to requests are not.
    fn payload(&self, largest_body: usize) -> Finding {
        let limit = self.client.server_info().max_payload;
        let found = format!("the server takes messages of {limit} bytes");
        if limit < largest_body.saturating_add(64 * 1024) && limit < 512 * 1024 {
            Finding::warning(
                found,
                "raise the server's `max_payload` to 1MB, or lower `max_body`: longer documents \
                 are cut in answers to requests",
            )
        } else {
            Finding::good(found)
        }
    }

    async fn mend(&self) -> Result<Finding, StoreError> {
        let fixed = self.fix_all().await?;
        if fixed.is_empty() {
            return Ok(Finding::good("nothing to fix"));
        }
        let list: Vec<_> = fixed.iter().map(ToString::to_string).collect();
        Ok(Finding::good(format!("fixed: {}", list.join("; "))))
    }

    async fn bucket(
        &self,
        config: &async_nats::jetstream::stream::Config,
        asked: Asked,
    ) -> Result<(Vec<Finding>, bool), StoreError> {
        let name = &config.name;
        let Some(info) = self.info(name).await? else {
            let hint = "`supercheck serve` makes it when it connects, as does `doctor --fix`";
            let missing = Finding::warning(format!("`{name}` is not there yet"), hint);
            return Ok((vec![missing], false));
        };
        let drift = match buckets::compare(&info.config, config) {
            Ok(drift) => drift,
            Err(error) => return Ok((vec![self.of_trouble(&error)], false)),
        };
        let (messages, bytes) = (info.state.messages, info.state.bytes);
        let holds = format!("`{name}` holds {messages} messages, {bytes} bytes");
        let mut findings = vec![Finding::good(holds)];
        if name == HISTORY_STREAM {
            let pace = Pace {
                messages,
                bytes,
                runs_a_day: asked.runs_a_day,
                max_bytes: info.config.max_bytes,
                max_age: info.config.max_age,
            };
            findings.extend(pace.told().map(Finding::good));
        }
        let readers = info.state.consumer_count;
        if *name == object_stream(OBJECT_BUCKET) && readers > crowd::CROWD {
            let found = format!("readers have left {readers} consumers on `{name}`");
            findings.push(Finding::warning(found, crowd::HINT));
        }
        findings.extend(drift.iter().map(of_drift));
        Ok((findings, true))
    }

    /// Writes a tombstone under a key that no check can have, and compares the
    /// server's time of it with ours.
    async fn write_and_clock(&self) -> Finding {
        // A check's name never begins with an underscore.
        let subject = format!("$KV.{KV_BUCKET}._doctor");
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("KV-Operation", "PURGE");
        headers.insert("Nats-Rollup", "sub");
        let before = clock::now();
        let sent = self
            .js
            .publish_with_headers(subject, headers, "".into())
            .await;
        let sequence = match sent {
            Ok(ack) => ack.await.map(|ack| ack.sequence),
            Err(error) => Err(error),
        };
        let sequence = match sequence {
            Ok(sequence) => sequence,
            Err(error) => {
                let found = format!("cannot write to `{KV_BUCKET}`: {}", Chain(&error));
                let hint = "the user needs to publish to `$O.supercheck.>` and \
                            `$KV.supercheck_kv.>`; is the store full?";
                return Finding::bad(found, Some(hint));
            }
        };
        let after = clock::now();
        let stream = match self.js.get_stream_no_info(kv_stream()).await {
            Ok(stream) => stream,
            Err(error) => return Finding::bad(Chain(&error).to_string(), None),
        };
        let Ok(message) = stream.get_raw_message(sequence).await else {
            return Finding::good("the buckets can be written to");
        };
        let millis = u64::try_from(message.time.timestamp_millis()).unwrap_or(0);
        let server = clock::Timestamp::from_millis(millis);
        let ahead = server.since(after);
        let behind = before.since(server);
        let skew = ahead.max(behind);
        if skew > CLOCK_TOLERANCE {
            let way = if ahead > behind { "ahead of" } else { "behind" };
            let skew = humantime::format_duration(Duration::from_secs(skew.as_secs()));
            return Finding::warning(
                format!("the server's clock is {skew} {way} ours"),
                "let both follow a time server (NTP): freshness is judged by the clock",
            );
        }
        Finding::good("the buckets can be written to, and the clocks agree")
    }
}

/// Whether no request will be answered: there is nothing more to learn then.
fn no_answers(error: &StoreError) -> bool {
    let on_the_inbox = error.cause.to_string().contains("for Subscription");
    matches!(error.trouble, Trouble::Away | Trouble::NoJetStream) || on_the_inbox
}

fn of_drift(drift: &Drift) -> Finding {
    let hint = if drift.fixable {
        "`supercheck doctor --fix` changes it"
    } else {
        "it is decided when the bucket is made: delete the bucket to have it made anew"
    };
    Finding::warning(drift.to_string(), hint)
}

fn version(text: &str) -> Option<(u64, u64, u64)> {
    let core = text.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("2.10.25"), Some((2, 10, 25)));
        assert_eq!(version("2.15.0-dev"), Some((2, 15, 0)));
        assert_eq!(version(""), None);
    }
}
