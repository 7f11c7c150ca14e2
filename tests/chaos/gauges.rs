//! What the daemons take: memory, descriptors, and what waits within bounds.

use std::{fs, time::Instant};

use crate::support::daemon::Daemon;

/// Memory that a daemon of this scene takes at most, in MiB.
const MOST_MEMORY: u64 = 400;
/// Descriptors that it has open at most: a thousand targets may hang.
const MOST_DESCRIPTORS: u64 = 1600;
/// Checks that it knows at most.
const CHECKS: u64 = 1100;

/// What one daemon took at one time.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub at: Instant,
    /// In KiB.
    pub memory: u64,
    pub descriptors: u64,
}

/// What was taken over time, by the one that is never ended.
#[derive(Default)]
pub struct Gauges {
    pub witness: Vec<Reading>,
    pub most: (u64, u64),
    pub most_in_flight: u64,
    pub most_unstored: u64,
}

impl Gauges {
    /// Reads one daemon's.
    pub async fn read(&mut self, daemon: &Daemon, witness: bool) -> Result<(), String> {
        let pid = daemon.pid().as_raw_nonzero();
        let (Ok(status), Ok(open)) = (
            fs::read_to_string(format!("/proc/{pid}/status")),
            fs::read_dir(format!("/proc/{pid}/fd")),
        ) else {
            return Ok(());
        };
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = resident.and_then(|line| line.split_whitespace().next()?.parse().ok());
        let reading = Reading {
            at: Instant::now(),
            memory: memory.unwrap_or(0),
            descriptors: open.count() as u64,
        };
        if witness {
            self.witness.push(reading);
        }
        self.most.0 = self.most.0.max(reading.memory);
        self.most.1 = self.most.1.max(reading.descriptors);
        if let Some(url) = daemon.http_again().await
            && let Ok(page) = reqwest::get(format!("{url}/metrics")).await
            && let Ok(page) = page.text().await
        {
            self.page(&page)?;
        }
        if reading.memory > MOST_MEMORY << 10 || reading.descriptors > MOST_DESCRIPTORS {
            return Err(format!("a daemon takes {reading:?}"));
        }
        Ok(())
    }

    /// Holds what waits to its bounds: a run and a result of each check.
    pub fn page(&mut self, page: &str) -> Result<(), String> {
        let value = |name: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.trim().parse().ok());
            value.ok_or_else(|| format!("no {name}: {page}"))
        };
        let in_flight = value("supercheck_runs_in_flight ")?;
        let unstored = value("supercheck_unstored_runs ")?;
        self.most_in_flight = self.most_in_flight.max(in_flight);
        self.most_unstored = self.most_unstored.max(unstored);
        if in_flight > CHECKS || unstored > 2 * CHECKS {
            return Err(format!("{in_flight} runs in flight, {unstored} not stored"));
        }
        Ok(())
    }

    /// How much the witness's memory grew in an hour, in MiB, from the second
    /// quarter of its readings to the last; and its descriptors.
    pub fn growth(&self) -> Option<(f64, f64)> {
        let quarter = self.witness.len() / 4;
        let [then, now] = [
            self.witness.get(quarter..2 * quarter)?,
            self.witness.get(3 * quarter..)?,
        ];
        let hours = now.last()?.at.duration_since(then.last()?.at).as_secs_f64() / 3600.0;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let mean = |readings: &[Reading], of: fn(&Reading) -> u64| {
            readings.iter().map(of).sum::<u64>() as f64 / readings.len() as f64
        };
        let memory = mean(now, |r| r.memory) - mean(then, |r| r.memory);
        let descriptors = mean(now, |r| r.descriptors) - mean(then, |r| r.descriptors);
        Some((memory / 1024.0 / hours, descriptors / hours))
    }
}

impl Gauges {
    pub fn print(&self) {
        let (memory, descriptors) = self.most;
        eprintln!(
            "at most {} MiB and {descriptors} descriptors, {} runs in flight, {} not stored",
            memory >> 10,
            self.most_in_flight,
            self.most_unstored
        );
        if let Some((memory, descriptors)) = self.growth() {
            eprintln!(
                "the witness grew by {memory:.1} MiB and {descriptors:.1} descriptors an hour, over {} readings",
                self.witness.len()
            );
        }
    }
}
