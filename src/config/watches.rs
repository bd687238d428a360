//! `watches` of configuration files (spec api 7.1): read here, told in [`crate::watch`].
//!
//! Each element is an object of parameters, whose names are not those of settings: they are handed on as
//! they stand. Watches of all files add up. An error names the line on which the watch begins.

use serde_json::{Map, Number, Value as Json};

use crate::config::Ports;
use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::located_json::{Located, Value};
use crate::config::settings::{Given, Settings};
use crate::watch::{Configured, Params};

impl Settings {
    /// One watch or a list of them.
    pub(super) fn add_watches(&mut self, given: &Given<'_>) -> Result<(), ConfigError> {
        let items = match &given.at.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(given.at),
        };
        for at in items {
            let members = Given { key: given.key, at }.members()?;
            let params: Params =
                members.iter().map(|it| (it.key.clone(), plain(&it.value))).collect();
            match Configured::parse(params, &mut self.watch_warnings) {
                Ok(watch) => self.watches.push(watch),
                // Of a watch an agent finds out when it starts it.
                Err(text) => self.unfinished.push(ConfigError::at(at.line, text)),
            }
        }
        Ok(())
    }
}

/// A watch asks this agent's own HTTP API.
pub(super) fn check(
    said: &Settings,
    ports: &Ports,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if !said.watches.is_empty() && ports.http.is_none() {
        return refuse("watch plans require an HTTP or HTTPS endpoint");
    }
    warnings.extend(said.watch_warnings.iter().cloned());
    Ok(())
}

/// A value without its lines.
fn plain(at: &Located) -> Json {
    match &at.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(text) => {
            text.parse::<Number>().map_or_else(|_| Json::String(text.clone()), Json::Number)
        }
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(plain).collect()),
        Value::Object(members) => {
            let member =
                |it: &crate::config::located_json::Member| (it.key.clone(), plain(&it.value));
            Json::Object(members.iter().map(member).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{AGENT_FLAGS, AgentConfig, flags};

    fn read(text: &str) -> Result<AgentConfig, String> {
        let flags = flags::parse(AGENT_FLAGS, &["-dev".to_owned()]).expect("flags");
        AgentConfig::from_parts(&[("w.json", text)], &flags, "n1").map_err(|it| it.to_string())
    }

    #[test]
    fn watches_add_up_and_errors_name_their_line() {
        let two = r#"{"watches": [{"type": "nodes", "handler": "date"},
                                  {"type": "event", "args": ["date", "-u"]}]}"#;
        let config = read(two).expect("valid");
        let kinds: Vec<_> = config.watches.iter().map(|it| it.plan.kind()).collect();
        assert_eq!(kinds, ["nodes", "event"]);
        assert!(config.warnings.iter().any(|it| it.starts_with("The 'handler' field")));
        let bad =
            "{\"watches\": [{\"type\": \"nodes\", \"args\": [\"date\"]},\n{\"type\": \"nodes\"}]}";
        assert_eq!(read(bad), Err("w.json:2: Must define a watch handler".to_owned()));
        let no_http =
            r#"{"ports": {"http": -1}, "watches": [{"type": "nodes", "args": ["date"]}]}"#;
        let refused = read(no_http).expect_err("nobody answers");
        assert!(refused.contains("watch plans require an HTTP or HTTPS endpoint"), "{refused}");
    }
}
