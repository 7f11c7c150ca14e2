//! The role file against the list, and refusals against the lines they need.

use std::collections::BTreeSet;

use super::*;

const DAEMON: &str = include_str!("../../../deploy/nats/daemon.conf");

/// Everything that is kept, and every way to use it.
fn settings() -> StoreSettings {
    let sources = crate::config::Sources {
        main: Some((
            "supercheck.toml".into(),
            "[scheduler]\nmode = \"shared\"".to_owned(),
        )),
        env: &std::collections::BTreeMap::new(),
        read: &|_| Ok(String::new()),
        list: &|_| Ok(Vec::new()),
    };
    crate::config::load(&sources).unwrap().config.store
}

fn quoted(text: &str) -> BTreeSet<String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines
        .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix('"'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_daemons_role_file_has_what_it_needs_and_no_more() {
    let needed = needed(&settings());
    let (publish, subscribe) = DAEMON.split_once("subscribe:").unwrap();
    let mut wanted: BTreeSet<_> = needed.subscribe.into_iter().collect();
    wanted.insert("_INBOX_supercheck.>".to_owned());
    assert_eq!(quoted(subscribe), wanted);
    let wanted: BTreeSet<_> = needed.publish.into_iter().collect();
    let found = quoted(publish);
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(missing.is_empty(), "add these lines: {missing:#?}");
    // What more there is concerns what may be kept, and no wider pattern.
    for line in found.difference(&wanted) {
        assert!(line.contains("supercheck_maintenance"), "{line}");
    }
}

#[test]
fn a_refusal_leads_to_the_line_that_is_missing() {
    let line = |refusal: &str| line(refusal, &settings()).unwrap_or_default();
    let publish = line("Permissions Violation for Publish to \"supercheck.history._doctor\"");
    assert!(
        publish.starts_with("add \"supercheck.history.*\" to `publish: { allow: [...] }`"),
        "{publish}"
    );
    let api = line(
        "Permissions Violation for Publish to \"$JS.API.DIRECT.GET.KV_supercheck_kv.$KV.supercheck_kv.api\"",
    );
    assert!(
        api.contains("\"$JS.API.DIRECT.GET.KV_supercheck_kv.>\""),
        "{api}"
    );
    let inbox = line("Permissions Violation for Subscription to \"_INBOX.abc.*\"");
    assert!(inbox.contains("add \"_INBOX.>\" to `subscribe:"), "{inbox}");
    let asker = line("Permissions Violation for Publish to \"_INBOX_other.abc.def\"");
    assert!(
        asker.contains("add \"_INBOX_other.>\" to `publish:"),
        "{asker}"
    );
    assert_eq!(line("Authorization Violation"), "");
}
