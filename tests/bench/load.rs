//! What supercheck costs, next to a bare reqwest loop that stores nothing, on
//! one target in one run.
//!
//! ```sh
//! cargo bench --bench load                 # the short form, about two minutes
//! cargo bench --bench load -- --full       # every row, with longer windows
//! cargo bench --bench load -- cost start   # these rows only
//! ```
//!
//! Everything is started here: the target, the nats-server, the daemon's real
//! binary, the bare loop; each is a process of its own. CPU time is what the
//! kernel counts for a process, divided by the answers that the target gave
//! meanwhile. Figures are medians of several windows; beside each stands how
//! far the windows are apart, and in `others` what else the machine was doing.
//! Absolute figures drift with the machine: trust the ratios.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    reason = "a benchmark that panics has told enough, and its counts are small"
)]

mod bare;
mod figures;
mod machine;
mod nats;
mod processes;
mod rows;
mod target;

use std::env;

use figures::Figures;

fn main() {
    // `cargo bench` says `--bench` to every benchmark.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let (options, words): (Vec<_>, Vec<_>) =
        words.into_iter().partition(|word| word.starts_with("--"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["target", dead] => return target::serve(dead.parse().unwrap()),
        ["bare", url, plan @ ..] => return bare::run(url, &processes::Plan::from_words(plan)),
        ["echo", url] => return bare::echo(url),
        _ => {}
    }
    machine::raise_limits();
    let full = options.iter().any(|option| option == "--full");
    let mut figures = Figures::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(rows::measure(&words, full, &mut figures));
    figures.print();
}
