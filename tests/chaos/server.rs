//! The nats-server of the scene: its limits, who may use it, and its disk.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use tempfile::TempDir;

use crate::{secrets::PASSWORD, support::nats::Nats};

/// The disk's size, in MiB.
const DISK: u64 = 512;
/// What the server may store, more than what accounts may, or it does not raise
/// their limit again; what the account may store, usually and when it is full.
const SERVER_ROOM: &str = "20GB";
const ROOM: &str = "8GB";
const NO_ROOM: &str = "1MB";

/// What the server is told, which an operator changes now and then.
pub struct Server {
    disk: Disk,
    users: usize,
}

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// All is well.
    None,
    /// The account may store nothing more.
    Room,
    /// Messages may be this small only.
    Payload,
    /// This user is none any more.
    Revoked(usize),
}

impl Server {
    /// For so many daemons, each with a user of its own.
    pub fn new(users: usize) -> Self {
        let disk = Disk::new();
        Self { disk, users }
    }

    /// Where its store is.
    pub const fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Starts it, as an old release where there is one: it is upgraded later.
    pub async fn start(&self) -> Nats {
        let config = self.config(Limit::None);
        match Nats::release("2.10.26", &config).await {
            Some(nats) => nats,
            None => Nats::configured(&config).await,
        }
    }

    /// Its configuration. Who says no name is the tester.
    pub fn config(&self, limit: Limit) -> String {
        let store = self.disk.path().display();
        let room = if limit == Limit::Room { NO_ROOM } else { ROOM };
        let payload = if limit == Limit::Payload {
            "4KB"
        } else {
            "1MB"
        };
        let users: String = (0..self.users)
            .filter(|user| limit != Limit::Revoked(*user))
            .map(|user| format!("{{ user: i{user}, password: {PASSWORD} }}, "))
            .collect();
        format!(
            "max_payload: {payload}\nno_auth_user: tester\njetstream {{ store_dir: \"{store}\", max_file_store: {SERVER_ROOM}, %LIMITS% }}\naccounts {{ CHAOS {{ jetstream {{ max_file: {room} }}, users: [ {users} {{ user: tester, password: p }} ] }} }}\n"
        )
    }
}

/// A folder, on a small disk of its own where that can be had.
pub struct Disk {
    folder: TempDir,
    mounted: bool,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK}m"), "chaos"])
            .arg(folder.path())
            .output();
        let mounted = mount.is_ok_and(|done| done.status.success());
        Self { folder, mounted }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it can be filled without harm to others.
    pub const fn is_small(&self) -> bool {
        self.mounted
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        let zeros = vec![0; 1 << 16];
        // Until there is no more.
        while file.write_all(&zeros).is_ok() {}
    }

    /// Gives it back.
    pub fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let lazily = Command::new("umount")
                .arg("-l")
                .arg(self.folder.path())
                .status();
            drop(lazily);
        }
    }
}
