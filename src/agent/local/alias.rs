//! Checks that stand as another service or node does (spec cluster 8.7, "alias").
//!
//! ```text
//!   asks for the node's checks (stale, blocking) ──► none of the service? asks for its services ──► result
//!        ▲ failed: critical from the second time on; from the fourth on after 2, 4, 8 … 60 s
//! ```

use std::sync::Arc;

use crate::agent::types::{Failure, ReadMode, ReadOptions, Reply, Request};
use crate::base::Duration;
use crate::state::{Answer, CRITICAL, CheckDefinition, HealthCheck, PASSING, Query, Rows};

const WAIT: Duration = Duration::from_secs(60);
/// Failures after which it waits before it asks again …
const PATIENCE: u32 = 3;
/// … at most so long.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// So often the look-up of a service is tried again.
const LOOKUPS_MAX: u32 = 3;

/// So long a first question waits for the check itself to be pushed …
pub(super) const PUSH_TAKES: Duration = Duration::from_millis(50);
/// … and so often.
const PUSH_WAITS: u32 = 20;

/// How an alias stands, and why.
pub(super) type Stand = (&'static str, String);

/// What these checks make of a service; none of its own among them and `exists` says no: it is critical.
/// `node` restricts them, and is empty for this agent's own.
pub(super) fn stand<'a>(
    checks: impl Iterator<Item = &'a HealthCheck>,
    (node, service): (&str, &str),
    exists: impl FnOnce() -> bool,
) -> Stand {
    let (mut health, mut text) = (PASSING, "No checks found.".to_owned());
    let mut found = false;
    for check in checks {
        let elsewhere = !node.is_empty() && !node.eq_ignore_ascii_case(&check.node);
        let matches = check.service_id == service;
        if elsewhere || !(check.service_id.is_empty() || matches) {
            continue;
        }
        found |= matches;
        if check.status == CRITICAL || check.status == "warning" {
            text = format!("Aliased check \"{}\" failing: {}", check.name, check.output);
            if check.status == CRITICAL {
                health = CRITICAL;
                break;
            }
            health = "warning";
        } else if health == PASSING {
            "All checks passing.".clone_into(&mut text);
        }
    }
    if !found && !exists() {
        return (CRITICAL, format!("Service {service} could not be found on node {node}"));
    }
    (health, text)
}

/// An alias of a node, or of a service on one.
#[derive(Debug)]
pub(super) struct RemoteAlias {
    node: String,
    service: String,
    /// Of the last answer.
    index: u64,
    failures: u32,
    push_waits: u32,
    looking_up: Option<LookUp>,
}

/// Whether a service without checks is there at all.
#[derive(Debug)]
struct LookUp {
    checks: Vec<Arc<HealthCheck>>,
    tries: u32,
}

/// What follows from an answer.
#[derive(Debug)]
pub(super) struct Next {
    /// How it stands now.
    pub stand: Option<Stand>,
    /// Ask again after so long.
    pub after: Duration,
}

impl RemoteAlias {
    pub fn new(definition: &CheckDefinition) -> Self {
        let (node, service) = (definition.alias_node.clone(), definition.alias_service.clone());
        Self { node, service, index: 0, failures: 0, push_waits: 0, looking_up: None }
    }

    /// Whether the first question is to wait. In Consul the catalog has the check by then: one that is
    /// about its own node finds itself there, critical, and stays so.
    pub fn waits_for_push(&mut self, pushed: bool) -> bool {
        let waits = !pushed && self.index == 0 && self.push_waits < PUSH_WAITS;
        self.push_waits += u32::from(waits);
        waits
    }

    /// What it asks the servers now.
    pub fn question(&self) -> Request {
        let node = self.node.clone();
        let (query, min_index) = match &self.looking_up {
            Some(_) => (Query::CatalogNode { node }, 0),
            None => (Query::HealthNode { node }, self.index),
        };
        let options = ReadOptions { mode: ReadMode::Stale, min_index, max_wait: WAIT };
        Request::Read { query, options }
    }

    /// Takes what the servers said.
    pub fn answered(&mut self, result: Result<Reply, Failure>) -> Next {
        match self.looking_up.take() {
            Some(look_up) => self.looked_up(look_up, result),
            None => self.checks_came(result),
        }
    }

    fn checks_came(&mut self, result: Result<Reply, Failure>) -> Next {
        match result {
            Ok(Reply::Read { answer: Answer { index, rows: Rows::Checks(checks) }, .. }) => {
                self.failures = 0;
                self.index = index.max(1);
                let mut in_doubt = false;
                let place = (self.node.as_str(), self.service.as_str());
                let stand = stand(checks.iter().map(|it| &**it), place, || {
                    in_doubt = true;
                    true
                });
                if in_doubt {
                    self.looking_up = Some(LookUp { checks, tries: 0 });
                    return Next { stand: None, after: Duration::ZERO };
                }
                Next { stand: Some(stand), after: Duration::ZERO }
            }
            Ok(_) => self.failed("unexpected answer"),
            Err(why) => self.failed(&why.to_string()),
        }
    }

    fn failed(&mut self, why: &str) -> Next {
        self.failures = self.failures.saturating_add(1);
        let text = format!("Failure checking aliased node or service: {why}");
        let after = match self.failures.checked_sub(PATIENCE) {
            None | Some(0) => Duration::ZERO,
            Some(more) => Duration::from_secs(1 << more.min(6)).min(BACK_OFF_MAX),
        };
        Next { stand: (self.failures > 1).then_some((CRITICAL, text)), after }
    }

    fn looked_up(&mut self, mut look_up: LookUp, result: Result<Reply, Failure>) -> Next {
        let exists = match result {
            Ok(Reply::Read { answer: Answer { rows: Rows::NodeServices(found), .. }, .. }) => {
                found.is_some_and(|(_, services)| services.iter().any(|it| it.id == self.service))
            }
            _ if look_up.tries < LOOKUPS_MAX => {
                look_up.tries += 1;
                let after = Duration::from_secs(look_up.tries.into());
                self.looking_up = Some(look_up);
                return Next { stand: None, after };
            }
            // Nobody knows: it is taken to be there.
            _ => true,
        };
        let place = (self.node.as_str(), self.service.as_str());
        let stand = stand(look_up.checks.iter().map(|it| &**it), place, || exists);
        Next { stand: Some(stand), after: Duration::ZERO }
    }
}
