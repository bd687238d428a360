//! What is watched: the kinds and their parameters (spec api 7.2, 7.4).
//!
//! Parameters come as JSON values by name, from a file or from flags. Each kind takes its own; what is
//! left over is refused by name. The texts are those of Consul's `watch.Parse`.

use std::collections::BTreeMap;

use serde_json::Value;

/// A watch's parameters by name, as they were given.
pub type Params = BTreeMap<String, Value>;

/// A watch without its handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Empty: the agent's own.
    pub datacenter: String,
    /// Sent with every question; empty: none.
    pub token: String,
    /// Any server may answer.
    pub stale: bool,
    /// A filter expression; empty: none.
    pub filter: String,
    /// What is looked at.
    pub subject: Subject,
}

/// The kinds of watches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the parameters of those names")]
pub enum Subject {
    /// One key.
    Key { key: String },
    /// All keys that begin so.
    KeyPrefix { prefix: String },
    /// Names of services, and their tags.
    Services,
    /// Nodes of the catalog.
    Nodes,
    /// Instances of a service.
    Service { service: String, tags: Vec<String>, passing_only: bool },
    /// Checks of a service.
    ChecksOfService { service: String },
    /// Checks in a state; `any`: all.
    ChecksInState { state: String },
    /// User events that the agent has heard, of this name; empty: of any.
    Event { name: String },
    /// A service of the agent itself.
    AgentService { service_id: String },
}

impl Plan {
    /// From parameters, all of which must have a meaning.
    ///
    /// # Errors
    /// Consul's text.
    pub fn parse(mut params: Params) -> Result<Self, String> {
        let plan = Self::take_from(&mut params)?;
        refuse_rest(&params)?;
        Ok(plan)
    }

    /// Takes what is the plan's out of `params`; what is left is somebody else's.
    pub(super) fn take_from(params: &mut Params) -> Result<Self, String> {
        let datacenter = take_text(params, "datacenter")?;
        let token = take_text(params, "token")?;
        let kind = take_text(params, "type")?;
        let (mut stale, mut filter) = (false, String::new());
        let mut options = |params: &mut Params, filters: bool| -> Result<(), String> {
            stale = take_bool(params, "stale")?;
            if filters {
                filter = take_text(params, "filter")?;
            }
            Ok(())
        };
        let subject = match kind.as_str() {
            "" => return Err("Watch type must be specified".to_owned()),
            "key" => {
                options(params, false)?;
                Subject::Key { key: needed(params, "key")? }
            }
            "keyprefix" => {
                options(params, false)?;
                Subject::KeyPrefix { prefix: needed(params, "prefix")? }
            }
            "services" => {
                options(params, true)?;
                Subject::Services
            }
            "nodes" => {
                options(params, true)?;
                Subject::Nodes
            }
            "service" => {
                options(params, true)?;
                let service = needed(params, "service")?;
                let tags = take_texts(params, "tag")?;
                let passing_only = take_bool(params, "passingonly")?;
                Subject::Service { service, tags, passing_only }
            }
            "checks" => {
                options(params, true)?;
                checks(params)?
            }
            "event" => Subject::Event { name: take_text(params, "name")? },
            "agent_service" => {
                Subject::AgentService { service_id: take_text(params, "service_id")? }
            }
            other => return Err(format!("Unsupported watch type: {other}")),
        };
        Ok(Self { datacenter, token, stale, filter, subject })
    }

    /// The kind's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.subject {
            Subject::Key { .. } => "key",
            Subject::KeyPrefix { .. } => "keyprefix",
            Subject::Services => "services",
            Subject::Nodes => "nodes",
            Subject::Service { .. } => "service",
            Subject::ChecksOfService { .. } | Subject::ChecksInState { .. } => "checks",
            Subject::Event { .. } => "event",
            Subject::AgentService { .. } => "agent_service",
        }
    }
}

fn checks(params: &mut Params) -> Result<Subject, String> {
    let service = take_text(params, "service")?;
    let state = take_text(params, "state")?;
    match (service.is_empty(), state.is_empty()) {
        (false, false) => Err("Cannot specify service and state".to_owned()),
        (false, true) => Ok(Subject::ChecksOfService { service }),
        (true, false) => Ok(Subject::ChecksInState { state }),
        (true, true) => Ok(Subject::ChecksInState { state: "any".to_owned() }),
    }
}

/// Refuses what nobody has taken.
pub(super) fn refuse_rest(params: &Params) -> Result<(), String> {
    if params.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = params.keys().map(String::as_str).collect();
    Err(format!("Invalid parameters: [{}]", names.join(" ")))
}

fn needed(params: &mut Params, name: &str) -> Result<String, String> {
    let text = take_text(params, name)?;
    if text.is_empty() {
        return Err(format!("Must specify a single {name} to watch"));
    }
    Ok(text)
}

/// A text; empty when it is not there.
pub(super) fn take_text(params: &mut Params, name: &str) -> Result<String, String> {
    match params.remove(name) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("Expecting {name} to be a string")),
    }
}

fn take_bool(params: &mut Params, name: &str) -> Result<bool, String> {
    match params.remove(name) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(value),
        Some(_) => Err(format!("Expecting {name} to be a boolean")),
    }
}

fn take_texts(params: &mut Params, name: &str) -> Result<Vec<String>, String> {
    match params.remove(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => {
            let text = |(at, item): (usize, Value)| match item {
                Value::String(text) => Ok(text),
                _ => Err(format!("Index {at} of {name} expected to be string")),
            };
            items.into_iter().enumerate().map(text).collect()
        }
        Some(_) => Err(format!("Expecting {name} to be a string or []string")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(params: Value) -> Result<Plan, String> {
        Plan::parse(serde_json::from_value(params).expect("an object"))
    }

    #[test]
    fn refuses_in_consuls_words() {
        for (params, text) in [
            (json!({}), "Watch type must be specified"),
            (json!({"type": ""}), "Watch type must be specified"),
            (json!({"type": 1}), "Expecting type to be a string"),
            (json!({"type": "nope"}), "Unsupported watch type: nope"),
            (json!({"type": "connect_roots"}), "Unsupported watch type: connect_roots"),
            (json!({"type": "key"}), "Must specify a single key to watch"),
            (json!({"type": "key", "key": ""}), "Must specify a single key to watch"),
            (json!({"type": "key", "key": ["a"]}), "Expecting key to be a string"),
            (json!({"type": "keyprefix"}), "Must specify a single prefix to watch"),
            (json!({"type": "service"}), "Must specify a single service to watch"),
            (
                json!({"type": "checks", "service": "web", "state": "any"}),
                "Cannot specify service and state",
            ),
            (json!({"type": "services", "stale": "yes"}), "Expecting stale to be a boolean"),
            (
                json!({"type": "service", "service": "web", "tag": 1}),
                "Expecting tag to be a string or []string",
            ),
            (
                json!({"type": "service", "service": "web", "tag": ["a", 1]}),
                "Index 1 of tag expected to be string",
            ),
            (json!({"type": "nodes", "key": "a", "args": ["x"]}), "Invalid parameters: [args key]"),
            (json!({"type": "event", "stale": true}), "Invalid parameters: [stale]"),
        ] {
            assert_eq!(parse(params.clone()), Err(text.to_owned()), "{params}");
        }
    }

    #[test]
    fn the_kinds_of_the_third_article_are_known() {
        for (params, kind) in [
            (json!({"type": "key", "key": "a", "stale": true}), "key"),
            (json!({"type": "keyprefix", "prefix": "a/"}), "keyprefix"),
            (json!({"type": "services", "datacenter": "dc2", "token": "t"}), "services"),
            (json!({"type": "nodes", "filter": "Node == n1"}), "nodes"),
            (
                json!({"type": "service", "service": "web", "tag": "a", "passingonly": true}),
                "service",
            ),
            (json!({"type": "checks", "service": "web"}), "checks"),
            (json!({"type": "checks"}), "checks"),
            (json!({"type": "event", "name": "deploy"}), "event"),
            (json!({"type": "agent_service", "service_id": "web1"}), "agent_service"),
        ] {
            assert_eq!(parse(params.clone()).expect("known").kind(), kind, "{params}");
        }
    }
}
