//! Text and environment in, a configuration or mistakes out.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::*;

mod checks;
mod corpus;
mod differences;
mod environment;
mod mutations;
mod reference;
mod secrets;
mod settings;
mod shown;
mod streams;

/// The environment that tests run in.
type Env<'a> = &'a [(&'a str, &'a str)];

/// Loads `text` as `supercheck.toml`, with nothing beside it.
fn load_text(text: &str, env: Env<'_>) -> Result<Loaded, Mistakes> {
    load_files(&[("supercheck.toml", text)], env)
}

/// Loads files of which the first is the main one; none: the environment alone.
fn load_files(files: &[(&str, &str)], env: Env<'_>) -> Result<Loaded, Mistakes> {
    let texts: BTreeMap<PathBuf, &str> = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), *text))
        .collect();
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    load(&Sources {
        main: files
            .first()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned())),
        env: &env,
        read: &|path| match texts.get(path) {
            Some(text) => Ok((*text).to_owned()),
            None if path.extension().is_some_and(|end| end == "pem") => Ok(pem()),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        },
        list: &|folder| {
            let within = |path: &&PathBuf| path.parent() == Some(folder);
            Ok(texts.keys().filter(within).cloned().collect())
        },
    })
}

/// What every file called `*.pem` holds: a certificate, and its key.
fn pem() -> String {
    static PEM: OnceLock<String> = OnceLock::new();
    let make = || {
        let made = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
        made.cert.pem() + &made.signing_key.serialize_pem()
    };
    PEM.get_or_init(make).clone()
}

/// Loads `path` below `root` from the real file system.
fn load_path(root: &Path, path: &Path, env: Env<'_>) -> Result<Loaded, Mistakes> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let text = fs::read_to_string(root.join(path)).unwrap();
    load(&Sources {
        main: Some((path.to_owned(), text)),
        env: &env,
        read: &|path| fs::read_to_string(root.join(path)),
        list: &|folder| match fs::read_dir(root.join(folder)) {
            Ok(entries) => {
                let name =
                    |entry: io::Result<fs::DirEntry>| folder.join(entry.unwrap().file_name());
                let mut files: Vec<_> = entries.map(name).collect();
                files.sort();
                Ok(files)
            }
            Err(_) => Ok(Vec::new()),
        },
    })
}

/// What is printed for `text`.
fn printed(text: &str, env: Env<'_>) -> String {
    match load_text(text, env) {
        Ok(_) => panic!("no mistake was found in:\n{text}"),
        Err(mistakes) => mistakes.to_string(),
    }
}

/// The configuration in `text`, which has no mistakes.
fn config(text: &str, env: Env<'_>) -> Config {
    match load_text(text, env) {
        Ok(loaded) => loaded.config,
        Err(mistakes) => panic!("{mistakes}\nin:\n{text}"),
    }
}

/// The folder of this package.
fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The smallest check.
const API: &str = "[[check]]\nname = \"api\"\nurl = \"https://api.example.com/health\"\n";
