//! Reading the configuration for a command: the one place that touches the
//! real file system and environment for it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::Failure;
use crate::{
    config::{self, Loaded, Sources},
    error::Exit,
};

/// Where the file is looked for when none is named.
const PLACES: [&str; 2] = ["supercheck.toml", "/etc/supercheck/supercheck.toml"];

/// Finds, reads and judges the configuration.
///
/// # Errors
/// When a named file cannot be read, or there are mistakes.
pub fn load(named: Option<&Path>) -> Result<Loaded, Failure> {
    load_or(named, "nothing was started")
}

/// As [`load`]; with mistakes, `outcome` says what came of it.
///
/// # Errors
/// When a named file cannot be read, or there are mistakes.
pub fn load_or(named: Option<&Path>, outcome: &str) -> Result<Loaded, Failure> {
    let main = read_main(named)?;
    let env = environment();
    let sources = Sources {
        main,
        env: &env,
        read: &read,
        list: &list,
    };
    config::load(&sources).map_err(|mistakes| Failure {
        exit: Exit::Config,
        error: anyhow::Error::msg(mistakes.told(outcome)),
        hint: None,
    })
}

fn read_main(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => match PLACES.iter().map(PathBuf::from).find(|path| path.exists()) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) => Err(Failure {
            exit: Exit::Config,
            hint: if error.kind() == io::ErrorKind::NotFound {
                Some("name a file with `--config` or SUPERCHECK_CONFIG".to_owned())
            } else if error.kind() == io::ErrorKind::PermissionDenied {
                Some("give the user that supercheck runs as read access".to_owned())
            } else if error.kind() == io::ErrorKind::InvalidData {
                Some("a configuration is a text in UTF-8".to_owned())
            } else {
                None
            },
            error: anyhow::Error::new(error)
                .context(format!("open the configuration `{}`", path.display())),
        }),
    }
}

/// The environment, as far as it is text.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// The files of a folder, sorted; a folder that is not there has none.
fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort_unstable();
    Ok(files)
}
