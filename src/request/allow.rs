//! URLs that may be asked on demand although no check is configured for them.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::check::Network;

/// What may be asked of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Allowance {
    /// A URL must match one of these.
    pub urls: Vec<UrlPattern>,
    /// Addresses that are not public are asked in these networks only.
    pub networks: Vec<Network>,
}

impl Allowance {
    /// Whether `url` may be asked; where it leads is judged by the probe.
    pub fn takes(&self, url: &Url) -> bool {
        !wanders(url.path()) && self.urls.iter().any(|pattern| pattern.matches(url))
    }
}

/// A set of URLs: `https://*.example.com/*`.
///
/// It is compared part by part, so that no URL looks like another: a `*`
/// stands for a whole host, for the names before a domain, for any port, or
/// for any part of path and query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UrlPattern {
    written: String,
    scheme: String,
    host: Host,
    /// `None` for any.
    port: Option<u16>,
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Any,
    /// Names that end so, dot included.
    Below(String),
    Is(String),
}

impl UrlPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(written: &str) -> Result<Self, String> {
        let (scheme, rest) = written
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
            .ok_or("it does not start with `https://` or `http://`")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.contains('@') {
            return Err("it holds a user or a password".to_owned());
        }
        let (host, any_port) = match authority.strip_suffix(":*") {
            Some(host) => (host, true),
            None => (authority, false),
        };
        let (below, rest) = match host.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, host),
        };
        let (any, rest) = match rest.strip_prefix('*') {
            Some(port) if !below && (port.is_empty() || port.starts_with(':')) => {
                (true, format!("any{port}"))
            }
            _ => (false, rest.to_owned()),
        };
        if rest.contains('*') {
            return Err("in a host, `*` stands at the beginning, before a dot".to_owned());
        }
        // The rest is read as URLs are, so that both are written alike.
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|error| error.to_string())?;
        let name = url.host_str().unwrap_or_default().to_owned();
        if below && !matches!(url.host(), Some(url::Host::Domain(_))) {
            return Err("in a host, `*` stands before a name".to_owned());
        }
        Ok(Self {
            written: written.to_owned(),
            scheme: scheme.to_owned(),
            host: match (any, below) {
                (true, _) => Host::Any,
                (false, true) => Host::Below(format!(".{name}")),
                (false, false) => Host::Is(name),
            },
            port: url.port_or_known_default().filter(|_| !any_port),
            path: path.to_owned(),
        })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether `url` is one of the set.
    pub fn matches(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let host_fits = match &self.host {
            Host::Any => true,
            Host::Is(name) => host == name,
            Host::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        url.scheme() == self.scheme
            && host_fits
            && (self.port.is_none() || url.port_or_known_default() == self.port)
            && fits(&self.path, &path)
    }
}

/// Whether a server may take `path` for another one, outside of a pattern's: it
/// may decode `..%2f`, and drop what stands after a `;`.
fn wanders(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split(['/', '\\'])
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .any(|segment| matches!(segment, "." | ".."))
}

/// Whether `text` is `pattern`, of which each `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        // The first place will do: what follows may be anything.
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pattern: &str, url: &str) -> bool {
        let pattern = UrlPattern::parse(pattern).unwrap();
        pattern.matches(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_pattern_takes_what_it_says() {
        for (pattern, url) in [
            ("https://*.example.com/*", "https://api.example.com/health"),
            ("https://*.example.com/*", "https://a.b.example.com/?deep=1"),
            ("https://*.example.com/*", "https://API.Example.com:443/"),
            ("https://example.com", "https://example.com/"),
            ("https://example.com:8443/*", "https://example.com:8443/x"),
            ("http://*/health", "http://anything.example/health"),
            ("http://*:*/*", "http://10.0.0.1:9/x"),
            ("http://*:8080/*", "http://x.example:8080/"),
            ("https://[2001:db8::1]:*/*", "https://[2001:db8:0::1]:4/"),
            (
                "https://example.com/*/health*",
                "https://example.com/a/b/health?x",
            ),
            ("https://bücher.example/*", "https://xn--bcher-kva.example/"),
        ] {
            assert!(taken(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn a_pattern_takes_nothing_that_only_looks_like_it() {
        for (pattern, url) in [
            ("https://*.example.com/*", "https://example.com/"),
            ("https://*.example.com/*", "https://evilexample.com/"),
            (
                "https://*.example.com/*",
                "https://evil.example/.example.com/",
            ),
            (
                "https://*.example.com/*",
                "https://a.example.com.evil.example/",
            ),
            (
                "https://*.example.com/*",
                "https://evil.example/?a.example.com/",
            ),
            (
                "https://*.example.com/*",
                "https://a.example.com@evil.example/",
            ),
            ("https://*.example.com/*", "http://a.example.com/"),
            ("https://*.example.com/*", "https://a.example.com:8443/"),
            ("https://example.com", "https://example.com/other"),
            (
                "https://example.com/health",
                "https://example.com/health?x=1",
            ),
            ("https://example.com/a*b", "https://example.com/a"),
            ("https://example.com/ab*bc", "https://example.com/abc"),
            ("http://10.0.0.1/*", "http://10.0.0.10/"),
            ("http://*:8080/*", "http://x.example/"),
        ] {
            assert!(!taken(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn a_path_that_a_server_may_take_for_another_is_not_taken() {
        let allow = Allowance {
            urls: vec![UrlPattern::parse("https://example.com/public/*").unwrap()],
            ..Allowance::default()
        };
        let takes = |url: &str| allow.takes(&Url::parse(url).unwrap());
        for path in ["a/..b/.c/d..", "a%2Fb?x=../..", "%2e%2e%2e/a;b", "a//b"] {
            assert!(
                takes(&format!("https://example.com/public/{path}")),
                "{path}"
            );
        }
        for path in [
            "../admin",
            "%2e%2E/admin",
            "..%2fadmin",
            "x%2f..%2F..%2fadmin",
            "..%5Cadmin",
            "..;/admin",
            "..;x=1/admin",
            "%2e%2e;/admin",
        ] {
            assert!(
                !takes(&format!("https://example.com/public/{path}")),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_why() {
        for (pattern, why) in [
            ("*.example.com", "https://"),
            ("ftp://example.com/*", "https://"),
            ("https://user:pw@example.com/*", "password"),
            ("https://exa*mple.com/*", "beginning"),
            ("https://*example.com/*", "beginning"),
            ("https://*.*.example.com/*", "beginning"),
            ("https://*.10.0.0.1/*", "name"),
            ("https:///*", "empty host"),
            ("https://*.com:x/*", "port"),
        ] {
            let error = UrlPattern::parse(pattern).unwrap_err();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }
}
