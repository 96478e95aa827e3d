use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// The addresses that WorkOS published for its webhooks in November 2026.
///
/// The source is the [guide to webhooks](https://workos.com/docs/events/data-syncing/webhooks). An older guide says that
/// webhooks do not come from a static set of addresses. WorkOS can change the list at any time: compare it with the guide
/// before you use it, and regularly afterwards. A later version of this crate has a constant with a later date.
pub const WORKOS_ADDRESSES_2026_11: &[IpAddr] = &[
    v4(3, 217, 146, 166),
    v4(23, 21, 184, 92),
    v4(34, 204, 154, 149),
    v4(44, 213, 245, 178),
    v4(44, 215, 236, 82),
    v4(50, 16, 203, 9),
    v4(52, 1, 251, 34),
    v4(52, 21, 49, 187),
    v4(174, 129, 36, 47),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// Turns a network of IPv4-mapped addresses (`::ffff:192.0.2.0/120`) into the IPv4 network, because addresses are
/// compared in their IPv4 form.
pub(super) fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_networks_become_ipv4_networks() {
        for (network, expected) in [
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.1/128", "192.0.2.1/32"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            // A part of these is not mapped.
            ("::ffff:0.0.0.0/95", "::ffff:0.0.0.0/95"),
            ("::/0", "::/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
        ] {
            let (network, expected): (IpNet, IpNet) =
                (network.parse().unwrap(), expected.parse().unwrap());
            assert_eq!(canonical(network), expected);
        }
    }

    #[test]
    fn the_published_addresses_are_public_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for address in WORKOS_ADDRESSES_2026_11 {
            let IpAddr::V4(v4) = address else { panic!("{address}") };
            assert!(!v4.is_private() && !v4.is_loopback() && !v4.is_unspecified(), "{address}");
            assert!(seen.insert(address), "{address}");
        }
        assert_eq!(seen.len(), 9);
    }
}
