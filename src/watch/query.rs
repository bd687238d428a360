//! A plan as a question to the agent's HTTP API, and what its answer says.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::http::client::Answer;
use crate::http::escape::{escape_path, escape_query};

use super::data;
use super::plan::{Plan, Subject};
use super::poller::Marker;

/// A question to the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Percent-encoded.
    pub path: String,
    /// As they are.
    pub params: Vec<(&'static str, Cow<'a, str>)>,
}

impl Question<'_> {
    /// As it stands in a request line.
    #[must_use]
    pub fn target(&self) -> String {
        let mut target = self.path.clone();
        for (at, (name, value)) in self.params.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(target, "{}{name}=", if at == 0 { '?' } else { '&' });
            escape_query(value, &mut target);
        }
        target
    }
}

impl Plan {
    /// The next question. With a marker the agent answers once there is something newer; without one
    /// at once.
    #[must_use]
    pub fn question(&self, after: Option<&Marker>) -> Question<'_> {
        let mut path = String::from("/v1/");
        let mut params: Vec<(&'static str, Cow<'_, str>)> = Vec::new();
        match &self.subject {
            Subject::Key { key } => join(&mut path, "kv/", key),
            Subject::KeyPrefix { prefix } => {
                join(&mut path, "kv/", prefix);
                params.push(("recurse", "".into()));
            }
            Subject::Services => path.push_str("catalog/services"),
            Subject::Nodes => path.push_str("catalog/nodes"),
            Subject::Service { service, tags, passing_only } => {
                join(&mut path, "health/service/", service);
                params.extend(tags.iter().map(|tag| ("tag", tag.into())));
                params.extend(passing_only.then_some(("passing", "1".into())));
            }
            Subject::ChecksOfService { service } => join(&mut path, "health/checks/", service),
            Subject::ChecksInState { state } => join(&mut path, "health/state/", state),
            Subject::Event { name } => {
                path.push_str("event/list");
                params.push(("name", name.into()));
            }
            Subject::AgentService { service_id } => join(&mut path, "agent/service/", service_id),
        }
        params.push(("dc", (&self.datacenter).into()));
        params.push(("filter", (&self.filter).into()));
        match after {
            Some(Marker::Index(index)) if *index > 0 => {
                params.push(("index", index.to_string().into()));
            }
            Some(Marker::Hash(hash)) => params.push(("hash", hash.clone().into())),
            _ => {}
        }
        params.retain(|(name, value)| !value.is_empty() || ["recurse", "tag"].contains(name));
        params.extend(self.stale.then_some(("stale", "".into())));
        Question { path, params }
    }

    /// What an answer says: where it stands, and what a handler is given. `after` is what was asked with.
    ///
    /// # Errors
    /// In the Go client's words.
    pub fn read(&self, answer: &Answer, after: Option<&Marker>) -> Result<(Marker, Bytes), String> {
        let is_kv = matches!(self.subject, Subject::Key { .. } | Subject::KeyPrefix { .. });
        let body = match answer.status {
            200 => &answer.body[..],
            404 if is_kv => b"null",
            status => {
                let text = String::from_utf8_lossy(&answer.body);
                return Err(format!("Unexpected response code: {status} ({})", text.trim()));
            }
        };
        let index = answer.header("x-consul-index").and_then(|text| text.parse().ok());
        let index = Marker::Index(index.unwrap_or(0));
        match &self.subject {
            Subject::Key { .. } => Ok((index, data::first_pair(body)?)),
            Subject::KeyPrefix { .. } => Ok((index, data::pairs(body)?)),
            Subject::Services => Ok((index, data::services(body)?)),
            Subject::Nodes => Ok((index, data::nodes(body)?)),
            Subject::Service { .. } => Ok((index, data::entries(body)?)),
            Subject::ChecksOfService { .. } | Subject::ChecksInState { .. } => {
                Ok((index, data::checks(body)?))
            }
            Subject::Event { .. } => {
                let seen = match after {
                    Some(Marker::Index(seen)) => Some(*seen),
                    _ => None,
                };
                Ok((index, data::events_after(body, seen)?))
            }
            Subject::AgentService { .. } => {
                let (hash, data) = data::agent_service(body)?;
                Ok((Marker::Hash(hash), data))
            }
        }
    }
}

fn join(path: &mut String, folder: &str, name: &str) {
    path.push_str(folder);
    escape_path(name, path);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(params: serde_json::Value) -> Plan {
        Plan::parse(serde_json::from_value(params).expect("an object")).expect("a plan")
    }

    #[test]
    fn asks_as_the_go_client_does() {
        use serde_json::json;
        let seven = Marker::Index(7);
        for (params, after, target) in [
            (json!({"type": "key", "key": "a b/c"}), None, "/v1/kv/a%20b/c"),
            (json!({"type": "key", "key": "a"}), Some(&Marker::Index(0)), "/v1/kv/a"),
            (
                json!({"type": "keyprefix", "prefix": "p/", "stale": true}),
                Some(&seven),
                "/v1/kv/p/?recurse=&index=7&stale=",
            ),
            (
                json!({"type": "service", "service": "web", "tag": ["a", "b&c"],
                       "passingonly": true, "datacenter": "dc2"}),
                None,
                "/v1/health/service/web?tag=a&tag=b%26c&passing=1&dc=dc2",
            ),
            (json!({"type": "checks"}), None, "/v1/health/state/any"),
            (json!({"type": "checks", "service": "web"}), None, "/v1/health/checks/web"),
            (json!({"type": "event"}), Some(&seven), "/v1/event/list?index=7"),
            (
                json!({"type": "agent_service", "service_id": "w"}),
                Some(&Marker::Hash("abc".to_owned())),
                "/v1/agent/service/w?hash=abc",
            ),
        ] {
            assert_eq!(plan(params).question(after).target(), target);
        }
    }
}
