//! The embedded NATS: a private `nats-server` as a child of ours.
//!
//! It listens on loopback, keeps JetStream under the state directory, is
//! started again when it dies, stopped last, and never left behind: the child
//! first is supercheck itself, asks the kernel to die with its parent, and then
//! becomes nats-server (see [`become_server`]).

use std::{
    fs::{File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use crate::{
    check::Secret,
    config::{Nats, SyncInterval},
};

/// The hidden command under which [`become_server`] is called.
pub const COMMAND: &str = "embedded-nats-server";

/// A server that ran this long gets a fresh start without delay when it dies.
const STEADY: Duration = Duration::from_secs(10);
const MAX_DELAY: Duration = Duration::from_secs(10);
/// How long the daemon waits for nats-server before it goes on without.
const START_TIMEOUT: Duration = Duration::from_secs(3);
/// How long nats-server may take to end when asked.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no embedded server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No binary anywhere.
    #[error("no `nats-server` was found (looked at {looked})")]
    NotFound {
        /// The places.
        looked: String,
    },
    /// The address is in use.
    #[error("listen on {address}, for the embedded nats-server")]
    Taken {
        /// The address.
        address: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The state directory cannot be used.
    #[error("write `{}`", path.display())]
    State {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// Another daemon's server has the folder.
    #[error("another supercheck has its nats-server's store in `{}`", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The process did not start.
    #[error("start `{}`", binary.display())]
    Start {
        /// The binary.
        binary: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
}

impl EmbeddedError {
    /// What helps.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => {
                "install nats-server, or set `nats.server_binary` or SUPERCHECK_NATS_SERVER; to use \
                 a server that runs elsewhere set `nats.url`"
            }
            Self::Taken { .. } => {
                "a NATS server seems to run there (Debian's package starts one without JetStream): \
                 set `nats.url` to use it, or `nats.listen` to another address"
            }
            Self::State { .. } => "set STATE_DIRECTORY to a folder that supercheck may write to",
            Self::InUse { .. } => {
                "set STATE_DIRECTORY to a folder of its own, or `nats.url` to use the other's \
                 server"
            }
            Self::Start { .. } => "is that file an executable for this machine?",
        }
    }
}

/// The embedded server, ready to run.
#[derive(Debug)]
pub struct Embedded {
    binary: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    /// Locked for as long as we live: two servers in one folder would ruin
    /// each other's store.
    _lock: File,
}

impl Embedded {
    /// Finds the binary, checks the address and writes the server's
    /// configuration into `state`.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn prepare(nats: &Nats, state: &Path) -> Result<Self, EmbeddedError> {
        let binary = find(nats.server_binary.as_deref())?;
        // Taking the port for a moment finds out that somebody else has it;
        // port 0 picks a free one.
        let taken = |cause| EmbeddedError::Taken {
            address: nats.listen.clone(),
            cause,
        };
        let listener = TcpListener::bind(&nats.listen).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        drop(listener);
        let folder = state.join("nats");
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |cause| EmbeddedError::State { path, cause }
        };
        std::fs::create_dir_all(&folder).map_err(unwritable(&folder))?;
        let lock = lock(&folder)?;
        let config = folder.join("nats-server.conf");
        let write = |limits| {
            std::fs::write(&config, configuration(nats, address, &folder, limits))?;
            // The file may hold a token.
            restrict(&config)
        };
        write(LIMITS).map_err(unwritable(&config))?;
        if !accepts(&binary, &config).await {
            // Servers before 2.15 know no such limit and have none.
            write("").map_err(unwritable(&config))?;
        }
        Ok(Self {
            binary,
            config,
            address,
            _lock: lock,
        })
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Waits until the server takes connections, but not for ever: it may be
    /// long in reading its store, and checks need not wait for that.
    pub async fn answers(&self) {
        let began = tokio::time::Instant::now();
        while began.elapsed() < START_TIMEOUT {
            if TcpStream::connect(self.address).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs the server until `stop`, starting it again when it dies.
    pub async fn run(self, first: Child, stop: CancellationToken) {
        let mut child = first;
        let mut delay = Duration::from_millis(100);
        loop {
            let started = tokio::time::Instant::now();
            tokio::select! {
                () = stop.cancelled() => return end(child).await,
                status = child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |s| s.to_string());
                    tracing::warn!(%status, "the embedded nats-server ended; starting it again");
                }
            }
            delay = if started.elapsed() > STEADY {
                Duration::from_millis(100)
            } else {
                (delay * 2).min(MAX_DELAY)
            };
            child = loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(delay) => {}
                }
                match self.start() {
                    Ok(child) => break child,
                    Err(error) => {
                        let error = crate::error::Chain(&error);
                        tracing::warn!(%error, "embedded nats-server not started; trying again");
                        delay = (delay * 2).min(MAX_DELAY);
                    }
                }
            };
        }
    }

    /// Starts the process.
    ///
    /// # Errors
    /// When the system does not start it.
    pub fn start(&self) -> Result<Child, EmbeddedError> {
        let failed = |cause| EmbeddedError::Start {
            binary: self.binary.clone(),
            cause,
        };
        let ourselves = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(ourselves)
            .arg(COMMAND)
            .arg(std::process::id().to_string())
            .arg(&self.binary)
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal reaches the whole group; the server must
            // outlive our own drain.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let Some(stderr) = child.stderr.take() {
            let lines = BufReader::new(stderr).lines();
            #[expect(clippy::disallowed_methods, reason = "ends with the child's stderr")]
            tokio::spawn(relay(lines));
        }
        Ok(child)
    }
}

/// Passes on what the server says when something is wrong.
async fn relay(mut lines: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains("[FTL]") || line.contains("[ERR]") {
            tracing::warn!(target: "nats-server", "{line}");
        } else {
            tracing::debug!(target: "nats-server", "{line}");
        }
    }
}

async fn end(mut child: Child) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
    {
        tracing::debug!(%error, "ask nats-server to end");
    }
    if tokio::time::timeout(STOP_TIMEOUT, child.wait())
        .await
        .is_err()
    {
        tracing::warn!("the embedded nats-server did not end in time; killing it");
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "kill nats-server");
        }
    }
}

/// Becomes `binary`, having asked the kernel to end it with its parent.
///
/// Runs in the child process, called by `main` for [`COMMAND`]. Returns only
/// when it fails: setting the signal in the parent would need `unsafe`.
pub fn become_server(parent: u32, binary: &Path, config: &Path) -> io::Error {
    use std::os::unix::process::CommandExt as _;
    let signal = Some(rustix::process::Signal::TERM);
    if let Err(error) = rustix::process::set_parent_process_death_signal(signal) {
        return error.into();
    }
    // The parent may have died before the signal was set.
    let parent_now =
        rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    if parent_now != Some(parent) {
        return io::Error::other("the parent has ended");
    }
    std::process::Command::new(binary)
        .arg("-c")
        .arg(config)
        .exec()
}

/// Locks `folder`, so that no other daemon's server uses it.
fn lock(folder: &Path) -> Result<File, EmbeddedError> {
    let path = folder.join("lock");
    let state = |cause| EmbeddedError::State {
        path: path.clone(),
        cause,
    };
    let file = File::create(&path).map_err(state)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(EmbeddedError::InUse {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(cause)) => Err(state(cause)),
    }
}

/// The binary: configured, from the environment, beside ours, or on PATH.
fn find(configured: Option<&Path>) -> Result<PathBuf, EmbeddedError> {
    if let Some(path) = configured {
        return check_file(path.to_owned(), "`nats.server_binary`");
    }
    if let Some(path) = std::env::var_os("SUPERCHECK_NATS_SERVER").filter(|path| !path.is_empty()) {
        return check_file(path.into(), "SUPERCHECK_NATS_SERVER");
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("nats-server")));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = beside
        .into_iter()
        .chain(std::env::split_paths(&on_path).map(|folder| folder.join("nats-server")));
    places
        .find(|path| path.is_file())
        .ok_or_else(|| EmbeddedError::NotFound {
            looked: "`nats.server_binary`, SUPERCHECK_NATS_SERVER, beside supercheck, and PATH"
                .into(),
        })
}

fn check_file(path: PathBuf, source: &str) -> Result<PathBuf, EmbeddedError> {
    if path.is_file() {
        Ok(path)
    } else {
        Err(EmbeddedError::NotFound {
            looked: format!("{source}: `{}`", path.display()),
        })
    }
}

/// Every read of an object by a foreign client leaves a consumer for 30 s, and
/// newer servers allow 1000 of them by default.
const LIMITS: &str = "  limits { default_max_consumers: 100000 }\n";

/// Whether the server takes the configuration.
async fn accepts(binary: &Path, config: &Path) -> bool {
    let tried = Command::new(binary)
        .args(["-t", "-c"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    tried.is_ok_and(|status| status.success())
}

fn configuration(nats: &Nats, address: SocketAddr, folder: &Path, limits: &str) -> String {
    let sync = match nats.sync_interval {
        None => String::new(),
        Some(SyncInterval::Always) => "  sync_interval: always\n".to_owned(),
        Some(SyncInterval::Every(every)) => {
            format!("  sync_interval: \"{}s\"\n", every.as_secs().max(1))
        }
    };
    let size = nats
        .max_store
        .map_or_else(String::new, |bytes| format!("  max_file_store: {bytes}\n"));
    let auth = match (&nats.token, &nats.user, &nats.password) {
        (Some(token), _, _) => format!("authorization {{ token: {} }}\n", quoted(token)),
        (None, Some(user), Some(password)) => format!(
            "authorization {{ user: {}, password: {} }}\n",
            quoted(&Secret::new(user)),
            quoted(password)
        ),
        (None, _, _) => String::new(),
    };
    let store = quoted(&Secret::new(folder.join("jetstream").to_string_lossy()));
    format!(
        "# Written by supercheck at every start; changes here are lost.\n\
         server_name: supercheck-embedded\n\
         listen: \"{address}\"\n\
         jetstream {{\n  store_dir: {store}\n{size}{sync}{limits}}}\n{auth}"
    )
}

/// A string in nats-server's configuration language.
fn quoted(text: &Secret) -> String {
    format!(
        "\"{}\"",
        text.reveal().replace('\\', "\\\\").replace('"', "\\\"")
    )
}

fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}
