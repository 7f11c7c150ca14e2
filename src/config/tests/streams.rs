//! The bounds of what is kept in NATS.

use super::*;
use crate::store::wanted::wanted;

/// What is kept when `text` is all that is said of it.
fn store(text: &str) -> StoreSettings {
    config(text, &[]).store
}

#[test]
fn every_bound_is_read() {
    let set = store(
        "[requests]\nmax_waiting = 7\nmax_bytes = \"2MiB\"\nkeep = \"3m\"\nkeep_bytes = \"4MB\"\n\
         [history]\nenabled = false\nmax_age = \"1day\"\nmax_bytes = \"2TB\"\nmax_per_check = 9\n",
    );
    let requests = Requests {
        max_waiting: 7,
        max_bytes: 2 << 20,
        keep: Duration::from_secs(180),
        keep_bytes: 4_000_000,
        allow: Arc::default(),
        set: true,
    };
    let history = History {
        enabled: false,
        max_age: Duration::from_secs(86_400),
        max_bytes: 2_000_000_000_000,
        max_per_check: 9,
        set: true,
    };
    let expected = StoreSettings {
        requests,
        history,
        ..StoreSettings::default()
    };
    assert_eq!(set, expected);
    assert_eq!(store(API), StoreSettings::default());
}

/// What was set changes a stream that exists; what was not leaves it alone.
#[test]
fn each_bound_counts_as_set_though_it_is_the_default() {
    for (section, setting, set) in [
        ("requests", "", [false, false]),
        ("requests", "max_waiting = 100000", [true, false]),
        ("requests", "max_bytes = \"64MiB\"", [true, false]),
        ("requests", "keep = \"1h\"", [true, false]),
        ("requests", "keep_bytes = \"256MiB\"", [true, false]),
        ("history", "", [false, false]),
        ("history", "enabled = true", [false, false]),
        ("history", "enabled = false", [false, false]),
        ("history", "max_age = \"7days\"", [false, true]),
        ("history", "max_bytes = \"1GiB\"", [false, true]),
        ("history", "max_per_check = 100000", [false, true]),
    ] {
        let store = store(&format!("[{section}]\n{setting}\n"));
        let found = [store.requests.set, store.history.set];
        assert_eq!(found, set, "[{section}] {setting}");
        let variable = setting.split_once(" = ").map(|(name, value)| {
            let name = format!("SUPERCHECK_{section}__{name}").to_uppercase();
            (name, value.trim_matches('"').to_owned())
        });
        if let Some((name, value)) = variable {
            let by_variable = config("", &[(&name, &value)]).store;
            assert_eq!(by_variable, store, "{name}");
        }
    }
}

#[test]
fn bounds_are_taken_up_to_their_ends_and_not_beyond() {
    for (section, name, good, bad) in [
        (
            "requests",
            "max_waiting",
            ["1", "10000000"],
            ["0", "10000001"],
        ),
        (
            "requests",
            "max_bytes",
            ["1048576", "\"1024TiB\""],
            ["1048575", "\"1025TiB\""],
        ),
        (
            "requests",
            "keep",
            ["\"2m\"", "\"9years\""],
            ["\"119s\"", "\"11years\""],
        ),
        (
            "requests",
            "keep_bytes",
            ["\"1MiB\"", "\"1TB\""],
            ["0", "\"2000TB\""],
        ),
        (
            "history",
            "max_age",
            ["\"2m\"", "\"9years\""],
            ["\"0s\"", "\"11years\""],
        ),
        (
            "history",
            "max_bytes",
            ["\"1MiB\"", "\"1TiB\""],
            ["\"1MB\"", "-1"],
        ),
        (
            "history",
            "max_per_check",
            ["1", "1000000000"],
            ["-1", "1000000001"],
        ),
    ] {
        let text = |value| format!("[{section}]\n{name} = {value}\n");
        for value in good {
            store(&text(value));
        }
        for value in bad {
            let mistakes = load_text(&text(value), &[]).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{mistakes}");
        }
    }
}

#[test]
fn a_mistake_in_a_bound_names_the_variable() {
    let said = printed(API, &[("SUPERCHECK_HISTORY__MAX_BYTES", "0")]);
    let expected = "SUPERCHECK_HISTORY__MAX_BYTES: error: `max_bytes` leaves no room for a large \
        message\nhint: make it `1MiB` or more; `enabled = false` keeps no history\n\n\
        1 mistake in the environment; nothing was started";
    assert_eq!(said, expected);
}

/// NATS refuses a stream that forgets a message before its duplicate.
#[test]
fn the_shortest_times_are_not_shorter_than_the_duplicate_window() {
    let least = store("[requests]\nkeep = \"2m\"\n[history]\nmax_age = \"2m\"\n");
    for stream in wanted(&least) {
        let config = stream.config;
        let unlimited = config.max_age.is_zero();
        assert!(
            unlimited || config.duplicate_window <= config.max_age,
            "{}",
            config.name
        );
    }
}
