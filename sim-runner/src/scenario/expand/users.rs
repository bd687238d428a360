//! The keys of the workloads over sessions, locks, watches, transactions and the catalog.

use crate::history::request::{Behavior, Watched};
use crate::scenario::model::WorkloadKind;
use crate::scenario::values::{show_duration, show_span};

use super::Printer;

impl Printer<'_> {
    pub(super) fn users_of_services(&mut self, kind: &WorkloadKind) {
        match kind {
            WorkloadKind::Lock(lock) => {
                self.line("keys", lock.keys);
                self.text("hold", &show_span(lock.hold));
                self.text("ttl", &show_duration(lock.ttl));
            }
            WorkloadKind::Session(session) => {
                self.text("ttl", &show_duration(session.ttl));
                let behavior = match session.behavior {
                    Behavior::Release => "release",
                    Behavior::Delete => "delete",
                };
                self.text("behavior", behavior);
            }
            WorkloadKind::Catalog(catalog) => {
                self.line("services", catalog.services);
                self.line("instances", catalog.instances);
            }
            WorkloadKind::Health(health) => {
                self.line("services", health.services);
                self.text("flap", &show_span(health.flap));
            }
            WorkloadKind::Watch(watch) => {
                let on = match watch.on {
                    Watched::Kv => "kv",
                    Watched::Service => "service",
                    Watched::Nodes => "nodes",
                    Watched::Checks => "checks",
                    Watched::Event => "event",
                };
                self.text("on", on);
            }
            WorkloadKind::Txn(txn) => {
                self.line("keys", txn.keys);
                self.line("ops", txn.ops);
            }
            WorkloadKind::Dns(users) => self.dns_users(users),
            WorkloadKind::Kv(_) | WorkloadKind::Event(_) => {}
        }
    }
}
