//! What becomes of a check: what it inherits, and the names and URLs that
//! readers see.

use super::*;
use crate::check::{Severity, Thresholds};

/// The first check of `text`.
fn check(text: &str, env: Env<'_>) -> Arc<Check> {
    Arc::clone(&config(text, env).checks[0])
}

#[test]
fn a_check_inherits_what_it_does_not_say() {
    let defaults = "[defaults]\ninterval = \"20s\"\ntimeout = \"4s\"\nfail_after = 2\n\
        recover_after = 3\nmax_redirects = 0\nmax_body = \"2kB\"\nmax_latency = \"1s\"\n\
        group = \"shop\"\ntags = [\"eu\"]\nheaders = { X-Team = \"ops\", Accept = \"text/plain\" }\n\n";
    let own = "interval = \"30s\"\ntimeout = \"5s\"\nfail_after = 4\nrecover_after = 5\n\
        max_redirects = 1\nmax_body = 1\nmax_latency = \"2s\"\ngroup = \"own\"\ntags = []\n\
        headers = { accept = \"*/*\" }\n";
    let said = |check: &Check| {
        let headers: Vec<_> = check
            .target
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.reveal()))
            .collect();
        let seconds = |duration: Duration| duration.as_secs();
        let Thresholds {
            fail_after,
            recover_after,
        } = check.thresholds;
        format!(
            "{} {} {fail_after} {recover_after} {} {} {:?} {:?} {:?} {headers:?}",
            seconds(check.interval),
            seconds(check.timeout),
            check.target.max_redirects,
            check.target.max_body,
            check.rules.max_latency.map(seconds),
            check.group,
            check.tags,
        )
    };
    let inherited = check(&format!("{defaults}{API}"), &[]);
    assert_eq!(
        said(&inherited),
        r#"20 4 2 3 0 2000 Some(1) Some("shop") ["eu"] ["Accept: text/plain", "X-Team: ops"]"#
    );
    let overridden = check(&format!("{defaults}{API}{own}"), &[]);
    assert_eq!(
        said(&overridden),
        r#"30 5 4 5 1 1 Some(2) Some("own") [] ["X-Team: ops", "accept: */*"]"#
    );
}

#[test]
fn many_attempts_bring_a_short_timeout_with_them() {
    for (more, timeout) in [
        ("attempts = 2", 3000),
        ("attempts = 3", 2333),
        ("attempts = 4\nattempt_delay = \"2s\"", 500),
        (
            "attempts = 3\nattempt_delay = \"0s\"\ntimeout = \"3300ms\"",
            3300,
        ),
    ] {
        let found = check(&format!("{API}{more}"), &[]).timeout;
        assert_eq!(found.as_millis(), timeout, "{more}");
    }
}

#[test]
fn what_may_not_be_done_twice_is_sent_again_only_where_its_check_says_so() {
    for (more, attempts) in [
        ("", 3),
        ("method = \"put\"", 3),
        ("method = \"post\"", 1),
        ("method = \"PATCH\"", 1),
        ("method = \"POST\"\nattempts = 2", 2),
    ] {
        let text = format!("[defaults]\nattempts = 3\n{API}{more}");
        assert_eq!(check(&text, &[]).attempts.most, attempts, "{more}");
    }
}

#[test]
fn a_short_interval_brings_a_short_timeout_with_it() {
    for (more, timeout) in [
        ("", 3000),
        ("interval = \"1m\"", 3000),
        ("interval = \"2s\"", 1600),
        ("interval = \"100ms\"", 80),
        ("interval = \"2s\"\ntimeout = \"1900ms\"", 1900),
    ] {
        let found = check(&format!("{API}{more}"), &[]).timeout;
        assert_eq!(found, Duration::from_millis(timeout), "{more}");
    }
}

#[test]
fn sizes_have_units() {
    for (size, bytes) in [
        ("0", 0),
        ("65536", 65_536),
        ("\"65536\"", 65_536),
        ("\"7 B\"", 7),
        ("\"2kB\"", 2_000),
        ("\"2 KB\"", 2_000),
        ("\"2KiB\"", 2_048),
        ("\"3MB\"", 3_000_000),
        ("\" 3 MiB \"", 3_145_728),
        ("\"4GB\"", 4_000_000_000),
        ("\"4GiB\"", 4_294_967_296),
        ("\"5TB\"", 5_000_000_000_000),
        ("\"5TiB\"", 5_497_558_138_880),
        ("9223372036854775807", i64::MAX.cast_unsigned()),
    ] {
        let nats = config(&format!("[nats]\nmax_store = {size}\n"), &[]).nats;
        assert_eq!(nats.max_store, Some(bytes), "{size}");
    }
    for bad in [
        "-1",
        "1.5",
        "\"\"",
        "\"KiB\"",
        "\"1 kib\"",
        "\"9223372036854775808\"",
        "\"9999999999GiB\"",
    ] {
        let text = format!("[nats]\nmax_store = {bad}\n");
        assert!(load_text(&text, &[]).is_err(), "{bad}");
    }
}

#[test]
fn an_unmet_expectation_fails_unless_it_says_warn() {
    for (expect, severity) in [
        ("'true'", Severity::Fail),
        ("{ cel = 'true' }", Severity::Fail),
        ("{ cel = 'true', severity = \"fail\" }", Severity::Fail),
        ("{ cel = 'true', severity = \"warn\" }", Severity::Warn),
    ] {
        let rules = &check(&format!("{API}expect = [{expect}]"), &[]).rules;
        assert_eq!(rules.expect[0].severity, severity, "{expect}");
    }
}

#[test]
fn a_mistake_does_not_bring_others_with_it() {
    for text in [
        // The default interval stands in for one that was not understood.
        format!("{API}interval = 60\ntimeout = \"20s\""),
        format!("{API}interval = \"${{env:NOT_SET}}\"\ntimeout = \"20s\""),
        format!("{API}interval = 60x\ntimeout = \"20s\""),
        format!("[defaults]\ninterval = 60\n{API}timeout = \"20s\""),
        format!("[defaults]\ntimeout = 1\n{API}interval = \"1s\""),
        API.replace("https://api.example.com/health", "${env:NOT_SET}"),
        API.replace("\"api\"", "\"${env:NOT_SET}\""),
        format!("{API}object = 5").replace("https://", "https://u:p@"),
        format!("{API}tags = [\"${{env:NOT_SET}}\"]"),
        format!("{API}expect = ['${{env:NOT_SET}}']"),
        format!("{API}status = [\"${{env:NOT_SET}}\"]"),
        format!("{API}headers = {{ X-Key = \"${{env:NOT_SET}}\" }}"),
    ] {
        let mistakes = load_text(&text, &[]).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes}\nfor:\n{text}");
    }
}

#[test]
fn each_check_is_told_of_its_own_timeout() {
    let two = format!(
        "{API}timeout = \"20s\"\n{}timeout = \"20s\"\n",
        API.replace("api", "b")
    );
    for defaults in ["", "[defaults]\ninterval = \"12s\"\n"] {
        let mistakes = load_text(&format!("{defaults}{two}"), &[]).unwrap_err();
        assert_eq!(mistakes.len(), 2, "{mistakes}");
    }
}

#[test]
fn two_mistakes_of_one_check_are_both_told() {
    let text = format!("{API}{}", API.replace("https", "ftp"));
    let said = load_text(&text, &[]).unwrap_err().to_string();
    assert!(said.contains("a second check is named `api`"), "{said}");
    assert!(said.contains("cannot probe `ftp` URLs"), "{said}");
}

#[test]
fn the_report_is_named_by_the_url_as_written() {
    let env: Env<'_> = &[("KEY", "k"), ("HOST", "h.example.com")];
    for (url, object, shown) in [
        (
            "https://api.example.com",
            "https://api.example.com",
            "https://api.example.com",
        ),
        (
            "HTTPS://API.example.com/A?b#c",
            "HTTPS://API.example.com/A?b#c",
            "HTTPS://API.example.com/A?b#c",
        ),
        (
            "https://bücher.example/ä",
            "https://xn--bcher-kva.example/%C3%A4",
            "https://xn--bcher-kva.example/%C3%A4",
        ),
        (
            "https://api.example.com/a b",
            "https://api.example.com/a%20b",
            "https://api.example.com/a%20b",
        ),
        (
            "https://api.example.com/$${x}",
            "https://api.example.com/${x}",
            "https://api.example.com/${x}",
        ),
    ] {
        let check = check(
            &format!("[[check]]\nname = \"api\"\nurl = \"{url}\"\n"),
            env,
        );
        assert_eq!(
            (&*check.object, &*check.shown_url),
            (object, shown),
            "{url}"
        );
    }
    for (url, shown) in [
        ("https://u:p@api.example.com/x", "https://api.example.com/x"),
        (
            "https://api.example.com/?key=${env:KEY}",
            "https://api.example.com/?key=***",
        ),
        ("https://${env:HOST}/health", "https://***/health"),
        ("https://h.example.com:${env:PORT:-80}/", "https://***"),
        ("${env:URL:-http://h.example.com}", "http://***"),
    ] {
        let text = format!("[[check]]\nname = \"api\"\nobject = \"o\"\nurl = \"{url}\"\n");
        let check = check(&text, env);
        assert_eq!((&*check.object, &*check.shown_url), ("o", shown), "{url}");
    }
}

#[test]
fn a_long_interval_is_worth_a_word() {
    let loaded = load_text(&format!("{API}interval = \"1m\"\n"), &[]).unwrap();
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = "supercheck.toml:4:12: warning: the report of `api` is absent for part of each interval\n  \
        |\n4 | interval = \"1m\"\n  |            ^^^^\nhint: make `interval` shorter than \
        `store.object_ttl` (30s unless set); the summary serves it all the time";
    assert_eq!(warnings, [expected]);
    let more = API.replace("api", "shop");
    let more = format!("[defaults]\ninterval = \"1m\"\n{API}{more}");
    let warnings = load_text(&more, &[]).unwrap().warnings;
    let [warning] = &*warnings else {
        panic!("{warnings:?}");
    };
    let said = "the reports of `api` and 1 more are absent for part of each interval";
    assert!(warning.to_string().contains(said), "{warning}");
    let longer = format!("[store]\nobject_ttl = \"2m\"\n{API}interval = \"1m\"\n");
    assert_eq!(load_text(&longer, &[]).unwrap().warnings, []);
}

#[test]
fn checks_of_included_files_join_the_others() {
    let shop = API.replace("api", "shop");
    let loaded = load_files(
        &[
            (
                "etc/supercheck.toml",
                &format!("[defaults]\ngroup = \"g\"\n{API}"),
            ),
            ("etc/conf.d/10-shop.toml", &shop),
            (
                "etc/conf.d/20-night.toml",
                "[[maintenance]]\nchecks = [\"shop\"]\nschedule = \"0 2 * * *\"\nduration = \"1h\"",
            ),
            ("etc/conf.d/25-empty.toml", ""),
            ("etc/conf.d/30-ignored.toml.bak", "not read"),
        ],
        &[("SUPERCHECK_CHECK__SHOP__INTERVAL", "5s")],
    )
    .unwrap();
    let checks = &loaded.config.checks;
    let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["api", "shop"]);
    assert_eq!(checks[1].group.as_deref(), Some("g"));
    assert_eq!(checks[1].interval, Duration::from_secs(5));
    assert_eq!(loaded.config.maintenance[0].selector.checks, ["shop"]);
    assert_eq!(loaded.files.len(), 4);
    let alone = load_files(&[("supercheck.toml", ""), ("conf.d/a.toml", API)], &[]).unwrap();
    assert_eq!(alone.config.checks.len(), 1);
}

#[test]
fn an_unreadable_include_is_a_mistake() {
    let sources = |list: &dyn Fn(&Path) -> io::Result<Vec<PathBuf>>| {
        load(&Sources {
            main: Some((PathBuf::from("supercheck.toml"), API.to_owned())),
            env: &BTreeMap::new(),
            read: &|_| Err(io::Error::other("disk on fire")),
            list,
        })
        .unwrap_err()
        .to_string()
    };
    let hint = "hint: the user that supercheck runs as must be able to read it";
    let count = "1 mistake in the configuration; nothing was started";
    assert_eq!(
        sources(&|_| Ok(vec![PathBuf::from("conf.d/a.toml")])),
        format!("error: open `conf.d/a.toml`: disk on fire\n{hint}\n\n{count}")
    );
    assert_eq!(
        sources(&|_| Err(io::Error::other("disk on fire"))),
        format!("error: list `conf.d`: disk on fire\n{hint}\n\n{count}")
    );
}

#[test]
fn references_are_replaced() {
    let files = |token: &'static str| {
        [
            (
                "etc/supercheck.toml",
                "[nats]\ntoken = \"${file:token}${env:X:-}${env:Y:-y}$${z}\"\n",
            ),
            ("etc/token", token),
            ("run/token", "credential\n\n"),
        ]
    };
    let token = |token, env: Env<'_>| {
        let config = load_files(&files(token), env).unwrap().config;
        config.nats.token.unwrap().reveal().to_owned()
    };
    assert_eq!(token("t\r\n", &[]), "ty${z}");
    assert_eq!(
        token(" t ", &[("X", "${env:Y}"), ("Y", "")]),
        " t ${env:Y}${z}"
    );
    assert_eq!(
        token("t", &[("CREDENTIALS_DIRECTORY", "run")]),
        "credentialy${z}"
    );
}

#[test]
fn a_url_alone_makes_a_check() {
    for (url, name, shown) in [
        (
            "https://API.example.com:8443/x",
            "api-example-com",
            "https://API.example.com:8443/x",
        ),
        ("http://u:p@127.0.0.1/", "127-0-0-1", "http://127.0.0.1/"),
        (
            "http://u:p@bücher.example/",
            "xn--bcher-kva-example",
            "http://xn--bcher-kva.example/",
        ),
        ("http://[::1]/", "1", "http://[::1]/"),
        ("http://[::]/", "url", "http://[::]/"),
    ] {
        let check = ad_hoc(url).unwrap();
        assert_eq!(check.name.as_str(), name, "{url}");
        assert_eq!((&*check.shown_url, &*check.object), (shown, shown));
    }
    let long = format!("http://{}.example.com", "x".repeat(63));
    assert_eq!(ad_hoc(&long).unwrap().name.as_str(), "x".repeat(63));
    for bad in [
        "ftp://u:hunter2@x",
        "hunter2@x://",
        "http://u:hunter2@x:port",
    ] {
        let said = ad_hoc(bad).unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
    }
}
