//! The addresses of this machine, as far as `/proc/net` tells them, and which of them others may be told
//! (spec api 5.3: `-bind`, templates).
//!
//! IPv4 addresses stand in `fib_trie` without names; the name is that of the interface in `route` whose
//! network the address is in. Where these files are missing (no Linux, a simulated disk) there is nothing
//! to find, and whoever needs an address must name it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::base::runtime::{Disk, Runtime};

/// So much of each file is looked at.
const MAX_BYTES: usize = 4 << 20;

/// An address and the interface that has it; no name when it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) address: IpAddr,
    /// The default route leads here.
    pub(super) is_default: bool,
}

/// All of them: those of the default route first, then by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interfaces(Vec<Interface>);

impl Interfaces {
    /// Those of the machine.
    pub(super) async fn of_machine<R: Runtime>(runtime: &R) -> Self {
        let disk = runtime.disk(Path::new("/proc/net"));
        let mut texts = Vec::new();
        for name in ["route", "fib_trie", "if_inet6"] {
            let bytes = disk.read_at_most(name, MAX_BYTES).await.unwrap_or_default();
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        Self::parse(&texts[0], &texts[1], &texts[2])
    }

    fn parse(route: &str, fib_trie: &str, if_inet6: &str) -> Self {
        let routes: Vec<Route> = route.lines().filter_map(Route::parse).collect();
        let default = routes.iter().find(|route| route.mask == 0).map(|route| route.name);
        let mut all: Vec<Interface> = Vec::new();
        let mut add = |name: &str, address: IpAddr| {
            if !all.iter().any(|it| it.address == address) {
                let is_default = default == Some(name);
                all.push(Interface { name: name.to_owned(), address, is_default });
            }
        };
        for address in local_addresses(fib_trie) {
            let has =
                |route: &&Route| route.mask != 0 && address.to_bits() & route.mask == route.network;
            let name = match address.is_loopback() {
                true => "lo",
                false => routes.iter().find(has).map_or("", |route| route.name),
            };
            add(name, address.into());
        }
        for line in if_inet6.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if let [address, _, _, _, _, name] = fields[..]
                && let Ok(bits) = u128::from_str_radix(address, 16)
            {
                add(name, Ipv6Addr::from_bits(bits).into());
            }
        }
        all.sort_by_key(|it| (!it.is_default, it.address));
        Self(all)
    }

    /// Those of networks that are nobody's in particular (RFC 1918, RFC 6598), IPv4.
    pub(super) fn private(&self) -> Vec<IpAddr> {
        self.those(|it| matches!(it, IpAddr::V4(it) if is_private(it)))
    }

    /// Those that the world can reach, of both families.
    pub(super) fn public(&self) -> Vec<IpAddr> {
        self.those(|it| match it {
            IpAddr::V4(it) => !is_private(it) && !it.is_loopback() && !it.is_link_local(),
            IpAddr::V6(it) => is_global(it),
        })
    }

    /// Those of one interface.
    pub(super) fn of(&self, name: &str) -> Vec<IpAddr> {
        self.0.iter().filter(|it| it.name == name).map(|it| it.address).collect()
    }

    fn those(&self, are: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
        self.0.iter().map(|it| it.address).filter(|it| are(*it)).collect()
    }
}

fn is_private(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private() || first == 100 && second & 0xc0 == 64
}

fn is_global(address: Ipv6Addr) -> bool {
    !address.is_loopback() && !address.is_unicast_link_local() && !address.is_unique_local()
}

/// A line of `route`; numbers are in the byte order of the machine.
struct Route<'a> {
    name: &'a str,
    network: u32,
    mask: u32,
}

impl<'a> Route<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, network, _gateway, flags, _, _, _, mask, ..] = fields[..] else { return None };
        let number = |text| u32::from_str_radix(text, 16).ok().map(u32::to_be);
        let is_up = u32::from_str_radix(flags, 16).ok()? & 1 == 1;
        is_up.then_some(Self { name, network: number(network)?, mask: number(mask)? })
    }
}

/// The host addresses of `fib_trie`.
fn local_addresses(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in fib_trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const ROUTE: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
        eth0\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        eth0\t0001000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.1.0\n        /24 link UNICAST\n\
        \x20     |-- 10.0.1.7\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n\
        \x20     |-- 172.17.0.1\n        /32 host LOCAL\n     |-- 8.1.2.3\n        /32 host LOCAL\n\
        Local:\n     |-- 10.0.1.7\n        /32 host LOCAL\n";
    const INET6: &str = "00000000000000000000000000000001 01 80 10 80       lo\n\
        fe80000000000000000000fffe000001 02 40 20 80     eth0\n\
        20010db8000000000000000000000007 02 40 00 80     eth0\n";

    /// A machine with a network, a bridge and an address without a route.
    pub(crate) fn machine() -> Interfaces {
        Interfaces::parse(ROUTE, TRIE, INET6)
    }

    #[test]
    fn a_machine_is_read() {
        let texts = |found: Vec<IpAddr>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        let machine = machine();
        assert_eq!(texts(machine.private()), ["10.0.1.7", "172.17.0.1"]);
        assert_eq!(texts(machine.public()), ["2001:db8::7", "8.1.2.3"]);
        assert_eq!(texts(machine.of("docker0")), ["172.17.0.1"]);
        assert_eq!(texts(machine.of("lo")), ["127.0.0.1", "::1"]);
        assert_eq!(texts(machine.of("eth0")), ["10.0.1.7", "2001:db8::7", "fe80::ff:fe00:1"]);
        assert_eq!(
            Interfaces::parse("x", "/32 host LOCAL\n|-- x\n/32 host LOCAL", "1 2"),
            <_>::default()
        );
    }
}
