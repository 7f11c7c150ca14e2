//! The house rules that a compiler does not keep: layers, doors, file heads,
//! lengths, words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::tools::root;

/// Lower layers first: a module names its own layer's and lower ones only.
/// Modules of one layer may name each other, but not two doors.
const LAYERS: [&[&str]; 7] = [
    &[
        "error", "clock", "line", "near", "pulse", "shares", "tally", "tasks", "trial",
    ],
    &["check", "observation", "report", "request"],
    &["config", "rollup", "schedule", "verdict", "window"],
    &["probe", "store"],
    &[
        "announcer",
        "gate",
        "maintenance",
        "recorder",
        "roller",
        "run",
        "runner",
        "sharing",
        "silence",
        "triggers",
        "worker",
    ],
    &["serve"],
    &["daemon", "cli"],
];

/// A crate, and the modules that alone may name it.
const DOORS: [(&str, &[&str]); 7] = [
    ("reqwest", &["probe"]),
    ("hickory_resolver", &["probe"]),
    ("async_nats", &["store", "serve/service"]),
    ("axum", &["serve"]),
    ("toml", &["config"]),
    ("clap", &["cli", "main"]),
    ("tracing_subscriber", &["cli"]),
];

struct File {
    path: PathBuf,
    text: String,
}

fn files(folder: &str, ends: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["node_modules", "target", ".git", "venv"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(ends)
                && let Ok(text) = fs::read_to_string(&path)
            {
                let path = path.strip_prefix(root()).unwrap().to_owned();
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

impl File {
    /// `config` for `src/config.rs` and `src/config/read.rs`.
    fn module(&self) -> String {
        let path = self.path.strip_prefix("src").unwrap();
        let first = path
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    }

    fn is_test(&self) -> bool {
        let path = self.path.to_string_lossy();
        path.contains("tests/") || path.ends_with("tests.rs")
    }

    /// The code, without comments and without a `mod tests` at its end.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text
            .split("#[cfg(test)]")
            .next()
            .unwrap()
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
    }

    /// The crate's own modules that the code names, `use crate::{…}` included.
    fn names(&self) -> BTreeSet<String> {
        let code: String = self.code().collect::<Vec<_>>().join("\n");
        let mut names = BTreeSet::new();
        for after in code.split("crate::").skip(1) {
            if let Some(list) = after.strip_prefix('{') {
                let mut depth = 0;
                let mut word = String::new();
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        _ if depth > 0 => {}
                        'a'..='z' | '_' if !word.contains(' ') => word.push(c),
                        ',' => {
                            names.insert(word.split(' ').next().unwrap().to_owned());
                            word.clear();
                        }
                        c if c.is_whitespace() && word.is_empty() => {}
                        _ => word.push(' '),
                    }
                }
                names.insert(word.split(' ').next().unwrap().to_owned());
            } else {
                let word: String = after
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                    .collect();
                names.insert(word);
            }
        }
        names.remove("");
        names
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn every_module_has_its_layer_and_names_lower_ones_only() {
    let mut wrong = Vec::new();
    for file in files("src", ".rs").iter().filter(|file| !file.is_test()) {
        let module = file.module();
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let Some(own) = layer(&module) else {
            wrong.push(format!("{module} has no layer"));
            continue;
        };
        for name in file.names() {
            let Some(other) = layer(&name) else { continue };
            let doors = own == 3 && other == 3 && name != module;
            if other > own || doors {
                wrong.push(format!("{} names {name}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn one_crate_one_door() {
    let mut wrong = Vec::new();
    for file in files("src", ".rs").iter().filter(|file| !file.is_test()) {
        let path = file
            .path
            .strip_prefix("src")
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for (name, doors) in DOORS {
            let named = file.code().any(|line| {
                line.match_indices(name).any(|(at, _)| {
                    let before = line[..at].chars().last();
                    let free = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '"');
                    free && line[at + name.len()..].starts_with("::")
                })
            });
            if named && !doors.iter().any(|door| path.starts_with(door)) {
                wrong.push(format!("{path} names {name}"));
            }
        }
        if !path.starts_with("tasks") && file.code().any(|line| line.contains("tokio::spawn(")) {
            // An exception states its reason.
            let stated = file.text.contains("clippy::disallowed_methods, reason");
            if !stated {
                wrong.push(format!("{path} spawns a task"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn layers_one_and_two_do_no_io_and_ask_no_clock() {
    let mut wrong = Vec::new();
    for file in files("src", ".rs").iter().filter(|file| !file.is_test()) {
        if !(1..=2).contains(&layer(&file.module()).unwrap_or(9)) {
            continue;
        }
        for word in [
            "std::fs",
            "std::net",
            "std::env",
            "tokio::",
            "Instant::now",
            "SystemTime::now",
            "clock::now",
        ] {
            if file.code().any(|line| line.contains(word)) {
                wrong.push(format!("{} names {word}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_and_is_not_too_long() {
    let mut wrong = Vec::new();
    for file in files("src", ".rs").into_iter().chain(files("tests", ".rs")) {
        if !file.text.starts_with("//!") {
            wrong.push(format!("{} does not say what it is", file.path.display()));
        }
        let lines = file.text.lines().count();
        if lines > 450 {
            wrong.push(format!("{} has {lines} lines", file.path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn names_and_words() {
    let mut wrong = Vec::new();
    for file in files("src", ".rs") {
        let name = file
            .path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if ["utils.rs", "util.rs", "common.rs", "helpers.rs", "mod.rs"].contains(&name.as_str()) {
            wrong.push(format!("{} says nothing", file.path.display()));
        }
        for line in file.code() {
            let Some(rest) = ["struct ", "enum ", "trait "]
                .iter()
                .find_map(|kind| line.split_once(kind))
            else {
                continue;
            };
            let name: String = rest.1.chars().take_while(|c| c.is_alphanumeric()).collect();
            for end in ["Manager", "Helper", "Util", "Utils", "Info", "Data", "Impl"] {
                if name.len() > end.len() && name.ends_with(end) {
                    wrong.push(format!("{}: {name}", file.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Put together here, so that this file does not hold them.
    let banned = [
        ["/wo", "rk/"].concat(),
        ["/ro", "ot/"].concat(),
        ["pypi", ".org"].concat(),
        ["files.python", "hosted"].concat(),
        ["registry.npm", "js"].concat(),
        ["deb.deb", "ian.org"].concat(),
        ["index.crates", ".io"].concat(),
    ];
    let mut wrong = Vec::new();
    for file in files("", "") {
        // The lock file is cargo's own text; a work tree's `.git` is git's.
        if file.path.starts_with("target") || file.path.starts_with(".git") {
            continue;
        }
        for word in &banned {
            if file.text.contains(word.as_str()) {
                wrong.push(format!("{} names {word}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn one_tls_provider() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--prefix",
            "none",
            "--edges",
            "normal,build",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("aws-lc-rs v"), "{tree}");
    for banned in ["ring v", "openssl v", "openssl-sys v", "native-tls v"] {
        assert!(
            !tree.lines().any(|line| line.starts_with(banned)),
            "{banned}"
        );
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut wrong = BTreeMap::new();
    for file in files("", ".md") {
        for link in file.text.split("](").skip(1) {
            let link = link.split(')').next().unwrap().split('#').next().unwrap();
            let here = root().join(file.path.parent().unwrap_or(Path::new("")));
            if !link.is_empty() && !link.contains("://") && !here.join(link).exists() {
                wrong.insert(link.to_owned(), file.path.clone());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
