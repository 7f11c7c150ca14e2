//! Where nobody but the operator may have asked: URLs that he did not name, and
//! addresses of this host, of its networks, and of the cloud's own services.
//!
//! The address that is judged is the one that is dialled: names are judged
//! when they are looked up, addresses in URLs at every hop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use super::redirect;
use crate::{check::Network, observation::Failure, request::Allowance};

/// Judges a URL and where it leads, as far as it tells; names are judged later.
///
/// # Errors
/// When it may not be asked: why.
pub fn place(url: &Url, allowed: &Allowance) -> Result<(), Failure> {
    if !allowed.takes(url) {
        let shown = redirect::shown(url);
        return Err(Failure::Forbidden(format!(
            "it leads to `{shown}`, which `requests.allow_urls` does not name"
        )));
    }
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse().ok();
    match address.and_then(|address| refused(address, &allowed.networks)) {
        None => Ok(()),
        Some(why) => Err(Failure::Forbidden(said(why))),
    }
}

/// A refusal, for a person. It names no address: whoever asks need not learn
/// what names lead to in here.
pub(super) fn said(why: &str) -> String {
    format!("it leads to {why}, which only configured checks may ask")
}

/// Why `address` is not asked, unless one of the `allowed` networks has it.
pub(super) fn refused(address: IpAddr, allowed: &[Network]) -> Option<&'static str> {
    let inner = embedded(address);
    if [Some(address), inner]
        .into_iter()
        .flatten()
        .any(|address| allowed.iter().any(|network| network.contains(address)))
    {
        return None;
    }
    match (inner, address) {
        (Some(IpAddr::V4(inner)), _) | (None, IpAddr::V4(inner)) => v4(inner),
        (Some(IpAddr::V6(address)), _) | (None, IpAddr::V6(address)) => v6(address),
    }
}

/// The address that a gateway makes of one that has another in it.
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let bits = u32::from(high) << 16 | u32::from(low);
        Some(IpAddr::V4(Ipv4Addr::from(bits)))
    };
    match [a, b, c, d, e, f] {
        // `::` and `::1` are what they are.
        [0, 0, 0, 0, 0, 0] if g != 0 => v4(g, h),
        // Mapped, translated, and NAT64.
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        // 6to4.
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

/// The networks of version 4 that are not public, and what they are.
const NOT_PUBLIC: [(Network, &str); 17] = [
    (network([0, 0, 0, 0], 8), "this host"),
    (network([10, 0, 0, 0], 8), PRIVATE),
    (network([100, 64, 0, 0], 10), PRIVATE),
    (network([127, 0, 0, 0], 8), "this host"),
    (network([168, 63, 129, 16], 32), "the cloud's own service"),
    (network([169, 254, 0, 0], 16), LINK_LOCAL),
    (network([172, 16, 0, 0], 12), PRIVATE),
    (network([192, 0, 0, 0], 24), RESERVED),
    (network([192, 0, 2, 0], 24), DOCUMENTATION),
    (network([192, 88, 99, 0], 24), RESERVED),
    (network([192, 168, 0, 0], 16), PRIVATE),
    (network([198, 18, 0, 0], 15), RESERVED),
    (network([198, 51, 100, 0], 24), DOCUMENTATION),
    (network([203, 0, 113, 0], 24), DOCUMENTATION),
    (network([224, 0, 0, 0], 4), MULTICAST),
    (network([255, 255, 255, 255], 32), MULTICAST),
    (network([240, 0, 0, 0], 4), RESERVED),
];

const fn network([a, b, c, d]: [u8; 4], length: u32) -> Network {
    Network::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length)
}

const PRIVATE: &str = "a private network";
const LINK_LOCAL: &str = "a link-local address";
const DOCUMENTATION: &str = "an address for documentation";
const MULTICAST: &str = "a group of hosts";
const RESERVED: &str = "a reserved address";

fn v4(address: Ipv4Addr) -> Option<&'static str> {
    NOT_PUBLIC
        .iter()
        .find(|(network, _)| network.contains(address.into()))
        .map(|(_, why)| *why)
}

/// Everything but global unicast is refused.
fn v6(address: Ipv6Addr) -> Option<&'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Some("this host"),
        [0xfc00..=0xfdff, ..] => Some(PRIVATE),
        // Site-local ones are what private ones were before.
        [0xfe80..=0xfebf, ..] => Some(LINK_LOCAL),
        [0xfec0..=0xfeff, ..] => Some(PRIVATE),
        [0xff00..=0xffff, ..] => Some(MULTICAST),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some(DOCUMENTATION),
        // For protocols: Teredo and others.
        [0x2001, 0..=0x1ff, ..] => Some(RESERVED),
        [0x2000..=0x3fff, ..] => None,
        _ => Some(RESERVED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(address: &str, allowed: &[&str]) -> Option<&'static str> {
        let allowed: Vec<Network> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        refused(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn public_addresses_are_asked() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert_eq!(why(address, &[]), None, "{address}");
        }
    }

    #[test]
    fn all_others_are_refused_in_whatever_dress() {
        for (address, expected) in [
            ("0.0.0.0", "this host"),
            ("0.1.2.3", "this host"),
            ("127.0.0.1", "this host"),
            ("127.255.255.254", "this host"),
            ("10.0.0.1", PRIVATE),
            ("100.64.0.1", PRIVATE),
            ("100.100.100.200", PRIVATE),
            ("172.16.0.1", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.168.1.1", PRIVATE),
            ("169.254.169.254", LINK_LOCAL),
            ("168.63.129.16", "the cloud's own service"),
            ("192.0.0.192", RESERVED),
            ("192.0.2.1", DOCUMENTATION),
            ("198.51.100.7", DOCUMENTATION),
            ("203.0.113.9", DOCUMENTATION),
            ("192.88.99.1", RESERVED),
            ("198.19.0.1", RESERVED),
            ("224.0.0.1", MULTICAST),
            ("239.255.255.255", MULTICAST),
            ("240.0.0.1", RESERVED),
            ("255.255.255.255", MULTICAST),
            ("::", "this host"),
            ("::1", "this host"),
            ("::127.0.0.1", "this host"),
            ("::ffff:127.0.0.1", "this host"),
            ("::ffff:10.0.0.1", PRIVATE),
            ("::ffff:0:169.254.169.254", LINK_LOCAL),
            ("64:ff9b::10.0.0.1", PRIVATE),
            ("64:ff9b:1::10.0.0.1", RESERVED),
            ("2002:7f00:1::1", "this host"),
            ("2002:a9fe:a9fe::", LINK_LOCAL),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", RESERVED),
            ("2001:db8::1", DOCUMENTATION),
            ("3fff:fff::1", DOCUMENTATION),
            ("fe80::1", LINK_LOCAL),
            ("febf::1", LINK_LOCAL),
            ("fec0::1", PRIVATE),
            ("fc00::1", PRIVATE),
            ("fd00:ec2::254", PRIVATE),
            ("ff02::1", MULTICAST),
            ("100::1", RESERVED),
            ("4000::1", RESERVED),
        ] {
            assert_eq!(why(address, &[]), Some(expected), "{address}");
        }
    }

    #[test]
    fn networks_can_be_opened() {
        let allowed = ["10.1.0.0/16", "fd00:1::/32"];
        for address in [
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "64:ff9b::10.1.2.3",
            "fd00:1::7",
        ] {
            assert_eq!(why(address, &allowed), None, "{address}");
        }
        for address in ["10.2.0.1", "127.0.0.1", "fd00:2::7"] {
            assert!(why(address, &allowed).is_some(), "{address}");
        }
    }
}
