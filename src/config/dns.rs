//! What DNS answers with: `domain`, `alt_domain`, `recursors`, `dns_config`, and where it listens
//! (spec api 6.2, 4).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::base::Duration;
use crate::base::dns_settings::{DnsSettings, Soa};
use crate::config::checked::{address, refuse};
use crate::config::error::ConfigError;
use crate::config::flags::Parsed;
use crate::config::settings::Given;
use crate::raft::Profile;

/// Where a recursor listens that is named without a port.
const RECURSOR_PORT: u16 = 53;
/// Of a name a label has no more.
const LABEL_MAX: usize = 63;

/// Where DNS listens, and how it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Listens here.
    pub addresses: Vec<IpAddr>,
    /// By this.
    pub settings: DnsSettings,
}

/// What one source says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SaidDns {
    addresses: Option<String>,
    domain: Option<String>,
    alt_domain: Option<String>,
    recursors: Vec<String>,
    recursor_strategy: Option<String>,
    recursor_timeout: Option<Duration>,
    allow_stale: Option<bool>,
    max_stale: Option<Duration>,
    node_ttl: Option<Duration>,
    service_ttl: BTreeMap<String, Duration>,
    only_passing: Option<bool>,
    enable_truncate: Option<bool>,
    udp_answer_limit: Option<i64>,
    a_record_limit: Option<i64>,
    disable_compression: Option<bool>,
    node_meta_txt: Option<bool>,
    use_cache: Option<bool>,
    cache_max_age: Option<Duration>,
    soa: [Option<u32>; 4],
}

impl SaidDns {
    /// What the command line says.
    pub(super) fn from_flags(flags: &Parsed) -> Self {
        let text = |name| flags.text(name).map(str::to_owned);
        Self {
            domain: text("domain"),
            alt_domain: text("alt-domain"),
            recursors: flags.all("recursor").map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// Takes a key; false: it is not one of these.
    pub(super) fn set(&mut self, key: &str, given: &Given<'_>) -> Result<bool, ConfigError> {
        match key {
            "addresses.dns" => self.addresses = Some(given.text()?),
            "domain" => self.domain = Some(given.text()?),
            "alt_domain" => self.alt_domain = Some(given.text()?),
            "recursor" | "recursors" => self.recursors.extend(given.texts()?),
            "dns_config.recursor_strategy" => self.recursor_strategy = Some(given.text()?),
            "dns_config.recursor_timeout" => self.recursor_timeout = Some(given.span()?),
            "dns_config.allow_stale" => self.allow_stale = Some(given.bool()?),
            "dns_config.max_stale" => self.max_stale = Some(given.span()?),
            "dns_config.node_ttl" => self.node_ttl = Some(given.span()?),
            "dns_config.service_ttl" => {
                for member in given.members()? {
                    let span = Given { key: &member.key, at: &member.value }.span()?;
                    self.service_ttl.insert(member.key.clone(), span);
                }
            }
            "dns_config.only_passing" => self.only_passing = Some(given.bool()?),
            "dns_config.enable_truncate" => self.enable_truncate = Some(given.bool()?),
            "dns_config.udp_answer_limit" => self.udp_answer_limit = Some(given.integer()?),
            "dns_config.a_record_limit" => self.a_record_limit = Some(given.integer()?),
            "dns_config.disable_compression" => self.disable_compression = Some(given.bool()?),
            "dns_config.enable_additional_node_meta_txt" => {
                self.node_meta_txt = Some(given.bool()?);
            }
            "dns_config.use_cache" => self.use_cache = Some(given.bool()?),
            "dns_config.cache_max_age" => self.cache_max_age = Some(given.span()?),
            // Namespaces belong to another edition.
            "dns_config.prefer_namespace" => drop(given.bool()?),
            "dns_config.soa.refresh" => self.soa[0] = Some(seconds(given)?),
            "dns_config.soa.retry" => self.soa[1] = Some(seconds(given)?),
            "dns_config.soa.expire" => self.soa[2] = Some(seconds(given)?),
            "dns_config.soa.min_ttl" => self.soa[3] = Some(seconds(given)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lays a later source over this one; lists are joined.
    pub(super) fn merge(&mut self, later: SaidDns) {
        self.addresses = later.addresses.or_else(|| self.addresses.take());
        self.domain = later.domain.or_else(|| self.domain.take());
        self.alt_domain = later.alt_domain.or_else(|| self.alt_domain.take());
        self.recursors.extend(later.recursors);
        self.recursor_strategy = later.recursor_strategy.or_else(|| self.recursor_strategy.take());
        self.recursor_timeout = later.recursor_timeout.or(self.recursor_timeout);
        self.allow_stale = later.allow_stale.or(self.allow_stale);
        self.max_stale = later.max_stale.or(self.max_stale);
        self.node_ttl = later.node_ttl.or(self.node_ttl);
        self.service_ttl.extend(later.service_ttl);
        self.only_passing = later.only_passing.or(self.only_passing);
        self.enable_truncate = later.enable_truncate.or(self.enable_truncate);
        self.udp_answer_limit = later.udp_answer_limit.or(self.udp_answer_limit);
        self.a_record_limit = later.a_record_limit.or(self.a_record_limit);
        self.disable_compression = later.disable_compression.or(self.disable_compression);
        self.node_meta_txt = later.node_meta_txt.or(self.node_meta_txt);
        self.use_cache = later.use_cache.or(self.use_cache);
        self.cache_max_age = later.cache_max_age.or(self.cache_max_age);
        for (own, later) in self.soa.iter_mut().zip(later.soa) {
            *own = later.or(*own);
        }
    }

    /// Takes another source's recursors, to stand behind these.
    pub(super) fn lists_before(&mut self, other: &mut SaidDns) {
        self.recursors.append(&mut other.recursors);
    }

    /// What holds then; `clients`: where users are served.
    pub(super) fn check(&self, profile: Profile, clients: &[IpAddr]) -> Result<Dns, ConfigError> {
        Ok(Dns { addresses: self.addresses(clients)?, settings: self.settings(profile)? })
    }

    fn settings(&self, profile: Profile) -> Result<DnsSettings, ConfigError> {
        let mut default = DnsSettings::default();
        if profile == Profile::Legacy {
            (default.allow_stale, default.max_stale) = (false, Duration::from_secs(5));
        }
        let random_recursors = match self.recursor_strategy.as_deref() {
            None | Some("" | "sequential") => false,
            Some("random") => true,
            Some(other) => {
                return refuse(format!(
                    "dns_config.recursor_strategy: {other:?} is none: sequential or random"
                ));
            }
        };
        let [refresh, retry, expire, min_ttl] = self.soa;
        let soa = default.soa;
        let limit = |key, said: Option<i64>, default| match said {
            Some(said) => limit(key, said),
            None => Ok(default),
        };
        Ok(DnsSettings {
            domain: domain("domain", self.domain.as_deref().unwrap_or(&default.domain))?,
            alt_domain: domain("alt_domain", self.alt_domain.as_deref().unwrap_or_default())?,
            recursors: self.recursors.iter().map(|it| recursor(it)).collect::<Result<_, _>>()?,
            random_recursors,
            recursor_timeout: self.recursor_timeout.unwrap_or(default.recursor_timeout),
            allow_stale: self.allow_stale.unwrap_or(default.allow_stale),
            max_stale: self.max_stale.unwrap_or(default.max_stale),
            node_ttl: self.node_ttl.unwrap_or(default.node_ttl),
            service_ttl: self.service_ttl.clone(),
            only_passing: self.only_passing.unwrap_or(default.only_passing),
            enable_truncate: self.enable_truncate.unwrap_or(default.enable_truncate),
            udp_answer_limit: limit(
                "udp_answer_limit",
                self.udp_answer_limit,
                default.udp_answer_limit,
            )?,
            a_record_limit: limit("a_record_limit", self.a_record_limit, default.a_record_limit)?,
            disable_compression: self.disable_compression.unwrap_or(default.disable_compression),
            node_meta_txt: self.node_meta_txt.unwrap_or(default.node_meta_txt),
            use_cache: self.use_cache.unwrap_or(default.use_cache),
            cache_max_age: self.cache_max_age.unwrap_or(default.cache_max_age),
            soa: Soa {
                refresh: refresh.unwrap_or(soa.refresh),
                retry: retry.unwrap_or(soa.retry),
                expire: expire.unwrap_or(soa.expire),
                min_ttl: min_ttl.unwrap_or(soa.min_ttl),
            },
        })
    }

    /// What stands before a domain must not be read as a kind of name, or as the datacenter.
    pub(super) fn refuse_alt_domain(&self, datacenter: &str) -> Result<(), ConfigError> {
        let first = self.alt_domain.as_deref().and_then(|text| text.split_once('.'));
        let taken = ["service", "connect", "node", "query", "addr", datacenter];
        match first.is_some_and(|(label, _)| taken.contains(&label)) {
            true => refuse(format!(
                "alt_domain cannot start with {{service,connect,node,query,addr,{datacenter}}}"
            )),
            false => Ok(()),
        }
    }

    fn addresses(&self, clients: &[IpAddr]) -> Result<Vec<IpAddr>, ConfigError> {
        let Some(text) = self.addresses.as_deref().filter(|text| !text.trim().is_empty()) else {
            return Ok(clients.to_vec());
        };
        if text.starts_with("unix:") {
            return refuse("DNS address cannot be a unix socket");
        }
        let ips = text.split_whitespace();
        ips.map(|one| address("addresses.dns", Some(one), IpAddr::from([127, 0, 0, 1]))).collect()
    }
}

/// So many records, or none.
fn limit(key: &str, said: i64) -> Result<usize, ConfigError> {
    usize::try_from(said).or_else(|_| {
        refuse(format!("dns_config.{key} cannot be {said}. Must be greater than or equal to zero"))
    })
}

/// A number of seconds that fits into a record.
fn seconds(given: &Given<'_>) -> Result<u32, ConfigError> {
    let number = given.unsigned()?;
    u32::try_from(number).or_else(|_| refuse(format!("{}: {number} is too much", given.key)))
}

/// A domain in lower case, without the dot at its end.
fn domain(key: &str, text: &str) -> Result<String, ConfigError> {
    let name = text.strip_suffix('.').unwrap_or(text).to_lowercase();
    let mut labels = name.split('.');
    let is_good = |label: &str| !label.is_empty() && label.len() <= LABEL_MAX;
    if !name.is_empty() && (!labels.all(is_good) || name.len() > 200) {
        return refuse(format!("{key} {text:?} is not a DNS domain: write e.g. \"consul.\""));
    }
    if name.is_empty() && key == "domain" {
        return refuse("domain cannot be empty");
    }
    Ok(name)
}

/// `ip`, `ip:port`, `[ip]:port`.
fn recursor(text: &str) -> Result<SocketAddr, ConfigError> {
    let text = text.trim();
    let with_port = text.parse::<SocketAddr>().ok();
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    match with_port.or(bare.map(|ip| SocketAddr::new(ip, RECURSOR_PORT))) {
        Some(at) if !at.ip().is_unspecified() && at.port() > 0 => Ok(at),
        Some(_) => refuse("DNS recursor address cannot be 0.0.0.0, :: or [::]"),
        None => refuse(format!(
            "invalid DNS recursor {text:?}: write an IP address, with :port if that is not 53"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursors_take_port_53_unless_they_say() {
        let read =
            |text: &str| recursor(text).map(|at| at.to_string()).map_err(|it| it.to_string());
        assert_eq!(read("8.8.8.8").as_deref(), Ok("8.8.8.8:53"));
        assert_eq!(read("127.0.0.1:5353").as_deref(), Ok("127.0.0.1:5353"));
        assert_eq!(read("::1").as_deref(), Ok("[::1]:53"));
        assert_eq!(read("[::1]:5353").as_deref(), Ok("[::1]:5353"));
        for bad in ["dns.example", "", "0.0.0.0", "1.2.3.4:0", "1.2.3.4:x"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn domains_are_lower_case_without_a_dot() {
        assert_eq!(domain("domain", "Corp.Test.").as_deref().ok(), Some("corp.test"));
        assert_eq!(domain("alt_domain", "").as_deref().ok(), Some(""));
        for bad in ["", ".", "a..b", &"x".repeat(64)] {
            assert!(domain("domain", bad).is_err(), "{bad:?}");
        }
    }
}
