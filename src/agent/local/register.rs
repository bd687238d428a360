//! What users ask to be changed (spec cluster 8.1, spec api 2.2), with Consul's texts.
//!
//! ```text
//!   request ─► local state ─► orders to the disk ─► kept ─► a pass over what changed ─► answer
//!                                                  refused ─► the state is put back, 500
//! ```
//!
//! An answer does not say that the catalog has it: a pass that fails is logged, and the next one heals.

use crate::agent::io::Output;
use crate::agent::types::Failure;
use crate::base::{Instant, RequestId};
use crate::planted;
use crate::state::{CRITICAL, HealthCheck, NodeService};

use super::core::{Local, note, tell};
use super::entries::CheckEntry;
use super::facts::LocalFact;
use super::keeping::{Operation, Undo};
use super::runner::Runner;
use super::types::{
    CheckRegistration, CheckType, Keep, LocalReply, LocalRequest, Origin, ServiceRegistration,
};
use super::validate;

const NODE_MAINTENANCE: &str = "_node_maintenance";
const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

/// What a change has done, and what the disk is to do.
pub(super) type Changed = (Vec<Keep>, Undo);

/// Why a change is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// 400, with this text.
    Invalid(String),
    /// 404, likewise.
    NotFound(String),
    /// 500, likewise.
    Refused(String),
}

impl Refusal {
    fn refused<T>(text: impl Into<String>) -> Result<T, Self> {
        Err(Refusal::Refused(text.into()))
    }
}

impl Local {
    /// Changes the local state as a user asks.
    pub(super) fn change(
        &mut self,
        now: Instant,
        id: RequestId,
        what: LocalRequest,
        out: &mut Vec<Output>,
    ) {
        let changed = match what {
            LocalRequest::UpdateTtl { id: check, status, output } => {
                return self.update_ttl(now, id, (&check, &status, &output), out);
            }
            LocalRequest::RegisterService(what) => self.register_service(now, what, out),
            LocalRequest::RegisterCheck(what) => self.register_check(now, what, out),
            LocalRequest::DeregisterService { id } => self.deregister_service(&id, out),
            LocalRequest::DeregisterCheck { id } => self.deregister_check(&id, out),
            LocalRequest::ServiceMaintenance { id, enable, reason } => {
                match self.entries.services.get(&id).map(|it| it.service.id.clone()) {
                    Some(service) => self.maintenance(now, Some(service), (enable, reason), out),
                    None => {
                        let text = format!("No service registered with ID \"{id}\"");
                        Err(Refusal::NotFound(text))
                    }
                }
            }
            LocalRequest::NodeMaintenance { enable, reason } => {
                self.maintenance(now, None, (enable, reason), out)
            }
            LocalRequest::Reload(what) => return self.reload(now, id, *what, out),
            // Read by `Local::ask`.
            LocalRequest::Services | LocalRequest::Service { .. } | LocalRequest::Checks => return,
        };
        match changed {
            Ok((keeps, undo)) => {
                let operation = Operation::new(Some(id), Some(undo));
                if let Some(operation) = self.keeping.begin(operation, keeps, out) {
                    self.kept_all(now, operation, Ok(()), out);
                }
            }
            Err(Refusal::Invalid(text)) => tell(id, LocalReply::Invalid(text), out),
            Err(Refusal::NotFound(text)) => tell(id, LocalReply::NotFound(text), out),
            Err(Refusal::Refused(text)) => {
                out.push(Output::Answer(id, Err(Failure::Refused(text))));
            }
        }
    }

    /// The disk has all of it, or not.
    pub(super) fn kept_all(
        &mut self,
        now: Instant,
        operation: Operation,
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        let Operation { asker, undo, complaint, .. } = operation;
        match (result, undo) {
            // Somebody waits until it is pushed.
            (Ok(()), Some(_)) => self.waiters.extend(asker),
            (Ok(()), None) => asker.into_iter().for_each(|id| tell(id, LocalReply::Done, out)),
            (Err(why), undo) => {
                let keeps = undo.map(|undo| self.put_back(now, undo, out)).unwrap_or_default();
                // Best effort: the disk has just refused, and what it holds is read at the next start.
                self.keeping.begin(Operation::new(None, None), keeps, out);
                let text = Failure::Refused(format!("{complaint}{why}"));
                out.extend(asker.map(|id| Output::Answer(id, Err(text))));
            }
        }
    }

    /// As it was before, where nobody else has changed it since.
    fn put_back(&mut self, now: Instant, undo: Undo, out: &mut Vec<Output>) -> Vec<Keep> {
        let mut keeps = Vec::new();
        for (id, version, before) in undo.services {
            let entries = &self.entries;
            let there = entries.services.get(&id).map(|it| it.version);
            let gone = entries.gone_services.get(&id).map(|it| it.version);
            if there.or(gone) != Some(version) {
                continue;
            }
            match before {
                Some(it) => {
                    keeps.extend(self.keep_service(&it.service, &it.token, it.origin));
                    self.entries.put_service(it.service, it.token, it.origin);
                }
                None => keeps.extend(self.drop_service(&id, out)),
            }
        }
        for (id, version, before) in undo.checks {
            let entries = &self.entries;
            let there = entries.checks.get(&id).map(|it| it.version);
            let gone = entries.gone_checks.get(&id).map(|it| it.version);
            if there.or(gone) != Some(version) {
                continue;
            }
            match before {
                Some(it) if self.has_service(&it.check.service_id) => {
                    keeps.extend(self.keep_check(&it.check, &it.registered, &it.token, it.origin));
                    self.put_check(now, it.check, it.registered, (it.token, it.origin), out);
                }
                _ => keeps.extend(self.drop_check(&id, out)),
            }
        }
        self.changed();
        keeps
    }

    fn has_service(&self, id: &str) -> bool {
        id.is_empty() || self.entries.services.contains_key(id)
    }

    /// Something is to be pushed, and may be watched.
    pub(super) fn changed(&mut self) {
        self.news = true;
        self.syncer.note_change();
    }

    pub(super) fn register_service(
        &mut self,
        now: Instant,
        what: ServiceRegistration,
        out: &mut Vec<Output>,
    ) -> Result<Changed, Refusal> {
        let ServiceRegistration { mut service, checks, token, replace_existing_checks, origin } =
            what;
        if service.service.is_empty() {
            return Err(Refusal::Invalid("Missing service name".to_owned()));
        }
        validate::complete(&mut service);
        let checks = named(&service, checks);
        for check in &checks {
            self.refuse_check(check, origin)?;
        }
        let mut surplus = self.entries.checks_of(&service.id);
        surplus.retain(|id| checks.iter().all(|check| check.check_id != *id));
        let (mut keeps, mut undo) = (Vec::new(), Undo::default());
        let (id, before) = (service.id.clone(), self.entries.services.get(&service.id).cloned());
        keeps.extend(self.keep_service(&service, &token, origin));
        self.entries.put_service(service.clone(), token.clone(), origin);
        let version = self.entries.services.get(&id).map_or(0, |it| it.version);
        undo.services.push((id.clone(), version, before));
        for registered in checks {
            let mut check = self.health_check(&registered, Some(&service));
            registered.definition.kind().clone_into(&mut check.kind);
            keeps.extend(self.keep_check(&check, &registered, &token, origin));
            undo.checks.push(self.put_check(now, check, registered, (token.clone(), origin), out));
        }
        for id in surplus.iter().filter(|_| replace_existing_checks) {
            undo.checks.extend(self.entries.checks.get(id).cloned().map(|entry| {
                // Its version once it is gone.
                (id.clone(), 0, Some(entry))
            }));
            keeps.extend(self.drop_check(id, out));
            let version = self.entries.gone_checks.get(id).map_or(0, |gone| gone.version);
            undo.checks.iter_mut().filter(|it| it.0 == *id).for_each(|it| it.1 = version);
        }
        self.alias_changed(&id);
        self.changed();
        Ok((keeps, undo))
    }

    pub(super) fn register_check(
        &mut self,
        now: Instant,
        what: CheckRegistration,
        out: &mut Vec<Output>,
    ) -> Result<Changed, Refusal> {
        let CheckRegistration { service_id, check: mut registered, token, origin } = what;
        if registered.check_id.is_empty() {
            registered.check_id.clone_from(&registered.name);
        }
        if registered.check_id.is_empty() {
            return Refusal::refused("CheckID missing");
        }
        let service = self.entries.services.get(&service_id).map(|it| it.service.clone());
        if service.is_none() && !service_id.is_empty() {
            return Refusal::refused(format!("ServiceID \"{service_id}\" does not exist"));
        }
        let maintenance =
            is_maintenance(&registered.check_id) && registered.definition.kind().is_empty();
        if !maintenance {
            self.refuse_check(&registered, origin)?;
        }
        let mut check = self.health_check(&registered, service.as_ref());
        // Consul leaves it empty for checks of configuration files.
        let kind = match origin {
            _ if maintenance => "maintenance",
            Origin::Api => registered.definition.kind(),
            Origin::Config => "",
        };
        kind.clone_into(&mut check.kind);
        let critical = self.entries.checks.get(&check.check_id);
        let critical = critical.is_some_and(|it| it.check.status == CRITICAL);
        let keeps = self.keep_check(&check, &registered, &token, origin).into_iter().collect();
        let undo = self.put_check(now, check, registered, (token, origin), out);
        if critical {
            self.note_critical(now, &undo.0);
        }
        self.alias_changed(&service_id);
        self.changed();
        Ok((keeps, Undo { checks: vec![undo], services: Vec::new() }))
    }

    pub(super) fn deregister_service(
        &mut self,
        id: &str,
        out: &mut Vec<Output>,
    ) -> Result<Changed, Refusal> {
        if id.is_empty() {
            return Refusal::refused("ServiceID missing");
        }
        let Some(before) = self.entries.services.get(id).cloned() else {
            note(LocalFact::NoSuchService { service: id.to_owned() }, out);
            return Ok(Changed::default());
        };
        let checks: Vec<CheckEntry> = self
            .entries
            .checks_of(id)
            .iter()
            .filter_map(|id| self.entries.checks.get(id).cloned())
            .collect();
        let keeps = self.drop_service(id, out);
        let gone = &self.entries.gone_services;
        let version = gone.get(id).map_or(0, |gone| gone.version);
        let mut undo = Undo::default();
        undo.services.push((id.to_owned(), version, Some(before)));
        undo.checks.extend(checks.into_iter().map(|entry| {
            let id = entry.check.check_id.clone();
            let version = self.entries.gone_checks.get(&id).map_or(0, |gone| gone.version);
            (id, version, Some(entry))
        }));
        self.changed();
        Ok((keeps, undo))
    }

    fn deregister_check(&mut self, id: &str, out: &mut Vec<Output>) -> Result<Changed, Refusal> {
        if id.is_empty() {
            return Refusal::refused("CheckID missing");
        }
        let Some(before) = self.entries.checks.get(id).cloned() else {
            return Ok(Changed::default());
        };
        let keeps = self.drop_check(id, out).into_iter().collect();
        let gone = self.entries.gone_checks.get(id);
        let version = gone.map_or(0, |gone| gone.version);
        let checks = vec![(id.to_owned(), version, Some(before))];
        self.changed();
        Ok((keeps, Undo { checks, services: Vec::new() }))
    }

    /// Puts the node, or a service, out of use, or back into it; what is so already stays.
    fn maintenance(
        &mut self,
        now: Instant,
        service: Option<String>,
        (enable, reason): (bool, String),
        out: &mut Vec<Output>,
    ) -> Result<Changed, Refusal> {
        let check_id = match &service {
            Some(id) => format!("{SERVICE_MAINTENANCE}{id}"),
            None => NODE_MAINTENANCE.to_owned(),
        };
        if self.entries.checks.contains_key(&check_id) == enable {
            return Ok(Changed::default());
        }
        note(LocalFact::Maintenance { service: service.clone(), entered: enable }, out);
        if !enable {
            return self.deregister_check(&check_id, out);
        }
        let (word, what) =
            if service.is_some() { ("Service", "service") } else { ("Node", "node") };
        let notes = match reason.as_str() {
            "" => format!(
                "Maintenance mode is enabled for this {what}, but no reason was provided. This is a \
                 default message."
            ),
            _ => reason,
        };
        let name = format!("{word} Maintenance Mode");
        let check = CheckType {
            check_id,
            name,
            status: CRITICAL.to_owned(),
            notes,
            ..CheckType::default()
        };
        let service_id = service.unwrap_or_default();
        let what = CheckRegistration { service_id, check, ..CheckRegistration::default() };
        self.register_check(now, what, out)
    }

    /// Whether a check may not run here, and Consul's text.
    pub(super) fn refuse_check(&self, check: &CheckType, origin: Origin) -> Result<(), Refusal> {
        let config = &self.config;
        let local = config.enable_local_script_checks || config.enable_script_checks;
        if !check.definition.script_args.is_empty() {
            if origin == Origin::Config && !local {
                return Refusal::refused(
                    "Scripts are disabled on this agent; to enable, configure \
                     'enable_script_checks' or 'enable_local_script_checks' to true",
                );
            }
            if origin == Origin::Api && !config.enable_script_checks {
                return Refusal::refused(
                    "Scripts are disabled on this agent from remote calls; to enable, configure \
                     'enable_script_checks' to true",
                );
            }
        }
        match Runner::of(check, config.check_output_max_size) {
            Some(_) => Ok(()),
            None => Refusal::refused("Check type is not valid"),
        }
    }

    /// A check as the catalog is to have it; one that is there already stands as it stood.
    fn health_check(&self, registered: &CheckType, service: Option<&NodeService>) -> HealthCheck {
        let status = if registered.status.is_empty() { CRITICAL } else { &registered.status };
        let (status, output) = match self.entries.checks.get(&registered.check_id) {
            Some(old) => (old.check.status.clone(), old.check.output.clone()),
            None => (status.to_owned(), String::new()),
        };
        HealthCheck {
            node: self.config.node_name.clone(),
            check_id: registered.check_id.clone(),
            name: registered.name.clone(),
            status,
            notes: registered.notes.clone(),
            output,
            service_id: service.map(|it| it.id.clone()).unwrap_or_default(),
            service_name: service.map(|it| it.service.clone()).unwrap_or_default(),
            service_tags: service.map(|it| it.tags.clone()).unwrap_or_default(),
            ..HealthCheck::default()
        }
    }

    fn keep_service(&self, service: &NodeService, token: &str, origin: Origin) -> Option<Keep> {
        let what = ServiceRegistration {
            service: service.clone(),
            token: token.to_owned(),
            origin,
            ..ServiceRegistration::default()
        };
        self.keeps(origin).then_some(Keep::Service(what))
    }

    fn keep_check(
        &self,
        check: &HealthCheck,
        registered: &CheckType,
        token: &str,
        origin: Origin,
    ) -> Option<Keep> {
        let (service_id, token) = (check.service_id.clone(), token.to_owned());
        let check = registered.clone();
        let what = CheckRegistration { service_id, check, token, origin };
        self.keeps(origin).then_some(Keep::Check(what))
    }

    pub(super) fn keeps(&self, origin: Origin) -> bool {
        self.config.keeps_definitions && origin == Origin::Api
    }

    /// Takes a service away with its checks.
    pub(super) fn drop_service(&mut self, id: &str, out: &mut Vec<Output>) -> Vec<Keep> {
        let mut keeps = Vec::new();
        for check in self.entries.checks_of(id) {
            keeps.extend(self.drop_check(&check, out));
        }
        if let Some(entry) = self.entries.remove_service(id)
            && self.keeps(entry.origin)
            // Oracle of the plant: no-resurrection. Its file brings it back after a restart.
            && !planted!(self.faults, "definitions-stay-on-disk")
        {
            keeps.insert(0, Keep::NoService { id: id.to_owned() });
        }
        self.alias_changed(id);
        keeps
    }

    /// Takes a check away.
    pub(super) fn drop_check(&mut self, id: &str, out: &mut Vec<Output>) -> Option<Keep> {
        let entry = self.entries.remove_check(id)?;
        self.stop_runner(id, out);
        self.agenda.forget(id);
        self.alias_changed(&entry.check.service_id);
        // How a TTL check stands is kept whoever brought it.
        let has_state = !entry.registered.definition.ttl.is_zero() && self.config.keeps_definitions;
        let kept = self.keeps(entry.origin) || has_state;
        kept.then(|| Keep::NoCheck { id: id.to_owned() })
    }
}

fn is_maintenance(id: &str) -> bool {
    id == NODE_MAINTENANCE || id.starts_with(SERVICE_MAINTENANCE)
}

/// A service's checks with the ids and names that they have when nobody gives them others; without those
/// that say nothing.
pub(super) fn named(service: &NodeService, mut checks: Vec<CheckType>) -> Vec<CheckType> {
    checks.retain(|check| *check != CheckType::default());
    let several = checks.len() > 1;
    for (place, check) in checks.iter_mut().enumerate() {
        if check.check_id.is_empty() {
            let id = &service.id;
            check.check_id = match several {
                true => format!("service:{id}:{}", place + 1),
                false => format!("service:{id}"),
            };
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", service.service);
        }
    }
    checks
}
