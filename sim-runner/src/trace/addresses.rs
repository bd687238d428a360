//! The addresses of a host: the one it begins with, and those that it was moved to (`readdress`).
//!
//! ```text
//!   10.0.3.250  ── moved ──►  10.16.3.250  ── moved ──►  10.17.3.250        one agent
//! ```
//!
//! Only the second part changes, so that an address alone tells whose it is or was, without the
//! trace up to there. After 200 moves the first of them is given again, to the same host.

use super::event::{Header, Host, HostInfo, HostKind};

/// The second parts of addresses that an agent may be moved to; hosts begin at 0 (agents), 9 (users)
/// and 255 (the testbed).
const MOVED: std::ops::Range<u32> = 16..216;

impl Header {
    /// The address of an agent that was moved so many times. Only the second part differs from the
    /// first address, so that what happened at any of them can be told of the same host.
    #[must_use]
    pub fn moved(&self, host: Host, times: u32) -> String {
        let first = &self.hosts[usize::from(host.0)].address;
        let Some(again) = times.checked_sub(1) else { return first.clone() };
        let second = MOVED.start + again % (MOVED.end - MOVED.start);
        let mut parts: Vec<String> = first.split('.').map(str::to_owned).collect();
        parts[1] = second.to_string();
        parts.join(".")
    }

    /// Whose address this is, or was.
    #[must_use]
    pub fn host_at(&self, ip: &str) -> Option<Host> {
        let of = |ip: &str| -> Option<(u32, String)> {
            let (net, rest) = ip.strip_prefix("10.")?.split_once('.')?;
            Some((net.parse().ok()?, rest.to_owned()))
        };
        let (net, rest) = of(ip)?;
        let (net, agent) = if MOVED.contains(&net) { (0, true) } else { (net, false) };
        let is_it = |info: &HostInfo| {
            let kind = matches!(info.kind, HostKind::Server | HostKind::Client);
            (!agent || kind) && of(&info.address).as_ref() == Some(&(net, rest.clone()))
        };
        (0..).map(Host).zip(&self.hosts).find(|(_, info)| is_it(info)).map(|(host, _)| host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_at_every_address_it_ever_had() {
        let info = |name: &str, kind, address: &str| HostInfo {
            name: name.to_owned(),
            kind,
            address: address.to_owned(),
        };
        let hosts = vec![
            info("n1", HostKind::Server, "10.0.0.1"),
            info("c1", HostKind::Client, "10.0.3.250"),
            info("u1", HostKind::User, "10.9.0.1"),
            info("testbed", HostKind::Testbed, "10.255.0.1"),
        ];
        let header = Header {
            version: 1,
            title: String::new(),
            seed: "1".to_owned(),
            hosts,
            run_ns: 0,
            settle_ns: 0,
            lease_ns: 0,
        };
        assert_eq!(header.moved(Host(1), 1), "10.16.3.250");
        assert_eq!(header.moved(Host(1), 200), "10.215.3.250");
        assert_eq!(header.moved(Host(1), 201), "10.16.3.250");
        for host in (0..4).map(Host) {
            assert_eq!(header.host_at(&header.moved(host, 0)), Some(host));
        }
        for times in 0..=401 {
            assert_eq!(header.host_at(&header.moved(Host(0), times)), Some(Host(0)));
            assert_eq!(header.host_at(&header.moved(Host(1), times)), Some(Host(1)));
        }
        for stranger in ["10.0.0.2", "10.1.0.1", "127.0.0.1", "10.16.9.9", "n1", ""] {
            assert_eq!(header.host_at(stranger), None);
        }
    }
}
