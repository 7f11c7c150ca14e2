//! What the kernel counts: CPU time, memory, and what else is going on.

use std::{fs, time::Instant};

/// User and system time of a process so far, in seconds, to the nanosecond.
pub fn cpu(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    let nanoseconds: u64 = threads
        .flatten()
        .filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        })
        .sum();
    nanoseconds as f64 / 1e9
}

/// Resident memory, in megabytes.
pub fn memory(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

/// CPU time of the whole machine so far, idle time left out, in seconds.
fn busy() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let fields: Vec<f64> = text
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap())
        .collect();
    // user nice system (idle iowait) irq softirq steal, in ticks
    (fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7]) / 100.0
}

/// A stretch of time in which CPU time is counted.
pub struct Window {
    began: Instant,
    busy: f64,
    own: Vec<(u32, f64)>,
}

/// What a window held.
pub struct Used {
    /// Its length, in seconds.
    pub seconds: f64,
    /// CPU seconds of each process.
    pub cpu: Vec<f64>,
    /// Cores that everything else used.
    pub others: f64,
}

impl Window {
    /// Begins to count for these processes.
    pub fn begin(pids: &[u32]) -> Self {
        let us = std::process::id();
        let own = pids.iter().chain([&us]);
        Self {
            began: Instant::now(),
            busy: busy(),
            own: own.map(|pid| (*pid, cpu(*pid))).collect(),
        }
    }

    /// What was used since.
    pub fn end(self) -> Used {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut cpu: Vec<f64> = self
            .own
            .iter()
            .map(|(pid, before)| cpu(*pid) - before)
            .collect();
        let others = (busy() - self.busy - cpu.iter().sum::<f64>()) / seconds;
        cpu.pop();
        Used {
            seconds,
            cpu,
            others: others.max(0.0),
        }
    }
}

/// Ten thousand connections need as many files.
pub fn raise_limits() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
