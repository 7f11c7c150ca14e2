//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// The longest that anything here may take on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// Asks again and again until `probe` gives a value.
///
/// # Panics
/// When it has not within [`LONG`].
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(LONG, what, probe).await
}

/// Asks again and again until `probe` gives a value.
///
/// # Panics
/// When it has not within `limit`.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
