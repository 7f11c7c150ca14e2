//! What supercheck is compared with: the loop and the responder that one
//! writes in an afternoon. They store nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;

use super::processes::Plan;

/// A task per check that asks at the check's slots, reads the body and keeps
/// nothing.
pub fn run(port: &str, plan: &Plan) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // The target's certificate is its own.
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
        let client = client.build().unwrap();
        for n in 0..plan.checks {
            let phase = plan.interval * n / plan.checks;
            let url = plan.url(port, n, phase);
            let (client, interval) = (client.clone(), plan.interval);
            tokio::spawn(async move {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                let interval = Duration::from_millis(interval);
                let since = wall.saturating_sub(Duration::from_millis(phase));
                let into = Duration::from_nanos((since.as_nanos() % interval.as_nanos()) as u64);
                let first = tokio::time::Instant::now() + interval - into;
                let mut slots = tokio::time::interval_at(first, interval);
                loop {
                    slots.tick().await;
                    let answer = client.get(&url).send().await.unwrap();
                    assert!(answer.status().is_success());
                    assert!(!answer.bytes().await.unwrap().is_empty());
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

/// Answers each request on `bare.get` with the same report.
pub fn echo(url: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(url).await.unwrap();
        let mut requests = client.subscribe("bare.get").await.unwrap();
        client.flush().await.unwrap();
        let answer = bytes::Bytes::from(vec![b'x'; 1400]);
        println!("ready");
        while let Some(request) = requests.next().await {
            let reply = request.reply.unwrap();
            client.publish(reply, answer.clone()).await.unwrap();
        }
    });
}
