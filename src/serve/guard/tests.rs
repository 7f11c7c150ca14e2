//! Who gets in.

use axum::http::HeaderName;

use super::*;

fn guard(token: Option<&str>, read_token: Option<&str>, loopback: bool) -> Guard {
    let http = Http {
        listen: None,
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
