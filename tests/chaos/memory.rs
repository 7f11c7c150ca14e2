//! A memory limit that a daemon reaches: the kernel kills it.

use std::{fs, path::PathBuf, time::Duration};

use crate::support::{daemon::Daemon, wait};

/// The hierarchy of memory, and the file of the limit in it.
fn hierarchy() -> (PathBuf, &'static str) {
    let first = PathBuf::from("/sys/fs/cgroup/memory");
    if first.exists() {
        (first, "memory.limit_in_bytes")
    } else {
        (PathBuf::from("/sys/fs/cgroup"), "memory.max")
    }
}

fn group() -> PathBuf {
    hierarchy()
        .0
        .join(format!("supercheck-chaos-{}", std::process::id()))
}

/// Whether a group with a limit can be made.
pub fn is_there() -> bool {
    let limited = fs::create_dir(group()).is_ok() && group().join(hierarchy().1).exists();
    drop(fs::remove_dir(group()));
    limited
}

/// Puts the daemon into a group in which there is no more memory, and waits
/// until that has ended it.
pub async fn exhaust(daemon: &mut Daemon) {
    fs::create_dir(group()).unwrap();
    fs::write(group().join(hierarchy().1), "0").unwrap();
    let pid = daemon.pid().as_raw_nonzero().to_string();
    fs::write(group().join("cgroup.procs"), pid).unwrap();
    daemon.ended().await;
    wait::within(Duration::from_secs(5), "an empty group", async || {
        fs::remove_dir(group()).ok()
    })
    .await;
}
