//! Which addresses a tenant may name for its webhooks and its models: those of the public internet.
//!
//! A name is looked up here and nowhere else: the connection is made to the very addresses that were
//! looked at, so a name that answers differently the next time gains nothing.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// An address that leads where it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its address is private, local or reserved")]
pub(super) struct NotPublic;

/// What IANA's registries of special addresses say is not globally reachable, multicast, and the
/// metadata servers of clouds that have public addresses. IPv4 within IPv6 is looked at as IPv4.
static NOT_PUBLIC: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    const RANGES: [&str; 28] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10", // shared by carriers; metadata in some clouds
        "127.0.0.0/8",
        "168.63.129.16/32", // the host of a virtual machine
        "169.254.0.0/16",   // link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];
    let ranges = RANGES.iter().map(|range| range.parse());
    ranges
        .collect::<Result<_, _>>()
        .expect("each range above is written as one")
});

/// Whether an address is one of the public internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(v6) => embedded(v6.segments()).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    !NOT_PUBLIC.iter().any(|range| range.contains(&address))
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, translated or in 6to4.
fn embedded(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of(high, low),
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

/// An address that is written out never comes to the resolver.
pub(super) fn check_literal(url: &Url) -> Result<(), NotPublic> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(address) {
        Ok(())
    } else {
        Err(NotPublic)
    }
}

/// Looks names up, and refuses those of which any address is not public.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: io::Result<Vec<SocketAddr>> = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map(Iterator::collect);
            checked(found)
        })
    }
}

fn checked(found: io::Result<Vec<SocketAddr>>) -> Result<Addrs, Box<dyn Error + Send + Sync>> {
    let found = found?;
    if found.iter().all(|address| is_public(address.ip())) {
        Ok(Box::new(found.into_iter()))
    } else {
        Err(Box::new(NotPublic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.100.100.200",
            "127.0.0.1",
            "127.8.8.8",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "192.169.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2a00:1450:4001::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn however_an_address_is_written_it_is_seen_through() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://169.254.169.254/latest",
        ] {
            assert_eq!(
                check_literal(&Url::parse(url).unwrap()),
                Err(NotPublic),
                "{url}"
            );
        }
        for url in ["http://8.8.8.8/", "https://example.com/"] {
            assert_eq!(check_literal(&Url::parse(url).unwrap()), Ok(()), "{url}");
        }
    }

    #[test]
    fn one_private_address_among_public_ones_is_enough_to_refuse_a_name() {
        let address = |text: &str| SocketAddr::new(text.parse().unwrap(), 0);
        let mixed = vec![address("8.8.8.8"), address("192.168.0.1")];
        let refused = checked(Ok(mixed)).err().unwrap();
        assert!(refused.is::<NotPublic>());
        let public = checked(Ok(vec![address("8.8.8.8")])).ok().unwrap();
        assert_eq!(public.collect::<Vec<_>>(), [address("8.8.8.8")]);
    }
}
