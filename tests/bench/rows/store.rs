//! Storing a report: our way, and that of the client library's buckets.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use supercheck::{
    config::{self, Config, Sources},
    store::{
        Store,
        connection::connect_now,
        write::{Object, Record},
        writer::Writer,
    },
};

use super::Length;
use crate::{
    figures::{
        Figures,
        Goal::{self, AtLeast},
        Values,
    },
    nats,
    processes::Nats,
};

/// Reports under way at once.
const AT_ONCE: usize = 64;
/// Names that are written in turn.
const NAMES: u64 = 1_000;

/// A report, its summary and its history: `Store::send` against
/// `ObjectStore::put`, a KV put and a publish, by turns.
pub async fn store(length: Length, figures: &mut Figures) {
    let server = Nats::start().await;
    let defaults = defaults();
    let store = connect_now(&defaults.nats, &server.url, defaults.store).await;
    let store = store.unwrap();
    store.prepare().await.unwrap();
    let theirs = Theirs::open(&server.url).await;
    let (mut ours, mut put) = (Values::default(), Values::default());
    for _ in 0..length.windows.max(3) {
        put.0.push(rate(length.window, |n| theirs.put(n)).await);
        ours.0.push(written(&store, length.window).await);
    }
    let row = "storing, 64 at once";
    let times = super::ratio(&ours, &put);
    figures.note(row, "put + put + publish", put, "/s", Goal::None);
    figures.note(row, "supercheck's writer", ours, "/s", Goal::None);
    figures.note(
        row,
        "supercheck's writer / put + put + publish",
        times,
        "",
        AtLeast(3.0),
    );
}

/// Storing while readers have left so many consumers: before they are counted,
/// and after.
pub async fn crowd(length: Length, figures: &mut Figures) {
    const LEFT: usize = 4_500;
    let server = Nats::start().await;
    let defaults = defaults();
    let store = connect_now(&defaults.nats, &server.url, defaults.store).await;
    let store = store.unwrap();
    store.prepare().await.unwrap();
    let mut rates = [const { Values(Vec::new()) }; 3];
    for _ in 0..length.windows {
        rates[0].0.push(written(&store, length.window).await);
    }
    leave(&server.url, LEFT).await;
    for _ in 0..length.windows {
        rates[1].0.push(written(&store, length.window).await);
    }
    store.count_readers().await;
    for _ in 0..length.windows {
        rates[2].0.push(written(&store, length.window).await);
    }
    let row = format!("storing beside {LEFT} left consumers");
    let [without, rolled, counted] = rates;
    let share = super::ratio(&counted, &without);
    figures.note(&row, "without them", without, "/s", Goal::None);
    figures.note(&row, "with a roll-up each", rolled, "/s", Goal::None);
    figures.note(&row, "once they are counted", counted, "/s", Goal::None);
    figures.note(&row, "once counted / without", share, "", Goal::None);
}

/// Consumers as reads of objects leave them.
async fn leave(url: &str, count: usize) {
    let client = jetstream::new(nats::client(url).await);
    let stream = client.get_stream("OBJ_supercheck").await.unwrap();
    let one = |n: usize| {
        stream.create_consumer(consumer::pull::Config {
            name: Some(format!("left{n}")),
            filter_subject: format!("$O.supercheck.C.left{n}"),
            ack_policy: consumer::AckPolicy::None,
            memory_storage: true,
            inactive_threshold: Duration::from_mins(5),
            ..Default::default()
        })
    };
    let mut all = stream::iter((0..count).map(one)).buffer_unordered(AT_ONCE);
    while let Some(made) = all.next().await {
        made.unwrap();
    }
}

pub(super) fn defaults() -> Config {
    let text = "[[check]]\nname = \"c\"\nurl = \"http://127.0.0.1/\"\n".to_owned();
    let sources = Sources {
        main: Some(("supercheck.toml".into(), text)),
        env: &BTreeMap::new(),
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        list: &|_| Ok(Vec::new()),
    };
    config::load(&sources).unwrap().config
}

fn report(n: u64) -> (String, Bytes, Bytes) {
    let name = format!("c{}", n % NAMES);
    (name, vec![b'r'; 1_400].into(), vec![b's'; 560].into())
}

fn record(n: u64) -> Record {
    let (check, body, summary) = report(n);
    Record {
        object: Some(Object {
            name: format!("http://127.0.0.1:8080/{check}"),
            body,
        }),
        failure: None,
        check,
        summary,
        run: format!("run-{n}-{:?}", Instant::now()),
    }
}

/// How many records a second are stored, so many under way at once.
pub(super) async fn written(store: &Store, time: Duration) -> f64 {
    let mut writer = Writer::open(store).await.unwrap();
    let began = Instant::now();
    let (mut sent, mut done) = (0u64, 0u64);
    loop {
        while began.elapsed() < time && writer.len() < AT_ONCE {
            writer.send(&record(sent), ()).await;
            sent += 1;
        }
        let Some(((), stored)) = writer.next().await else {
            return done as f64 / began.elapsed().as_secs_f64();
        };
        stored.unwrap();
        done += 1;
    }
}

struct Theirs {
    client: jetstream::Context,
    objects: jetstream::object_store::ObjectStore,
    summaries: jetstream::kv::Store,
}

impl Theirs {
    async fn open(url: &str) -> Self {
        let client = jetstream::new(nats::client(url).await);
        Self {
            objects: client.get_object_store("supercheck").await.unwrap(),
            summaries: client.get_key_value("supercheck_kv").await.unwrap(),
            client,
        }
    }

    async fn put(&self, n: u64) {
        let (check, body, summary) = report(n);
        let name = format!("http://127.0.0.1:8080/{check}");
        let put = self.objects.put(name.as_str(), &mut &*body).await;
        put.unwrap();
        self.summaries.put(&check, summary.clone()).await.unwrap();
        let subject = format!("supercheck.history.{check}");
        let ack = self.client.publish(subject, summary).await.unwrap();
        ack.await.unwrap();
    }
}

/// How many a second `one` does, so many at once.
async fn rate<F: Future<Output = ()>>(time: Duration, one: impl Fn(u64) -> F) -> f64 {
    let began = Instant::now();
    let mut done = 0u64;
    let numbers = stream::iter(0..).take_while(|_| std::future::ready(began.elapsed() < time));
    let mut all = std::pin::pin!(numbers.map(one).buffer_unordered(AT_ONCE));
    while all.next().await.is_some() {
        done += 1;
    }
    done as f64 / began.elapsed().as_secs_f64()
}
