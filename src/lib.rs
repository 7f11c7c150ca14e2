//! supercheck: a healthcheck caching daemon on NATS JetStream.
//!
//! It asks each target once and lets any number of readers have the answer
//! from NATS. This page is the map of the code; README.md is for those who run
//! it.
//!
//! # Bird's-eye view
//!
//! ```text
//!            config file ─┐
//!                         ▼
//! schedule ──► due ──► runner ──► probe ──► verdict ──► recorder ──► NATS JetStream
//!               ▲        ▲                                            ├ object store  supercheck           reports, by URL, 30 s
//!               │        │                                            ├ object store  supercheck_failures  the last failing report of each check, 7 days
//!               │        │                                            ├ KV            supercheck_kv        summaries, by check name, 24 h
//!  work queue ──┘   single flight                                     ├ stream        SUPERCHECK_HISTORY   every summary
//! SUPERCHECK_REQUESTS                                                 ├ stream        SUPERCHECK_EVENTS    every change of status
//!       ▲                                                             └ KV            supercheck_requests  each request and its one result
//!       └── `nats request supercheck.check api`  ◄── answer ──── serve
//! ```
//!
//! A value moves one way. A **trigger** starts a **run** of a **check**; the
//! run makes one **probe** of the check's **target**; the probe yields an
//! **observation**; judging it against the check's **expectations** yields a
//! **verdict**; the run becomes a **report**, which the **recorder** writes.
//! Readers read NATS, or the daemon, never the target.
//!
//! # Code map
//!
//! Layers, lowest first. A module names its own layer's modules and lower ones
//! only; the two doors never name each other.
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | ground | [`error`], [`clock`], [`line`](mod@line), [`near`], [`pulse`], [`shares`], [`tally`], [`tasks`], [`trial`] | how trouble is told; time; strangers' text made fit to show; near-miss names; whether a loop turns; fair shares of what is bounded; counts for the metrics; the one place that spawns; what tests may turn |
//! | words | [`check`], [`observation`], [`report`], [`request`] | the nouns, and their JSON |
//! | thought | [`config`], [`rollup`], [`schedule`], [`verdict`], [`window`] | pure: values in, values out; no IO, no clock |
//! | doors | [`probe`], [`store`] | one outside system each: HTTP targets; NATS |
//! | flow | [`triggers`], [`runner`], [`run`], [`recorder`], [`announcer`], [`gate`], [`maintenance`], [`worker`], [`sharing`], [`silence`], [`roller`] | the one pipeline |
//! | serve | [`serve`] | answers readers |
//! | top | [`daemon`], [`cli`] | builds, spawns, stops; what the commands print |
//!
//! Where is the thing that …
//!
//! - … decides when a check is due? [`schedule`], driven by [`triggers`].
//! - … keeps a check from overlapping itself, and bounds concurrency? [`runner`].
//! - … knows the JSON that readers see? [`report`].
//! - … understands a target's own health document? [`verdict::document`].
//! - … writes an object that foreign clients can read? [`store::write`] and
//!   [`store::object`].
//! - … keeps the newest results while NATS is away? [`recorder`].
//! - … sees a request through, exactly once? [`worker`], from [`store::queue`]
//!   into [`store::ledger`]; [`serve::desk`] answers whoever asked.
//! - … announces a change once? [`announcer`].
//! - … knows that supercheck's own network is down? [`gate`].
//! - … notices that a job no longer reports? [`silence`].
//! - … marks what happens during maintenance? [`maintenance`], by [`window`]
//!   and by flag.
//! - … makes the buckets and finds drift? [`store::buckets`].
//! - … starts the private nats-server? [`store::embedded`].
//! - … tells systemd how we are, and pings its watchdog? [`daemon`], in
//!   `daemon/notify.rs`; [`pulse`] is how it knows.
//! - … turns a mistake in the configuration into a message with its place?
//!   [`config::mistake`].
//!
//! # Invariants
//!
//! 1. The layers *words* and *thought* do no IO and ask no clock: texts, the
//!    environment and the time are handed in.
//! 2. A probe cannot fail; it observes. `Err` is for supercheck's own trouble.
//! 3. Checking never waits for storing or serving. While NATS is away runs go
//!    on, and the newest result of each check is kept and written later.
//! 4. The configuration is read, judged and complete before the first socket
//!    opens. A failed reload changes nothing.
//! 5. A check has at most one run in flight per instance. Requests known to be
//!    accepted before it began to probe share it, later ones get the next.
//! 6. A request is answered by a run that began after it was accepted, unless
//!    it allowed an older one; one result is ever recorded for its id, and it
//!    is acknowledged only after that.
//! 7. What readers see is never older than it says: every report and summary
//!    carries `checked_at`, `interval_ms` and `expires_at`.
//! 8. Every queue and buffer has a bound, a name for the bound, and a policy
//!    for when it is full.
//! 9. Every task is tracked and ends on the daemon's signal. A panic while
//!    judging one answer becomes that run's finding; any other ends the daemon
//!    with an error, never a silent half-life.
//! 10. Secrets are [`check::Secret`] from the moment they are read, and reach no
//!     log, report, object name or error.

pub mod announcer;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod error;
pub mod gate;
pub mod line;
pub mod maintenance;
pub mod near;
pub mod observation;
pub mod probe;
pub mod pulse;
pub mod recorder;
pub mod report;
pub mod request;
pub mod roller;
pub mod rollup;
pub mod run;
pub mod runner;
pub mod schedule;
pub mod serve;
pub mod shares;
pub mod sharing;
pub mod silence;
pub mod store;
pub mod tally;
pub mod tasks;
pub mod trial;
pub mod triggers;
pub mod verdict;
pub mod window;
pub mod worker;
