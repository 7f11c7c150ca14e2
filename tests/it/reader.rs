//! Reading one object again and again while it is overwritten: never a hang,
//! never half an object. And all summaries at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use supercheck::{
    config,
    store::{
        Store, connection,
        write::{Object, Record},
    },
};

use crate::support::{
    clients::Client,
    daemon::{self, Daemon},
    nats::Nats,
    target::Target,
    tools, wait,
};

const URL: &str = "http://hammered.example/health";
const OVERWRITES: u64 = 1000;

async fn store(nats: &Nats) -> Store {
    let text = format!("[nats]\nurl = \"{}\"", nats.url());
    let sources = config::Sources {
        main: Some(("test.toml".into(), text)),
        env: &BTreeMap::new(),
        read: &|_| unreachable!("nothing is included"),
        list: &|_| Ok(Vec::new()),
    };
    let config = config::load(&sources).expect("a good configuration").config;
    let store = connection::connect_now(&config.nats, &nats.url(), config.store)
        .await
        .unwrap();
    store.prepare().await.unwrap();
    store
}

/// A record whose every byte tells which overwrite it belongs to.
fn record(n: u64, size: usize) -> Record {
    let body = Bytes::from(format!("{n:08}").repeat(size / 8));
    Record {
        check: "hammered".to_owned(),
        run: n.to_string(),
        summary: Bytes::from(format!("{{\"n\":{n}}}")),
        failure: None,
        object: Some(Object {
            name: URL.to_owned(),
            body,
        }),
    }
}

/// Panics unless `body` is one overwrite's, whole.
fn whole(body: &[u8], size: usize) -> u64 {
    let text = std::str::from_utf8(body).unwrap();
    let first = &text[..8];
    assert!(
        body.len() == size && text == first.repeat(size / 8),
        "a torn object: {first}…"
    );
    first.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_overwrites_under_hammering_readers() {
    for version in tools::VERSIONS {
        let Some(nats) = Nats::version(version).await else {
            continue;
        };
        let store = store(&nats).await;
        // More than one chunk, so that a torn read would show.
        let size = 160 * 1024;
        store.write(&record(0, size)).await.unwrap();
        let url = nats.url();
        let foreign: Vec<_> = Client::had()
            .into_iter()
            .map(|client| {
                let url = url.clone();
                tokio::spawn(async move { client.call(&url, &["hammer", URL, "4"]).await })
            })
            .collect();
        let written = Arc::new(AtomicU64::new(0));
        let ours = {
            let (store, written) = (store.clone(), Arc::clone(&written));
            tokio::spawn(async move {
                let mut reads = 0u64;
                let mut newest = 0;
                while written.load(Ordering::SeqCst) < OVERWRITES {
                    let body = store.report(URL).await.unwrap().expect("never absent");
                    let n = whole(&body, size);
                    assert!(n >= newest, "an older object after a newer one");
                    newest = n;
                    reads += 1;
                }
                reads
            })
        };
        for n in 1..=OVERWRITES {
            store.write(&record(n, size)).await.unwrap();
            written.store(n, Ordering::SeqCst);
        }
        let reads = ours.await.unwrap();
        assert!(reads > 50, "{reads} reads are too few to tell anything");
        for told in foreign {
            let told = told.await.unwrap();
            assert_eq!(told["hangs"], 0, "nats-server {version}: {told}");
            assert_eq!(
                told["errors"],
                serde_json::json!([]),
                "nats-server {version}: {told}"
            );
            assert!(told["reads"].as_u64().unwrap() > 20, "{told}");
        }
        eprintln!("nats-server {version}: {reads} whole reads during {OVERWRITES} overwrites");
    }
}

/// As many as a client library leaves that reads 30 objects a second.
const LEFT: usize = 300;

/// Consumers as reads of objects leave them.
async fn leave(js: &jetstream::Context) {
    let stream = js.get_stream("OBJ_supercheck").await.unwrap();
    for n in 0..LEFT {
        let config = consumer::pull::Config {
            name: Some(format!("left{n}")),
            filter_subject: format!("$O.supercheck.C.left{n}"),
            ack_policy: consumer::AckPolicy::None,
            memory_storage: true,
            inactive_threshold: std::time::Duration::from_mins(5),
            ..Default::default()
        };
        stream.create_consumer(config).await.unwrap();
    }
}

/// How many metas of reports are stored, for one check.
async fn metas(js: &jetstream::Context) -> usize {
    let stream = js.get_stream("OBJ_supercheck").await.unwrap();
    let metas = stream.info_with_subjects("$O.supercheck.M.>").await;
    let metas: Vec<_> = metas.unwrap().try_collect().await.unwrap();
    metas.into_iter().map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_readers_leave_many_consumers_reports_are_stored_without_touching_each() {
    let target = Target::start().await;
    let nats = Nats::start().await;
    let url = target.url("/");
    let daemon = Daemon::serve(&format!(
        "[nats]\nurl = \"{}\"\n[[check]]\nname = \"api\"\nurl = \"{url}\"\ninterval = \"1s\"",
        nats.url(),
    ));
    daemon.ready().await;
    let js = nats.jetstream().await;
    wait::until("a report", async || (metas(&js).await == 1).then_some(())).await;
    leave(&js).await;
    wait::until("metas side by side", async || {
        (metas(&js).await > 2).then_some(())
    })
    .await;
    assert_eq!(
        daemon.says("readers leave many consumers").await["consumers"],
        LEFT
    );
    let (code, out, _) = daemon::run(&mut daemon.command(&["doctor"]));
    assert!(
        code == 1 && out.contains("readers have left 300 consumers"),
        "{out}"
    );
    // Whoever reads gets the newest.
    let newest = nats.summary(&js, "api").await.unwrap();
    for client in Client::had() {
        let read = client.call(&nats.url(), &["get-object", &url]).await;
        let report: serde_json::Value = serde_json::from_str(read.as_str().unwrap()).unwrap();
        assert!(
            report["checked_at"].as_str() >= newest["checked_at"].as_str(),
            "{client:?}"
        );
    }
    let stream = js.get_stream("OBJ_supercheck").await.unwrap();
    for n in 0..LEFT {
        stream.delete_consumer(&format!("left{n}")).await.unwrap();
    }
    wait::until("one meta again", async || {
        (metas(&js).await == 1).then_some(())
    })
    .await;
}

/// A summary as it is stored.
fn summary(check: &str) -> Bytes {
    let at = "2026-01-02T03:04:05.678Z";
    let summary = serde_json::json!({
        "v": 1, "check": check, "url": URL, "status": "up", "verdict": "pass", "since": at,
        "checked_at": at, "expires_at": at, "interval_ms": 1000, "latency_ms": 1.5,
        "http_status": 200, "message": "", "consecutive": 7, "trigger": "schedule",
        "instance": "test", "run": check,
    });
    summary.to_string().into()
}

/// How many messages came before one that is sent now.
async fn until_end(client: &async_nats::Client, messages: &mut async_nats::Subscriber) -> usize {
    const END: &str = "$JS.API.DIRECT.GET.END";
    client.publish(END, "".into()).await.unwrap();
    let mut came = 0;
    while messages.next().await.unwrap().subject.as_str() != END {
        came += 1;
    }
    came
}

/// What a daemon does when it starts: in few requests, where the server can.
#[tokio::test]
async fn all_summaries_at_once() {
    const STORED: usize = 2500;
    for version in tools::VERSIONS {
        let Some(nats) = Nats::version(version).await else {
            continue;
        };
        let store = store(&nats).await;
        let js = nats.jetstream().await;
        let bucket = js.get_key_value("supercheck_kv").await.unwrap();
        let names: Vec<_> = (0..STORED + 500).map(|n| format!("c{n}")).collect();
        let mut acks = Vec::new();
        for name in &names[..STORED] {
            let subject = format!("$KV.supercheck_kv.{name}");
            acks.push(js.publish(subject, summary(name)).await.unwrap());
        }
        for ack in acks {
            ack.await.unwrap();
        }
        // Gone, and somebody else's.
        bucket.delete("c3").await.unwrap();
        bucket.put("c5", "foreign".into()).await.unwrap();
        let client = nats.client().await;
        let mut asked = client.subscribe("$JS.API.DIRECT.GET.>").await.unwrap();
        assert_eq!(until_end(&client, &mut asked).await, 0);

        let found = store.summaries_of(&names).await.unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|found| found.check.to_string())
            .collect();
        let mut expected = names[..STORED].to_vec();
        expected.retain(|name| !["c3", "c5"].contains(&name.as_str()));
        assert_eq!(
            found.iter().collect::<BTreeSet<_>>(),
            expected.iter().collect::<BTreeSet<_>>(),
            "nats-server {version}"
        );
        assert_eq!(found.len(), expected.len(), "nats-server {version}");
        let none = store.summaries_of(&names[STORED..]).await.unwrap();
        assert_eq!(none, [], "nats-server {version}");

        let requests = until_end(&client, &mut asked).await;
        let batches = ["2.15.1", "2.12.8"].contains(&version);
        assert_eq!(batches, requests == 14, "{requests}, nats-server {version}");
    }
}
