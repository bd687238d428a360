//! What DNS is told: `domain`, `alt_domain`, `recursors`, `dns_config` (spec api 6.2).
//!
//! The configuration makes it, and DNS answers by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::base::Duration;

/// How DNS answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// Lower case, without a dot at its end.
    pub domain: String,
    /// Likewise; empty: there is none.
    pub alt_domain: String,
    /// Who is asked for other names, in this order.
    pub recursors: Vec<SocketAddr>,
    /// They are asked in a random order instead.
    pub random_recursors: bool,
    /// How long one of them may take.
    pub recursor_timeout: Duration,
    /// Any server may answer.
    pub allow_stale: bool,
    /// Unless it heard of its leader longer ago.
    pub max_stale: Duration,
    /// Of answers about nodes.
    pub node_ttl: Duration,
    /// Of answers about services: by name, by `prefix*`, or `*` for all.
    pub service_ttl: BTreeMap<String, Duration>,
    /// Instances that warn are left out, too.
    pub only_passing: bool,
    /// Says when records were left out.
    pub enable_truncate: bool,
    /// So many answers in a datagram without EDNS.
    pub udp_answer_limit: usize,
    /// So many addresses in any answer; 0: all.
    pub a_record_limit: usize,
    /// Names are written in full, each time.
    pub disable_compression: bool,
    /// A node's meta goes with SRV and node answers.
    pub node_meta_txt: bool,
    /// Answers are kept, for when none can be had.
    pub use_cache: bool,
    /// An answer that was kept for longer does not count; zero: any does.
    pub cache_max_age: Duration,
    /// Of the zone's SOA.
    pub soa: Soa,
}

/// Times in the zone's SOA, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 1035")]
pub struct Soa {
    pub refresh: u32,
    pub retry: u32,
    pub expire: u32,
    pub min_ttl: u32,
}

impl DnsSettings {
    /// Ten years: nothing is ever too old.
    pub const MAX_STALE: Duration = Duration::from_secs(87_600 * 3600);
}

/// Those of an agent that was told nothing.
impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            domain: "consul".to_owned(),
            alt_domain: String::new(),
            recursors: Vec::new(),
            random_recursors: false,
            recursor_timeout: Duration::from_secs(2),
            allow_stale: true,
            max_stale: Self::MAX_STALE,
            node_ttl: Duration::ZERO,
            service_ttl: BTreeMap::new(),
            only_passing: false,
            enable_truncate: false,
            udp_answer_limit: 3,
            a_record_limit: 0,
            disable_compression: false,
            node_meta_txt: true,
            use_cache: false,
            cache_max_age: Duration::ZERO,
            soa: Soa { refresh: 3600, retry: 600, expire: 86_400, min_ttl: 0 },
        }
    }
}
