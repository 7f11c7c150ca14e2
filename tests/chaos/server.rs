//! The nats-server of the scene: its limits, who may use it, and its disk.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{scene, support::nats::Nats};

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
    daemons: usize,
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
    pub fn new(daemons: usize) -> Self {
        let disk = Disk::new();
        Self { disk, daemons }
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

    /// Its configuration.
    pub fn config(&self, limit: Limit) -> String {
        let store = self.disk.path().display();
        let room = if limit == Limit::Room { NO_ROOM } else { ROOM };
        let payload = if limit == Limit::Payload {
            "4KB"
        } else {
            "1MB"
        };
        let revoked = |user: &usize| limit == Limit::Revoked(*user);
        let daemons = (0..self.daemons).filter(|user| !revoked(user));
        let account = scene::account(&format!("jetstream {{ max_file: {room} }}"), daemons);
        format!(
            "max_payload: {payload}\njetstream {{ store_dir: \"{store}\", max_file_store: {SERVER_ROOM}, %LIMITS% }}\n{account}"
        )
    }
}

/// A folder, on a small disk of its own where that can be had.
pub struct Disk {
    folder: TempDir,
    /// What is mounted: the room in memory, and the disk in a file there.
    mounted: Vec<PathBuf>,
}

/// While it is there, what is written to the disk waits.
pub struct Frozen<'a>(&'a Path);

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Self {
            mounted: Vec::new(),
            folder,
        };
        let room = disk.folder.path().join("room");
        let size = format!("size={}m", DISK + 1);
        if !disk.mount(room.clone(), &["-t", "tmpfs", "-o", &size, "chaos"]) {
            return disk;
        }
        let image = room.join("disk");
        let made = File::create(&image).and_then(|file| file.set_len(DISK << 20));
        let store = disk.folder.path().join("store");
        let at = image.to_str().unwrap();
        if made.is_ok() && done("mkfs.ext4", &["-q", "-F", at]) {
            disk.mount(store, &["-o", "loop", at]);
        }
        disk
    }

    fn mount(&mut self, at: PathBuf, what: &[&str]) -> bool {
        fs::create_dir(&at).unwrap();
        let mounted = done("mount", &[what, &[at.to_str().unwrap()]].concat());
        if mounted {
            self.mounted.push(at);
        }
        mounted
    }

    pub fn path(&self) -> &Path {
        let own = self.mounted.last();
        own.map_or_else(|| self.folder.path(), PathBuf::as_path)
    }

    /// Whether it can be filled without harm to others.
    pub fn is_small(&self) -> bool {
        !self.mounted.is_empty()
    }

    /// Whether what is written to it can be made to wait.
    pub fn can_be_frozen(&self) -> bool {
        self.mounted.len() == 2 && done("fsfreeze", &["--version"])
    }

    /// What is written from now on waits.
    pub fn freeze(&self) -> Frozen<'_> {
        let path = self.path();
        assert!(done("fsfreeze", &["-f", path.to_str().unwrap()]));
        Frozen(path)
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

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        done("fsfreeze", &["-u", self.0.to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for at in self.mounted.iter().rev() {
            done("umount", &["-l", at.to_str().unwrap()]);
        }
    }
}

fn done(what: &str, with: &[&str]) -> bool {
    let output = Command::new(what).args(with).output();
    output.is_ok_and(|done| done.status.success())
}
