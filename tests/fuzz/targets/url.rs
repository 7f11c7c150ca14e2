//! What strangers may have asked: whatever the pattern, the network and the URL,
//! what is let through is what the pattern says, and no address of ours.

#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use supercheck::{
    check::Network,
    probe::guard,
    request::{Allowance, Ask, UrlPattern, What},
    worker::visit,
};
use url::{Host, Url};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (written, network, url, location) = (line(), line(), line(), line());
    let Ok(pattern) = UrlPattern::parse(written) else {
        return;
    };
    let network: Option<Network> = network.parse().ok();
    let allow = Arc::new(Allowance {
        urls: vec![pattern],
        networks: network.into_iter().collect(),
    });
    // As it comes from the queue.
    let body = json!({"url": url}).to_string();
    let Ok(Ask {
        what: Some(What::Url(url)),
        ..
    }) = Ask::parse(body.as_bytes())
    else {
        return;
    };
    let Ok(check) = visit(&url, &allow) else {
        return;
    };
    let url = &check.target.url;
    is_as_written(written, url);
    assert_eq!((url.username(), url.password()), ("", None), "{url}");
    // The report is named by what is asked.
    assert_eq!(Url::parse(&check.object).as_ref(), Ok(url));
    is_let_through_rightly(url, written, &allow);
    if let Ok(next) = url.join(location) {
        is_let_through_rightly(&next, written, &allow);
    }
});

/// If `url` may be asked, it is one of the pattern's, and not at an address that
/// is plainly ours.
fn is_let_through_rightly(url: &Url, written: &str, allow: &Allowance) {
    if guard::place(url, allow).is_err() {
        return;
    }
    is_as_written(written, url);
    assert!(!url.path().to_lowercase().contains("/..%2f"), "{url}");
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) => {
            // What looks like an address would be taken for one by others.
            assert!(name.parse::<IpAddr>().is_err(), "{url}");
            return;
        }
        None => panic!("{url} has no host"),
    };
    let opened = |address| allow.networks.iter().any(|it| it.contains(address));
    let inner = match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => address.to_ipv4(),
    };
    if opened(address) || inner.is_some_and(|inner| opened(inner.into())) {
        return;
    }
    assert!(!inner.is_some_and(is_ours), "{url}");
    assert!(!address.is_loopback() && !address.is_unspecified(), "{url}");
    assert!(!address.is_multicast(), "{url}");
    if let IpAddr::V6(address) = address {
        assert!(!address.is_unique_local(), "{url}");
        assert!(!address.is_unicast_link_local(), "{url}");
    }
}

fn is_ours(address: Ipv4Addr) -> bool {
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
}

/// The scheme and the host are those that the pattern has in writing.
fn is_as_written(written: &str, url: &Url) {
    let (scheme, rest) = written.split_once("://").unwrap_or_default();
    assert_eq!(url.scheme(), scheme, "{written} {url}");
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.strip_suffix(":*").unwrap_or(authority);
    if host.starts_with("*.") {
        let known = Url::parse(&format!("{scheme}://{}", host.trim_start_matches("*.")));
        let end = format!(".{}", known.unwrap().host_str().unwrap());
        assert!(url.host_str().unwrap().ends_with(&end), "{written} {url}");
    } else if !host.starts_with('*') {
        let known = Url::parse(&format!("{scheme}://{host}")).unwrap();
        assert_eq!(url.host(), known.host(), "{written} {url}");
        if !authority.ends_with(":*") {
            let port = known.port_or_known_default();
            assert_eq!(url.port_or_known_default(), port, "{written} {url}");
        }
    }
}
