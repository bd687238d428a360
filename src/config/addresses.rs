//! Addresses beside the one to bind and the one to advertise: where the HTTP API listens when it is not
//! everywhere that clients are served (`addresses.http`), and what the node is called by family of address
//! (`advertise_addr_ipv4` …; spec api 6.2).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::settings::Given;

/// The keys that are taken here.
pub(super) const KEYS: &[&str] = &[
    "addresses.http",
    "advertise_addr_ipv4",
    "advertise_addr_ipv6",
    "advertise_addr_wan_ipv4",
    "advertise_addr_wan_ipv6",
];

/// What one source says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SaidAddresses {
    http: Option<String>,
    lan_v4: Option<String>,
    lan_v6: Option<String>,
    wan_v4: Option<String>,
    wan_v6: Option<String>,
}

impl SaidAddresses {
    /// Each with its key.
    pub(super) fn texts(&mut self) -> [(&'static str, &mut Option<String>); 5] {
        [
            ("addresses.http", &mut self.http),
            ("advertise_addr_ipv4", &mut self.lan_v4),
            ("advertise_addr_ipv6", &mut self.lan_v6),
            ("advertise_addr_wan_ipv4", &mut self.wan_v4),
            ("advertise_addr_wan_ipv6", &mut self.wan_v6),
        ]
    }

    /// Takes a key; false: it is not one of these.
    pub(super) fn set(&mut self, key: &str, given: &Given<'_>) -> Result<bool, ConfigError> {
        match self.texts().into_iter().find(|(known, _)| *known == key) {
            Some((_, text)) => *text = Some(given.text()?),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Lays a later source over this one.
    pub(super) fn merge(&mut self, mut later: Self) {
        for ((_, mine), (_, later)) in self.texts().into_iter().zip(later.texts()) {
            if later.is_some() {
                *mine = later.take();
            }
        }
    }

    /// Where the HTTP API listens; `clients`: everywhere that clients are served.
    pub(super) fn http(&self, clients: &[IpAddr]) -> Result<Vec<IpAddr>, ConfigError> {
        let Some(text) = self.http.as_deref().filter(|text| !text.trim().is_empty()) else {
            return Ok(clients.to_vec());
        };
        text.split_whitespace().map(|one| listening("addresses.http", one)).collect()
    }

    /// What the node is called beside `lan` and `wan`, by tag.
    pub(super) fn tagged(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut tagged = BTreeMap::new();
        for (tag, key, text, is_v4) in [
            ("lan_ipv4", "advertise_addr_ipv4", &self.lan_v4, true),
            ("lan_ipv6", "advertise_addr_ipv6", &self.lan_v6, false),
            ("wan_ipv4", "advertise_addr_wan_ipv4", &self.wan_v4, true),
            ("wan_ipv6", "advertise_addr_wan_ipv6", &self.wan_v6, false),
        ] {
            let Some(text) = text.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
                continue;
            };
            let address = listening(key, text)?;
            if address.is_ipv4() != is_v4 {
                let family = if is_v4 { "an ipv4" } else { "an ipv6" };
                return refuse(format!("{key} must be {family} address"));
            }
            tagged.insert(tag.to_owned(), address.to_string());
        }
        Ok(tagged)
    }
}

fn listening(key: &str, text: &str) -> Result<IpAddr, ConfigError> {
    if text.starts_with("unix://") {
        return refuse(format!(
            "{key}: {text}: unix sockets are not built; give an IP address, and block others with a \
             firewall"
        ));
    }
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| ConfigError::new(format!("{key}: invalid ip address: {text}")))
}
