//! The buckets and streams: making them, and what differs from what is
//! [`wanted`].
//!
//! An existing one is used as it is; only what the operator set explicitly is
//! changed.

use std::{fmt, sync::atomic::Ordering, time::Duration};

use async_nats::jetstream::stream::{Config, Info};

use super::{
    Store, StoreError, Trouble, trouble,
    wanted::{Wanted, wanted},
};

/// A setting of an existing bucket that differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The stream.
    pub stream: String,
    /// The setting.
    pub setting: &'static str,
    /// What it is.
    pub found: String,
    /// What was wanted.
    pub wanted: String,
    /// Whether it was, or can be, changed.
    pub fixable: bool,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream,
            setting,
            found,
            wanted,
            ..
        } = self;
        write!(f, "`{stream}` has {setting} {found}, wanted {wanted}")
    }
}

/// A stream bounded to fewer bytes than this is of no use.
const LEAST_BYTES: i64 = 1 << 20;

/// What is left of a cluster still tells of a stream, and takes nothing for it.
fn led(info: &Info) -> Result<(), StoreError> {
    let name = &info.config.name;
    match &info.cluster {
        Some(cluster) if cluster.leader.is_none() => Err(StoreError::new(
            format!("use stream `{name}`"),
            Trouble::Away,
            "no node of the cluster leads it: most of the nodes that have it must be there",
        )),
        _ => Ok(()),
    }
}

impl Store {
    /// Makes the buckets that are missing, applies the settings that the
    /// operator set explicitly, and returns what else differs.
    ///
    /// # Errors
    /// When a bucket can be neither found nor made.
    pub async fn prepare(&self) -> Result<Vec<Drift>, StoreError> {
        let mut drift = Vec::new();
        for Wanted { config, explicit } in wanted(&self.settings) {
            let info = self.ensure(&config).await?;
            led(&info)?;
            let found = compare(&info.config, &config)?;
            let (fix, mut keep): (Vec<_>, _) = found
                .into_iter()
                .partition(|drift| explicit && drift.fixable);
            if !fix.is_empty()
                && let Err(error) = self.fix(&info.config, &config).await
            {
                tracing::warn!(stream = %config.name, error = %crate::error::Chain(&error), "bucket left as it is");
                keep.extend(fix);
            }
            drift.append(&mut keep);
        }
        self.missing.prepared.store(true, Ordering::Relaxed);
        Ok(drift)
    }

    /// Changes every fixable setting of the buckets to what is wanted, and
    /// returns what was changed.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn fix_all(&self) -> Result<Vec<Drift>, StoreError> {
        let mut fixed = Vec::new();
        for Wanted { config, .. } in wanted(&self.settings) {
            let info = self.ensure(&config).await?;
            let mut drift = compare(&info.config, &config)?;
            drift.retain(|drift| drift.fixable);
            if !drift.is_empty() {
                self.fix(&info.config, &config).await?;
                fixed.append(&mut drift);
            }
        }
        Ok(fixed)
    }

    /// Finds the stream or makes it. Clients may be making it at this moment:
    /// whoever comes second takes what is there.
    pub(crate) async fn ensure(&self, config: &Config) -> Result<Info, StoreError> {
        let doing = || format!("prepare stream `{}`", config.name);
        match self.info(&config.name).await? {
            Some(info) => return Ok(info),
            None => tracing::debug!(stream = %config.name, "making the stream"),
        }
        match self.js.create_stream(config).await {
            Ok(stream) => {
                if self.missing.prepared.load(Ordering::Relaxed) {
                    self.missing.made_anew.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(stream = %config.name, "a stream was gone, with what it held; it is made anew");
                }
                Ok(stream.cached_info().clone())
            }
            Err(error) => {
                let trouble = trouble::of_create_stream(&error);
                // The server sets `max_bytes` aside, and has not so much: half
                // of it will do.
                if trouble == Trouble::Full && config.max_bytes > LEAST_BYTES {
                    let half = Config {
                        max_bytes: config.max_bytes / 2,
                        ..config.clone()
                    };
                    return Box::pin(self.ensure(&half)).await;
                }
                if trouble == Trouble::Conflict
                    && let Some(info) = self.info(&config.name).await?
                {
                    return Ok(info);
                }
                Err(self.api_error(doing(), trouble, error))
            }
        }
    }

    /// The stream as the server knows it; `None` when there is none.
    pub(crate) async fn info(&self, stream: &str) -> Result<Option<Info>, StoreError> {
        match self.js.get_stream(stream).await {
            Ok(found) => Ok(Some(found.cached_info().clone())),
            Err(error) => {
                let trouble = trouble::of_get_stream(&error);
                if trouble == Trouble::Missing {
                    return Ok(None);
                }
                Err(self.api_error(format!("look at stream `{stream}`"), trouble, error))
            }
        }
    }

    async fn fix(&self, found: &Config, wanted: &Config) -> Result<(), StoreError> {
        let config = Config {
            max_age: wanted.max_age,
            max_bytes: wanted.max_bytes,
            max_messages: wanted.max_messages,
            max_messages_per_subject: wanted.max_messages_per_subject,
            // The server refuses a duplicate window longer than max_age.
            duplicate_window: match wanted.max_age {
                Duration::ZERO => found.duplicate_window,
                age => found.duplicate_window.min(age),
            },
            allow_direct: wanted.allow_direct,
            allow_rollup: wanted.allow_rollup,
            ..found.clone()
        };
        match self.js.update_stream(&config).await {
            Ok(_) => {
                tracing::info!(stream = %config.name, max_age = ?config.max_age, "bucket changed");
                Ok(())
            }
            Err(error) => {
                let doing = format!("change stream `{}`", config.name);
                Err(self.api_error(doing, trouble::of_create_stream(&error), error))
            }
        }
    }
}

/// What differs between the bucket found and the one wanted.
///
/// # Errors
/// When it cannot serve at all: another kind of stream is under our name.
pub(crate) fn compare(found: &Config, wanted: &Config) -> Result<Vec<Drift>, StoreError> {
    if found.subjects != wanted.subjects || found.retention != wanted.retention {
        let cause = format!(
            "a stream of that name exists with subjects {:?} and {:?} retention; wanted {:?} and \
             {:?}",
            found.subjects, found.retention, wanted.subjects, wanted.retention
        );
        let doing = format!("use stream `{}`", wanted.name);
        return Err(StoreError::new(doing, Trouble::Conflict, cause));
    }
    let differs = settings(found)
        .into_iter()
        .zip(settings(wanted))
        .filter(|(found, wanted)| found.1 != wanted.1);
    Ok(differs
        .map(|((setting, found, fixable), (_, wanted_value, _))| Drift {
            stream: wanted.name.clone(),
            setting,
            found,
            wanted: wanted_value,
            fixable,
        })
        .collect())
}

/// The settings that are looked at, and whether one can be changed.
fn settings(config: &Config) -> [(&'static str, String, bool); 8] {
    let age = match config.max_age {
        Duration::ZERO => "unlimited".to_owned(),
        age => humantime::format_duration(age).to_string(),
    };
    // Without a limit servers say -1, or 0.
    let limit = |limit: i64| match limit {
        ..=0 => "unlimited".to_owned(),
        limit => limit.to_string(),
    };
    [
        ("max_age", age, true),
        ("max_bytes", limit(config.max_bytes), true),
        ("max_msgs", limit(config.max_messages), true),
        (
            "max_msgs_per_subject",
            limit(config.max_messages_per_subject),
            true,
        ),
        ("allow_direct", config.allow_direct.to_string(), true),
        ("allow_rollup", config.allow_rollup.to_string(), true),
        ("storage", format!("{:?}", config.storage), false),
        ("replicas", config.num_replicas.to_string(), false),
    ]
}
