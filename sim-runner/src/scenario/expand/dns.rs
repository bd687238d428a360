//! Lookups: the verb `dns` and its workload.

use crate::scenario::lookup::{DnsExpect, DnsStep, DnsWorkload, show_expect};
use crate::scenario::toml_text::{list, weights};

use super::Printer;

impl Printer<'_> {
    pub(super) fn dns(&mut self, dns: &DnsStep) {
        self.target("via", &dns.via);
        self.text("query", &format!("{} {}", dns.name, dns.kind));
        if dns.tcp {
            self.line("tcp", true);
        }
        if dns.expect != DnsExpect::default() {
            self.line("expect", show_expect(&dns.expect));
        }
    }

    pub(super) fn dns_users(&mut self, users: &DnsWorkload) {
        self.line("services", list(&users.services));
        let types: Vec<(&str, u64)> = users.types.iter().map(|(k, w)| (k.as_str(), *w)).collect();
        self.line("types", weights(&types));
    }
}
