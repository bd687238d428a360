//! How checks come to stand as they do: they run, are told, expire, follow others (spec cluster 8.6 to
//! 8.8).

use crate::agent::io::Output;
use crate::agent::types::{Failure, Reply};
use crate::base::{Duration, Instant, RequestId};
use crate::state::{CRITICAL, HealthCheck};

use super::agenda::Due;
use super::alias;
use super::core::{Local, note, tell};
use super::entries::{CheckEntry, Version};
use super::facts::{Item, LocalFact};
use super::keeping::Operation;
use super::runner::{ALIAS_REFRESH, INTERVAL_MIN, Runner, cut, expired};
use super::types::{CheckType, Health, Keep, LocalReply, Origin, ProbeId, ProbeResult, TtlState};

/// No check takes its service with it sooner.
const REAP_AFTER_MIN: Duration = Duration::from_secs(60);
/// So often those are looked for that do, counted from the agent's start.
const REAP_INTERVAL: Duration = Duration::from_secs(30);

impl Local {
    /// Puts a check in its place and sets it going; what it takes to undo that.
    pub(super) fn put_check(
        &mut self,
        now: Instant,
        mut check: HealthCheck,
        registered: CheckType,
        from: (String, Origin),
        out: &mut Vec<Output>,
    ) -> (String, Version, Option<CheckEntry>) {
        let id = check.check_id.clone();
        if self.config.discard_check_output {
            check.output.clear();
        }
        let before = self.entries.checks.get(&id).cloned();
        self.stop_runner(&id, out);
        self.agenda.forget(&id);
        let reap_after = registered.definition.deregister_critical_service_after;
        if !reap_after.is_zero() && reap_after < REAP_AFTER_MIN {
            note(LocalFact::DeregisterIntervalRaised { check: id.clone() }, out);
        }
        let runner = Runner::of(&registered, self.config.check_output_max_size);
        let interval = registered.definition.interval;
        self.entries.put_check(check, registered, from);
        let first = match &runner {
            Some(Runner::Probed { interval: raised, .. }) => {
                if interval < INTERVAL_MIN {
                    note(LocalFact::IntervalRaised { check: id.clone() }, out);
                }
                Some(now + self.prng.duration(Duration::ZERO, *raised))
            }
            Some(Runner::Ttl { ttl, .. }) => Some(now + *ttl),
            Some(Runner::LocalAlias { service }) => {
                self.local_aliases.insert(id.clone(), service.clone());
                self.alias_due.insert(id.clone());
                Some(now + ALIAS_REFRESH)
            }
            Some(Runner::RemoteAlias(_)) => Some(now),
            None => None,
        };
        self.agenda.set(&id, Due::Run, first);
        self.runners.extend(runner.map(|runner| (id.clone(), runner)));
        let version = self.entries.checks.get(&id).map_or(0, |it| it.version);
        (id, version, before)
    }

    pub(super) fn stop_runner(&mut self, id: &str, out: &mut Vec<Output>) {
        self.local_aliases.remove(id);
        self.alias_due.remove(id);
        self.alias_errands.retain(|_, check| check != id);
        if let Some(Runner::Probed { under_way: Some(probe), .. }) = self.runners.remove(id) {
            self.probes.remove(&probe);
            out.push(Output::CancelProbe(probe));
        }
    }

    /// A check's time has come.
    pub(super) fn run(&mut self, now: Instant, id: &str, out: &mut Vec<Output>) {
        let next = self.next_probe();
        let pushed = self.entries.checks.get(id).is_some_and(|it| it.in_sync);
        match self.runners.get_mut(id) {
            Some(Runner::Probed { probe, under_way, .. }) => {
                *under_way = Some(next);
                out.push(Output::Probe(next, probe.clone()));
                self.probes.insert(next, id.to_owned());
            }
            Some(Runner::Ttl { last_output, .. }) => {
                let output = expired(last_output);
                note(LocalFact::MissedTtl { check: id.to_owned() }, out);
                self.update_check(now, id, CRITICAL, &output);
            }
            Some(Runner::LocalAlias { .. }) => {
                self.alias_due.insert(id.to_owned());
            }
            Some(Runner::RemoteAlias(remote)) => {
                if remote.waits_for_push(pushed) {
                    self.agenda.set(id, Due::Run, Some(now + alias::PUSH_TAKES));
                    return;
                }
                let question = remote.question();
                let errand = self.send(question);
                self.alias_errands.insert(errand, id.to_owned());
            }
            None => {}
        }
    }

    /// What a probe found.
    pub(super) fn take_result(
        &mut self,
        now: Instant,
        probe: ProbeId,
        result: ProbeResult,
        out: &mut Vec<Output>,
    ) {
        let Some(id) = self.probes.remove(&probe) else { return };
        let Some(Runner::Probed { interval, under_way, counts, .. }) = self.runners.get_mut(&id)
        else {
            return;
        };
        *under_way = None;
        let next = now + *interval;
        let counts = counts.count(result.health) || result.at_once;
        self.agenda.set(&id, Due::Run, Some(next));
        let (check, passed) = (id.clone(), result.health != Health::Critical);
        let status = result.health.word();
        note(
            match (counts, passed) {
                (false, _) => LocalFact::BelowThreshold { check, passed },
                (true, true) => LocalFact::StatusUpdated { check, status },
                (true, false) => LocalFact::IsCritical { check },
            },
            out,
        );
        if counts {
            self.update_check(now, &id, status, &result.output);
        }
    }

    /// Somebody says how a TTL check stands.
    pub(super) fn update_ttl(
        &mut self,
        now: Instant,
        asker: RequestId,
        (id, status, output): (&str, &str, &str),
        out: &mut Vec<Output>,
    ) {
        let Some(health) = Health::of_word(status) else {
            let text = format!("Invalid check status: '{status}'");
            return tell(asker, LocalReply::Invalid(text), out);
        };
        let Some(Runner::Ttl { ttl, last_output, output_max_size }) = self.runners.get_mut(id)
        else {
            let text = format!("CheckID \"{id}\" does not have associated TTL");
            return out.push(Output::Answer(asker, Err(Failure::Refused(text))));
        };
        let (ttl, output) = (*ttl, cut(output, *output_max_size));
        last_output.clone_from(&output);
        self.agenda.set(id, Due::Run, Some(now + ttl));
        let fact = LocalFact::StatusUpdated { check: id.to_owned(), status: health.word() };
        note(fact, out);
        self.update_check(now, id, health.word(), &output);
        let check_id = id.to_owned();
        let state = TtlState { check_id, health, output, valid_for: ttl };
        let keeps = self.config.keeps_definitions.then_some(Keep::TtlState(state));
        let mut operation = Operation::new(Some(asker), None);
        operation.complaint = format!("failed persisting state for check \"{id}\": ");
        let done = self.keeping.begin(operation, keeps.into_iter().collect(), out);
        if let Some(operation) = done {
            self.kept_all(now, operation, Ok(()), out);
        }
    }

    /// A check stands like this now (spec cluster 8.6). A status goes to the catalog at once, an output
    /// alone later.
    pub(super) fn update_check(&mut self, now: Instant, id: &str, status: &str, output: &str) {
        let output = if self.config.discard_check_output { "" } else { output };
        if status == CRITICAL {
            self.note_critical(now, id);
        }
        let version = self.entries.next_version();
        let Some(entry) = self.entries.checks.get_mut(id) else { return };
        if status != CRITICAL {
            entry.critical_since = None;
            self.agenda.set(id, Due::Reap, None);
        }
        let check = &mut entry.check;
        let same_status = check.status == status;
        if same_status && check.output == output {
            return;
        }
        output.clone_into(&mut check.output);
        entry.version = version;
        let delay = self.config.check_update_interval;
        if same_status && !delay.is_zero() {
            if !self.agenda.has(id, Due::Output) {
                let later = delay / 2 + self.prng.duration(Duration::ZERO, delay);
                self.agenda.set(id, Due::Output, Some(now + later));
            }
            return;
        }
        status.clone_into(&mut check.status);
        self.entries.changed.insert(Item::Check(id.to_owned()));
        entry.in_sync = false;
        let service = check.service_id.clone();
        self.syncer.note_change();
        self.alias_changed(&service);
    }

    /// A check is known to be critical, from now on if it was not before.
    pub(super) fn note_critical(&mut self, now: Instant, id: &str) {
        let Some(entry) = self.entries.checks.get_mut(id) else { return };
        if entry.critical_since.is_some() {
            return;
        }
        entry.critical_since = Some(now);
        let after = entry.registered.definition.deregister_critical_service_after;
        if !after.is_zero() && !entry.check.service_id.is_empty() {
            // The first look at which it has been critical for longer than that.
            let until = now + after.max(REAP_AFTER_MIN);
            let looks = until.since(self.began).as_nanos() / REAP_INTERVAL.as_nanos() + 1;
            let looks = u32::try_from(looks).unwrap_or(u32::MAX);
            let at = self.began + REAP_INTERVAL.saturating_mul(looks);
            self.agenda.set(id, Due::Reap, Some(at));
        }
    }

    /// A check has been critical for too long: its service goes.
    pub(super) fn reap(&mut self, id: &str, out: &mut Vec<Output>) {
        let Some(entry) = self.entries.checks.get(id) else { return };
        let service = entry.check.service_id.clone();
        if let Ok((keeps, _)) = self.deregister_service(&service, out) {
            self.keeping.begin(Operation::new(None, None), keeps, out);
            note(LocalFact::Reaped { service, check: id.to_owned() }, out);
        }
    }

    /// Something about a service has changed: checks that stand as it does look again.
    pub(super) fn alias_changed(&mut self, service: &str) {
        let followers = self.local_aliases.iter().filter(|(_, it)| *it == service);
        self.alias_due.extend(followers.map(|(id, _)| id.clone()));
    }

    pub(super) fn look_at_alias(&mut self, now: Instant, id: &str) {
        let Some(service) = self.local_aliases.get(id).cloned() else { return };
        let checks = self.entries.checks.values().map(|it| &it.check);
        let exists = || self.entries.services.contains_key(&service);
        let (status, output) = alias::stand(checks, ("", &service), exists);
        self.agenda.set(id, Due::Run, Some(now + ALIAS_REFRESH));
        self.update_check(now, id, status, &self.limited(&output));
    }

    /// Aliases of aliases quote one another without end.
    fn limited(&self, output: &str) -> String {
        cut(output, usize::try_from(self.config.check_output_max_size).unwrap_or(usize::MAX))
    }

    /// What the servers say of a node that a check follows.
    pub(super) fn alias_answered(
        &mut self,
        now: Instant,
        id: &str,
        result: Result<Reply, Failure>,
    ) {
        let Some(Runner::RemoteAlias(alias)) = self.runners.get_mut(id) else { return };
        let next = alias.answered(result);
        if let Some((status, output)) = next.stand {
            self.update_check(now, id, status, &self.limited(&output));
        }
        self.agenda.set(id, Due::Run, Some(now + next.after));
    }
}
