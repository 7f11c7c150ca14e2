//! What the benchmark itself asks of NATS.

use async_nats::jetstream;

/// A client of the benchmark's own.
pub async fn client(url: &str) -> async_nats::Client {
    async_nats::connect(url).await.unwrap()
}

/// How many summaries have ever been stored in the history.
pub async fn stored(client: &async_nats::Client) -> u64 {
    let js = jetstream::new(client.clone());
    match js.get_stream("SUPERCHECK_HISTORY").await {
        Ok(stream) => stream.cached_info().state.last_sequence,
        Err(_) => 0,
    }
}
