//! What an agent starts with: services and checks of its configuration, then those that were kept (spec
//! cluster 8.1).
//!
//! What a configuration file says goes before what a user said under the same id, which is removed from
//! the disk. A check begins critical, whatever it was, unless a TTL check's word still counts.

use crate::agent::io::Output;
use crate::base::Instant;

use super::core::{Local, note};
use super::facts::{Item, LocalFact};
use super::keeping::Operation;
use super::register::Refusal;
use super::types::{Definitions, Keep, Origin};

impl Local {
    pub(super) fn load(&mut self, now: Instant, definitions: Definitions, out: &mut Vec<Output>) {
        let Definitions { services, checks, ttl_states } = definitions;
        let mut purged = Vec::new();
        let (services, kept_services): (Vec<_>, Vec<_>) =
            services.into_iter().partition(|it| it.origin == Origin::Config);
        let (checks, kept_checks): (Vec<_>, Vec<_>) =
            checks.into_iter().partition(|it| it.origin == Origin::Config);
        let stages = [(services, checks), (kept_services, kept_checks)];
        for (services, checks) in stages {
            for service in services {
                let (id, origin) = (service.service.id.clone(), service.origin);
                if origin == Origin::Api && self.entries.services.contains_key(&id) {
                    purged.push(Keep::NoService { id });
                } else if let Err(why) = self.register_service(now, service, out) {
                    note(LocalFact::NotLoaded(Item::Service(id.clone()), text(why)), out);
                    purged.extend((origin == Origin::Api).then_some(Keep::NoService { id }));
                }
            }
            for mut check in checks {
                let (id, origin) = (check.check.check_id.clone(), check.origin);
                if origin == Origin::Api {
                    if self.entries.checks.contains_key(&id) {
                        purged.push(Keep::NoCheck { id });
                        continue;
                    }
                    check.check.status.clear();
                }
                if let Err(why) = self.register_check(now, check, out) {
                    note(LocalFact::NotLoaded(Item::Check(id.clone()), text(why)), out);
                    purged.extend((origin == Origin::Api).then_some(Keep::NoCheck { id }));
                }
            }
        }
        for state in ttl_states {
            let entry = self.entries.checks.get_mut(&state.check_id);
            let ttl = entry.filter(|it| !it.registered.definition.ttl.is_zero());
            if let Some(entry) = ttl {
                state.health.word().clone_into(&mut entry.check.status);
                entry.check.output = state.output;
            }
        }
        let purged = if self.config.keeps_definitions { purged } else { Vec::new() };
        self.keeping.begin(Operation::new(None, None), purged, out);
    }
}

pub(super) fn text(why: Refusal) -> String {
    match why {
        Refusal::Invalid(text) | Refusal::NotFound(text) | Refusal::Refused(text) => text,
    }
}
