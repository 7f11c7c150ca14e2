//! URLs that are asked although no check is configured for them.

use std::sync::Arc;

use url::Url;

use super::{Later, STORE_TIMEOUT, Worker};
use crate::{
    check::Check,
    clock::Timestamp,
    config,
    request::{Allowance, Refusal},
    store::write::Object,
};

/// The longest name that a report can have.
const MAX_NAME: usize = 1024;

/// A check of `url`, if it may be asked. Where it leads is judged by the
/// probe, when it is known.
///
/// # Errors
/// A refusal, when it may not.
pub fn visit(url: &str, allow: &Arc<Allowance>) -> Result<Check, Refusal> {
    let mut check = config::ad_hoc(url)
        .map_err(|why| Refusal::malformed(why, "send a URL such as `https://api.example.com/`"))?;
    if !allow.takes(&check.target.url) {
        return Err(Refusal::new(
            403,
            format!("`{url}` is the URL of no check"),
            "only configured checks are run on demand, and URLs that `requests.allow_urls` \
             names: add a `[[check]]` for it",
        ));
    }
    // What looks like a password within a path is not in the name.
    if Url::parse(&check.object).as_ref() != Ok(&check.target.url) {
        return Err(Refusal::malformed(
            "the URL holds what looks like a user or a password, and cannot name its report",
            "write `@` as `%40` in it, or add a `[[check]]` with an `object`",
        ));
    }
    if check.object.len() > MAX_NAME {
        return Err(Refusal::malformed(
            "the URL is too long to be the name of a report",
            format!("make it {MAX_NAME} bytes or less"),
        ));
    }
    let route = check.target.route_mut();
    route.fresh = true;
    route.guard = Some(Arc::clone(allow));
    Ok(check)
}

impl Worker {
    /// Stores the report alone, unless it is too old for the cache: what
    /// nobody configured has no summary and no history.
    pub(super) async fn store_visit(
        &self,
        object: Object,
        checked_at: Timestamp,
    ) -> Result<(), Later> {
        if !self.store.is_fresh(checked_at, crate::clock::now()) {
            return Ok(());
        }
        let stored = tokio::time::timeout(STORE_TIMEOUT, self.store.put(&object));
        let stored = stored.await.map_err(|_| Later::Soon)?;
        Ok(stored?)
    }
}
