//! What a reload would change.

use super::*;

/// The names of checks that were added, changed and removed, and the sections
/// for which a restart is needed.
fn changes(old: &str, new: &str) -> [Vec<String>; 4] {
    let changes = diff(&config(old, &[]), &config(new, &[]));
    let names = |names: &[CheckName]| names.iter().map(ToString::to_string).collect();
    let restart = changes.restart.iter().map(ToString::to_string).collect();
    [
        names(&changes.added),
        names(&changes.changed),
        names(&changes.removed),
        restart,
    ]
}

fn check(name: &str, more: &str) -> String {
    format!("[[check]]\nname = \"{name}\"\nurl = \"https://{name}.example.com\"\n{more}\n")
}

#[test]
fn the_same_is_no_change_however_it_is_written() {
    let old = check("api", "interval = \"60s\"") + &check("search", "");
    let new = check("search", "method = \"get\"") + &check("api", "interval = \"1m\"");
    assert_eq!(
        diff(&config(&old, &[]), &config(&new, &[])),
        Changes::default()
    );
}

#[test]
fn checks_are_added_changed_and_removed() {
    let old = check("api", "") + &check("billing", "") + &check("search", "");
    let new = check("api", "") + &check("search", "fail_after = 2") + &check("shop", "");
    let none = Vec::<String>::new();
    let expected = [
        vec!["shop".to_owned()],
        vec!["search".to_owned()],
        vec!["billing".to_owned()],
        none,
    ];
    assert_eq!(changes(&old, &new), expected);
}

#[test]
fn every_part_of_a_check_counts() {
    for more in [
        "interval = \"9s\"",
        "timeout = \"2s\"",
        "method = \"HEAD\"",
        "headers = { Authorization = \"one\" }",
        "body = \"one\"",
        "object = \"one\"",
        "group = \"one\"",
        "tags = [\"one\"]",
        "status = [204]",
        "max_latency = \"1s\"",
        "json = true",
        "expect = ['status == 200']",
        "fail_after = 2",
        "recover_after = 2",
        "max_redirects = 0",
        "max_body = 1",
    ] {
        let [added, changed, removed, restart] = changes(&check("api", ""), &check("api", more));
        assert_eq!(changed, ["api"], "{more}");
        assert_eq!(
            [added, removed, restart],
            [vec![], vec![], vec![]] as [Vec<String>; 3],
            "{more}"
        );
    }
    let secret = |text| {
        check(
            "api",
            &format!("headers = {{ Authorization = \"{text}\" }}"),
        )
    };
    assert_eq!(
        changes(&secret("one"), &secret("two"))[1],
        ["api"],
        "a secret counts too"
    );
}

#[test]
fn defaults_change_the_checks_that_inherit_them() {
    let own = check("api", "interval = \"10s\"") + &check("search", "");
    let new = format!("[defaults]\ninterval = \"9s\"\n{own}");
    assert_eq!(changes(&own, &new)[1], ["search"]);
}

#[test]
fn everything_but_checks_needs_a_restart() {
    for (section, setting) in [
        ("nats", "url = \"nats://a:4222\""),
        ("nats", "token = \"a\""),
        ("http", "listen = \"\""),
        ("http", "token = \"a\""),
        ("log", "filter = \"debug\""),
        ("scheduler", "concurrency = 1"),
        ("store", "replicas = 3"),
        ("store", "kv_ttl = \"1day\""),
        ("requests", "max_waiting = 1"),
        ("requests", "keep = \"1h\""),
        ("history", "enabled = false"),
        ("history", "max_age = \"1day\""),
    ] {
        let [added, changed, removed, restart] =
            changes(API, &format!("[{section}]\n{setting}\n{API}"));
        assert_eq!(restart, [section], "{setting}");
        assert_eq!(
            [added, changed, removed],
            [vec![], vec![], vec![]] as [Vec<String>; 3],
            "{setting}"
        );
    }
}
