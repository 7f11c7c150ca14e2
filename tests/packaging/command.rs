//! Running programs, and what came of them.

use std::process::{Command, Stdio};

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// Runs it to its end, which must be a good one, and returns its stdout.
pub fn good(command: &mut Command) -> String {
    let ended = run(command);
    assert_eq!(ended.code, 0, "{command:?}: {ended:#?}");
    ended.out
}
