//! What is measured, row by row.

use std::time::Duration;

use super::{
    figures::{Figures, Values},
    machine::Window,
    processes::{Process, Target},
};

mod ask;
mod cost;
mod http;
mod overload;
mod start;
mod store;
mod sync;
mod trouble;

/// Measures the rows that are named, or else all that belong to the form.
pub async fn measure(words: &[&str], full: bool, figures: &mut Figures) {
    let wanted = |row: &str, short: bool| {
        if words.is_empty() {
            full || short
        } else {
            words.contains(&row)
        }
    };
    let length = if full { Length::FULL } else { Length::SHORT };
    if wanted("cost", true) {
        cost::rates(length, figures).await;
    }
    if wanted("hosts", true) {
        cost::hosts(length, figures).await;
    }
    if wanted("start", true) {
        start::start(full, figures).await;
    }
    if wanted("store", true) {
        store::store(length, figures).await;
    }
    if wanted("get", true) {
        ask::get(length, figures).await;
    }
    if wanted("request", true) {
        ask::request(figures).await;
    }
    if wanted("page", true) {
        http::page(figures).await;
    }
    if wanted("readers", true) {
        http::readers(length, figures).await;
    }
    if wanted("overload", true) {
        overload::overload(length, figures).await;
    }
    if wanted("pause", true) {
        trouble::pause(figures).await;
    }
    if wanted("dead", false) {
        trouble::dead(length, figures).await;
    }
    if wanted("crowd", false) {
        store::crowd(length, figures).await;
    }
    if wanted("sync", false) {
        sync::sync(length, figures).await;
    }
    if wanted("many", false) {
        cost::many(length, figures).await;
    }
    if wanted("size", false) {
        cost::sizes(length, figures).await;
    }
    if wanted("tls", false) {
        cost::tls(length, figures).await;
    }
    if wanted("instances", false) {
        cost::instances(length, figures).await;
    }
    if wanted("slow", true) {
        trouble::slow(length, figures).await;
    }
}

/// How long things are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    /// Each program is started so often.
    pub rounds: usize,
    /// And measured so often.
    pub windows: usize,
    pub window: Duration,
    /// Until a program has found its pace.
    pub settle: Duration,
}

impl Length {
    const SHORT: Self = Self {
        rounds: 1,
        windows: 3,
        window: Duration::from_secs(2),
        settle: Duration::from_millis(2500),
    };
    const FULL: Self = Self {
        rounds: 3,
        windows: 3,
        window: Duration::from_secs(5),
        settle: Duration::from_secs(5),
    };
}

/// Several windows of some programs at work.
#[derive(Debug, Default)]
pub struct Seen {
    /// Checks a second, as the target was asked.
    pub rate: Values,
    /// CPU microseconds per check, of each program.
    pub cpu: Vec<Values>,
    /// Start deviation, in milliseconds.
    pub p99: Values,
    pub mean: Values,
    pub missed: f64,
    /// Cores that everything else used.
    pub others: Values,
    /// Everything that came, warming up included.
    pub asked: u64,
}

impl Seen {
    /// Lets `programs` find their pace, then looks at them.
    pub async fn look(&mut self, target: &Target, programs: &[&Process], length: Length) {
        let mut pids: Vec<u32> = programs.iter().map(|program| program.id()).collect();
        pids.push(target.process.id());
        self.cpu.resize(programs.len(), Values::default());
        tokio::time::sleep(length.settle).await;
        self.asked += target.window().asked;
        for _ in 0..length.windows {
            let window = Window::begin(&pids);
            tokio::time::sleep(length.window).await;
            let used = window.end();
            let came = target.window();
            let asked = came.asked.max(1) as f64;
            self.asked += came.asked;
            self.rate.0.push(came.asked as f64 / used.seconds);
            self.p99.0.push(came.p99);
            self.mean.0.push(came.mean);
            self.missed += came.missed as f64;
            self.others.0.push(used.others);
            for (each, seconds) in self.cpu.iter_mut().zip(&used.cpu) {
                each.0.push(seconds * 1e6 / asked);
            }
        }
    }
}

/// Each value as a share of its partner.
pub fn ratio(of: &Values, to: &Values) -> Values {
    let middle = to.median();
    Values(of.0.iter().map(|value| value / middle).collect())
}

/// Each value and its partner together.
pub fn sum(one: &Values, other: &Values) -> Values {
    Values(one.0.iter().zip(&other.0).map(|(a, b)| a + b).collect())
}
