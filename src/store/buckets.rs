//! The buckets: how they are meant to be, making them, and what differs.
//!
//! Their stream configurations equal those that nats.js 2.29 sends, so that
//! daemon and clients may make them in either order, or both at once. An
//! existing bucket is used as it is; only what the operator set explicitly is
//! changed.

use std::{fmt, time::Duration};

use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};

use super::{KV_BUCKET, OBJECT_BUCKET, Store, StoreError, Trouble, trouble};
use crate::config::StoreSettings;

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

/// The stream of the object store of reports.
pub fn object_stream() -> String {
    format!("OBJ_{OBJECT_BUCKET}")
}

/// The stream of the KV bucket of summaries.
pub fn kv_stream() -> String {
    format!("KV_{KV_BUCKET}")
}

/// How the buckets are meant to be.
pub fn wanted(settings: &StoreSettings) -> [Config; 2] {
    let bucket = |name, subjects, max_age| Config {
        name,
        subjects,
        max_age,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        num_replicas: settings.replicas,
        allow_direct: true,
        allow_rollup: true,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        ..Config::default()
    };
    let objects = bucket(
        object_stream(),
        vec![
            format!("$O.{OBJECT_BUCKET}.C.>"),
            format!("$O.{OBJECT_BUCKET}.M.>"),
        ],
        settings.object_ttl,
    );
    let summaries = Config {
        max_messages_per_subject: 1,
        ..bucket(
            kv_stream(),
            vec![format!("$KV.{KV_BUCKET}.>")],
            settings.kv_ttl,
        )
    };
    [objects, summaries]
}

impl Store {
    /// Makes the buckets that are missing, applies the settings that the
    /// operator set explicitly, and returns what else differs.
    ///
    /// # Errors
    /// When a bucket can be neither found nor made.
    pub async fn prepare(&self) -> Result<Vec<Drift>, StoreError> {
        let mut drift = Vec::new();
        let explicit = [self.settings.object_ttl_set, self.settings.kv_ttl_set];
        for (config, explicit) in wanted(&self.settings).into_iter().zip(explicit) {
            let info = self.ensure(&config).await?;
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
        Ok(drift)
    }

    /// Changes every fixable setting of the buckets to what is wanted, and
    /// returns what was changed.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn fix_all(&self) -> Result<Vec<Drift>, StoreError> {
        let mut fixed = Vec::new();
        for config in wanted(&self.settings) {
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
            Ok(stream) => Ok(stream.cached_info().clone()),
            Err(error) => {
                let trouble = trouble::of_create_stream(&error);
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
            // The server refuses a duplicate window longer than max_age.
            duplicate_window: found.duplicate_window.min(wanted.max_age),
            allow_direct: true,
            allow_rollup: true,
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
    let age = |age: Duration| match age {
        Duration::ZERO => "unlimited".to_owned(),
        age => humantime::format_duration(age).to_string(),
    };
    let rows = [
        ("max_age", age(found.max_age), age(wanted.max_age), true),
        (
            "allow_direct",
            found.allow_direct.to_string(),
            wanted.allow_direct.to_string(),
            true,
        ),
        (
            "allow_rollup",
            found.allow_rollup.to_string(),
            wanted.allow_rollup.to_string(),
            true,
        ),
        (
            "storage",
            format!("{:?}", found.storage),
            format!("{:?}", wanted.storage),
            false,
        ),
        (
            "replicas",
            found.num_replicas.to_string(),
            wanted.num_replicas.to_string(),
            false,
        ),
    ];
    Ok(rows
        .into_iter()
        .filter(|(_, found, wanted, _)| found != wanted)
        .map(|(setting, found, wanted_value, fixable)| Drift {
            stream: wanted.name.clone(),
            setting,
            found,
            wanted: wanted_value,
            fixable,
        })
        .collect())
}
