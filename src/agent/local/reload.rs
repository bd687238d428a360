//! Services and checks of the configuration, read again while the agent runs (spec api 6.6).
//!
//! ```text
//!   new files ─► all of it may run here? ─ no ─► refused, nothing has changed
//!                   │ yes
//!                   ▼
//!   gone from the files ─► dropped      in the files ─► put, standing as it stood      API's ─► stays
//! ```
//!
//! As Consul reloads: everything goes but for how checks stand, then the files are loaded, then what was
//! kept on disk. An agent that keeps nothing (`-dev`) has therefore lost what users had registered; on one
//! that keeps it, that is not touched here. What a file says goes before what a user said under the same
//! id, whose file is removed. Checks of files begin anew: their intervals, times to live and thresholds.
//!
//! Invariants: a refused reload changes nothing; a check keeps status and output over it.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::io::Output;
use crate::agent::types::Failure;
use crate::base::{Instant, RequestId};

use super::core::{Local, note};
use super::facts::{Item, LocalFact};
use super::keeping::Operation;
use super::load::text;
use super::register::named;
use super::types::{CheckRegistration, Keep, LocalReload, Origin, ServiceRegistration};

impl Local {
    /// Takes the files' word for the services and checks that they brought.
    pub(super) fn reload(
        &mut self,
        now: Instant,
        id: RequestId,
        what: LocalReload,
        out: &mut Vec<Output>,
    ) {
        let LocalReload { services, checks, node_meta, discard_check_output } = what;
        if let Err(why) = self.refuse_reload(&services, &checks) {
            return out.push(Output::Answer(id, Err(Failure::Refused(why))));
        }
        if self.config.node_meta != node_meta {
            self.config.node_meta = node_meta;
            self.entries.node_in_sync = false;
        }
        self.config.discard_check_output = discard_check_output;
        let stood = self.standing();
        let mut keeps = self.unload(&services, &checks, out);
        for service in services {
            keeps.extend(self.take_over(&service));
            let id = service.service.id.clone();
            if let Err(why) = self.register_service(now, service, out) {
                note(LocalFact::NotLoaded(Item::Service(id), text(why)), out);
            }
        }
        for check in checks {
            let id = check.check.check_id.clone();
            let user = self.entries.checks.get(&id).filter(|it| self.keeps(it.origin));
            keeps.extend(user.map(|_| Keep::NoCheck { id: id.clone() }));
            if let Err(why) = self.register_check(now, check, out) {
                note(LocalFact::NotLoaded(Item::Check(id), text(why)), out);
            }
        }
        self.stand_again(stood);
        self.changed();
        let operation = Operation::new(Some(id), None);
        if let Some(operation) = self.keeping.begin(operation, keeps, out) {
            self.kept_all(now, operation, Ok(()), out);
        }
    }

    /// How each check stands, and its output.
    fn standing(&self) -> BTreeMap<String, (String, String)> {
        let checks = self.entries.checks.iter();
        checks
            .map(|(id, it)| (id.clone(), (it.check.status.clone(), it.check.output.clone())))
            .collect()
    }

    /// Lets a file's check stand as the one of its id stood, be it of another service now.
    fn stand_again(&mut self, stood: BTreeMap<String, (String, String)>) {
        let discards = self.config.discard_check_output;
        for (id, (status, output)) in stood {
            let entry = self.entries.checks.get_mut(&id);
            if let Some(entry) = entry.filter(|it| it.origin == Origin::Config) {
                entry.check.status = status;
                entry.check.output = if discards { String::new() } else { output };
            }
        }
    }

    /// Why all of this cannot be loaded, in Consul's words.
    fn refuse_reload(
        &self,
        services: &[ServiceRegistration],
        checks: &[CheckRegistration],
    ) -> Result<(), String> {
        for service in services {
            for check in named(&service.service, service.checks.clone()) {
                self.refuse_check(&check, Origin::Config).map_err(|why| {
                    let (name, why) = (&service.service.service, text(why));
                    format!("Failed reloading services: Failed to register service {name:?}: {why}")
                })?;
            }
        }
        for check in checks {
            let (name, service) = (&check.check.name, &check.service_id);
            let failed = |why: String| {
                format!("Failed reloading checks: Failed to register check '{name}': {why}")
            };
            self.refuse_check(&check.check, Origin::Config).map_err(|why| failed(text(why)))?;
            let stays = || {
                let entry = self.entries.services.get(service);
                entry.is_some_and(|it| self.keeps(it.origin))
            };
            let is_there = service.is_empty()
                || services.iter().any(|it| it.service.id == *service)
                || stays();
            if !is_there {
                return Err(failed(format!("ServiceID \"{service}\" does not exist")));
            }
        }
        Ok(())
    }

    /// Drops what neither the files bring again nor the disk keeps; what the disk is to do.
    fn unload(
        &mut self,
        services: &[ServiceRegistration],
        checks: &[CheckRegistration],
        out: &mut Vec<Output>,
    ) -> Vec<Keep> {
        let wanted: BTreeSet<&str> = services.iter().map(|it| it.service.id.as_str()).collect();
        let of_services = services
            .iter()
            .flat_map(|it| named(&it.service, it.checks.clone()))
            .map(|it| it.check_id);
        let wanted_checks: BTreeSet<String> =
            checks.iter().map(|it| it.check.check_id.clone()).chain(of_services).collect();
        let entries = &self.entries;
        let gone_services: Vec<String> = entries
            .services
            .iter()
            .filter(|(id, it)| !self.keeps(it.origin) && !wanted.contains(id.as_str()))
            .map(|(id, _)| id.clone())
            .collect();
        let gone_checks: Vec<String> = entries
            .checks
            .iter()
            .filter(|(id, it)| !self.keeps(it.origin) && !wanted_checks.contains(*id))
            .map(|(id, _)| id.clone())
            .collect();
        let mut keeps = Vec::new();
        for id in gone_services {
            keeps.extend(self.drop_service(&id, out));
        }
        for id in gone_checks {
            keeps.extend(self.drop_check(&id, out));
        }
        keeps
    }

    /// What a user has kept under the ids that a file takes now.
    fn take_over(&self, service: &ServiceRegistration) -> Vec<Keep> {
        let id = &service.service.id;
        let user = self.entries.services.get(id).filter(|it| self.keeps(it.origin));
        let mut keeps: Vec<Keep> =
            user.map(|_| Keep::NoService { id: id.clone() }).into_iter().collect();
        for check in named(&service.service, service.checks.clone()) {
            let id = check.check_id;
            let user = self.entries.checks.get(&id).filter(|it| self.keeps(it.origin));
            keeps.extend(user.map(|_| Keep::NoCheck { id: id.clone() }));
        }
        keeps
    }
}
