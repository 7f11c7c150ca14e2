//! Who gets in.

use std::time::Duration;

use axum::http::HeaderName;

use super::*;

fn guard(token: Option<&str>, read_token: Option<&str>, loopback: bool) -> Guard {
    named(&[], token, read_token, loopback)
}

fn named(hosts: &[&str], token: Option<&str>, read_token: Option<&str>, loopback: bool) -> Guard {
    let http = Http {
        listen: None,
        hosts: hosts.iter().map(ToString::to_string).collect(),
        drain: Duration::ZERO,
        token: token.map(Secret::new),
        read_token: read_token.map(Secret::new),
        tls_cert: None,
        tls_key: None,
    };
    Guard::new(&http, loopback)
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), value.parse().unwrap())
    };
    pairs.iter().map(pair).collect()
}

#[test]
fn on_loopback_only_programs_and_our_own_page_may_change() {
    let open = guard(None, None, true);
    let host = ("host", "127.0.0.1:8080");
    for good in [
        &[host][..],
        &[("host", "localhost:8080")],
        &[("host", "[::1]:8080")],
        &[
            host,
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "same-origin"),
        ],
    ] {
        assert!(open.may_change(&headers(good)).is_ok(), "{good:?}");
    }
    for bad in [
        &[][..],
        &[("host", "evil.example:8080")],
        &[("host", "127.0.0.1.evil.example")],
        &[("host", "localhost.evil.example:8080")],
        &[host, ("origin", "http://evil.example")],
        &[host, ("origin", "http://127.0.0.1:9090")],
        &[host, ("origin", "null")],
        &[host, ("sec-fetch-site", "cross-site")],
        &[host, ("sec-fetch-site", "same-site")],
        &[host, ("x-forwarded-for", "192.0.2.1")],
    ] {
        assert!(open.may_change(&headers(bad)).is_err(), "{bad:?}");
    }
    assert!(
        guard(None, None, false)
            .may_change(&headers(&[host]))
            .is_err()
    );
}

#[test]
fn a_token_must_be_presented_whole_and_by_who_knows_it() {
    let guarded = guard(Some("secret"), None, true);
    let with = |value: &str| headers(&[("host", "127.0.0.1"), ("authorization", value)]);
    assert!(guarded.may_change(&with("Bearer secret")).is_ok());
    assert!(guarded.may_change(&with("bearer secret")).is_ok());
    // `:secret`, as a browser would send it for any page.
    for bad in [
        "Bearer secre",
        "Bearer secret2",
        "Bearer",
        "Basic OnNlY3JldA==",
    ] {
        assert!(guarded.may_change(&with(bad)).is_err(), "{bad}");
    }
    assert!(
        guarded
            .may_change(&headers(&[("host", "127.0.0.1")]))
            .is_err()
    );
    assert!(guarded.may_read("/", &HeaderMap::new()).is_ok());
}

#[test]
fn either_token_reads_and_the_probes_are_open() {
    let guarded = guard(Some("run"), Some("look"), false);
    let with = |value: &str| headers(&[("authorization", value)]);
    for good in [
        "Bearer look",
        "Bearer run",
        "Basic Omxvb2s=",
        "Basic YWJjOnJ1bg==",
    ] {
        assert!(guarded.may_read("/", &with(good)).is_ok(), "{good}");
    }
    for bad in ["Bearer x", "Basic !", "Basic OmxvbA==", "Digest look"] {
        assert!(guarded.may_read("/metrics", &with(bad)).is_err(), "{bad}");
    }
    assert!(guarded.may_read("/readyz", &HeaderMap::new()).is_ok());
    assert!(guarded.may_change(&with("Bearer look")).is_err());
}

#[test]
fn a_name_that_leads_here_is_not_enough_to_read() {
    let reads = |guard: &Guard, host: &str| guard.may_read("/", &headers(&[("host", host)]));
    let local = guard(None, None, true);
    for good in ["127.0.0.1:8080", "[::1]:8080", "localhost", "10.0.0.1"] {
        assert!(reads(&local, good).is_ok(), "{good}");
    }
    for bad in ["evil.example:8080", "127.0.0.1.evil.example", "a b", ""] {
        assert!(reads(&local, bad).is_err(), "{bad}");
    }
    assert!(local.may_read("/", &HeaderMap::new()).is_ok());
    let evil = headers(&[("host", "evil.example")]);
    assert!(local.may_read("/readyz", &evil).is_ok());
    let proxied = named(&["status.example.com"], None, None, true);
    assert!(reads(&proxied, "Status.Example.com:443").is_ok());
    assert!(reads(&proxied, "evil.example").is_err());
    // It guards the network too, where it is set.
    assert!(reads(&named(&["a.example"], None, None, false), "b.example").is_err());
    assert!(reads(&guard(None, None, false), "b.example").is_ok());
    let denied = reads(&guard(None, Some("look"), true), "b.example");
    assert_eq!(denied.unwrap_err().status(), StatusCode::UNAUTHORIZED);
}
