//! Networks: an address and how many of its first bits count, `10.0.0.0/8`.

use std::net::IpAddr;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// Reads `ADDRESS/BITS`; none for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let prefix_bits = bits.parse().ok().filter(|&bits| is_number && bits <= width)?;
        Some(Self { address, prefix_bits })
    }

    /// Whether the address is one of them. An IPv4 address in IPv6 clothes is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let beyond = |own: u128, other: u128, width: u32| {
            (own ^ other).checked_shr(width - self.prefix_bits).unwrap_or(0) == 0
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                beyond(own.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => beyond(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_contains() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::1"),
            ("fe80::/10", "fe80::1", "fec0::1"),
            ("::1/128", "::1", "::2"),
        ] {
            let network = Network::parse(network).expect("a network");
            assert!(network.contains(address(inside)) && !network.contains(address(outside)));
        }
        assert!(Network::parse("0.0.0.0/0").expect("all").contains(address("1.2.3.4")));
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "1.1.1.1/-1", "1.1.1.1/+1"]
        {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
