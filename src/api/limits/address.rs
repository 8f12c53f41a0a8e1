//! Where a request comes from, told by what cannot be made up.
//!
//! Only a connection's own end is certain. `X-Forwarded-For` is believed from configured proxies alone,
//! and of it only what they wrote themselves: it is read from the right, where the nearest proxy writes,
//! up to the first hop that is none of ours. `Forwarded`, `X-Real-IP` and the like are never read: of two
//! headers that say the same, a client can write the one that the proxy does not overwrite.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Of an IPv6 address, what one customer of a provider has at least to itself.
const NETWORK: u32 = 64;

/// Addresses and networks, in a list or in one text with commas between.
pub(in crate::api) fn networks<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<IpNet>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    let words = match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => text.split(',').map(str::to_owned).collect(),
        OneOrMany::Many(words) => words,
    };
    let words = words.iter().map(|word| word.trim());
    let read = |word: &str| {
        let network = word.parse().or_else(|_| word.parse().map(IpAddr::into));
        network.map_err(|_| D::Error::custom("expected addresses or networks, such as 10.0.0.0/8"))
    };
    words.filter(|word| !word.is_empty()).map(read).collect()
}

/// The address that the nearest of our proxies was called from, or else the connection's.
pub(super) fn of_client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_ours = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut nearest = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).into_iter();
    let lines: Vec<_> = lines
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    while is_ours(nearest) {
        // What is no address was not written by a proxy of ours, so nothing before it was either.
        let Some(hop) = hops.next().and_then(address) else {
            break;
        };
        nearest = hop;
    }
    nearest
}

/// Those who share a bucket: an IPv4 address, or an IPv6 network.
pub(super) fn shared_by(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !(u128::MAX >> NETWORK);
            format!("{}/{NETWORK}", Ipv6Addr::from_bits(network))
        }
    }
}

/// Some proxies add the port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse();
    let address = address.or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        of_client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn the_rightmost_hop_that_is_none_of_ours_is_the_client() {
        for (peer, lines, client) in [
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["1.2.3.4, 198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                &["198.51.100.1, fd00::7", "10.3.3.3"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("fd00::1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["1.2.3.4, nonsense"], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4, "], "10.0.0.1"),
            ("10.0.0.1", &["1.2.3.4, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            assert_eq!(of(peer, lines), client, "{peer} {lines:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_a_mapped_ipv4_is_ipv4() {
        let shared = |address: &str| shared_by(address.parse().unwrap());
        assert_eq!(shared("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(shared("2001:db8:1:2::"), shared("2001:db8:1:2:ffff::1"));
        assert_ne!(shared("2001:db8:1:2::"), shared("2001:db8:1:3::"));
        assert_eq!(shared("::ffff:192.0.2.1"), "192.0.2.1");
        assert_ne!(shared("192.0.2.1"), shared("192.0.2.2"));
    }
}
