//! Working in the network of a machine or an engine.

use std::{fs, os::fd::AsFd as _};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The only child of a process.
pub fn child_of(pid: u32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Does `work` on a thread that sees the network of `process` in place of
/// ours.
pub fn inside<T: Send>(process: i32, work: impl AsyncFnOnce() -> T + Send) -> T {
    let network = fs::File::open(format!("/proc/{process}/ns/net")).unwrap();
    let thread = move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work())
    };
    std::thread::scope(|scope| scope.spawn(thread).join().unwrap())
}
