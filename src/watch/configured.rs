//! A watch of a configuration file: a plan and who is told (spec api 7.1, 7.3).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::base::{Duration, go_duration};

use super::plan::{Params, Plan, refuse_rest};

/// For an HTTP handler that says nothing of it.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
/// `handler` still works.
pub(super) const HANDLER_IS_OLD: &str = "The 'handler' field in watches has been deprecated and \
     replaced with the 'args' field. See https://www.consul.io/docs/agent/watches.html";

/// A watch and its handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// What is watched.
    pub plan: Plan,
    /// Who is told.
    pub handler: Handler,
}

/// Who is told of a new result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `handler`, the old form: a text for the shell.
    Shell(String),
    /// `args`: a program and its arguments.
    Program(Vec<String>),
    /// `http_handler_config`.
    Http(HttpHandler),
}

/// A request to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHandler {
    /// A whole URL.
    pub path: String,
    /// `POST`, unless it is said.
    pub method: String,
    /// For the whole of it.
    pub timeout: Duration,
    /// Sent beside those that every handler is sent.
    pub header: BTreeMap<String, Vec<String>>,
    /// Taken and without effect: there is no TLS yet.
    pub tls_skip_verify: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HttpJson {
    path: String,
    method: String,
    timeout: String,
    header: BTreeMap<String, OneOrMany>,
    tls_skip_verify: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Configured {
    /// From one element of `watches`. What the user should know goes to `warnings`.
    ///
    /// # Errors
    /// Consul's text.
    pub fn parse(mut params: Params, warnings: &mut Vec<String>) -> Result<Self, String> {
        let shown = shown(&params);
        let parse_failed = |why: String| format!("Failed to parse watch ({shown}): {why}");
        let handler_type = match params.remove("handler_type") {
            None => "script".to_owned(),
            Some(Value::String(kind)) if kind == "http" || kind == "script" => kind,
            Some(Value::String(other)) => {
                return Err(format!("Handler type '{other}' not recognized"));
            }
            Some(other) => return Err(format!("Handler type '{other}' not recognized")),
        };
        if let Some(Value::String(kind)) = params.get("type")
            && kind.starts_with("connect_")
        {
            return Err(format!("Watch type {kind} is not allowed in agent config"));
        }
        let http = match handler_type.as_str() {
            "http" => Some(http_handler(&mut params).map_err(parse_failed)?),
            _ => None,
        };
        let shell = params.remove("handler");
        let args = params.remove("args");
        let plan = Plan::take_from(&mut params).map_err(parse_failed)?;
        refuse_rest(&params).map_err(parse_failed)?;
        if shell.is_some() {
            warnings.push(HANDLER_IS_OLD.to_owned());
        }
        let handler = match (shell, args, http) {
            (None, None, None) => return Err("Must define a watch handler".to_owned()),
            (Some(Value::String(text)), None, None) => Handler::Shell(text),
            (Some(other), _, _) if !other.is_string() => {
                return Err("Watch handler must be a string".to_owned());
            }
            (None, Some(args), None) => Handler::Program(program(args)?),
            (None, None, Some(http)) => Handler::Http(http),
            _ => return Err("Only one watch handler allowed".to_owned()),
        };
        Ok(Self { plan, handler })
    }
}

/// A token is nobody's to read.
fn shown(params: &Params) -> String {
    let shown = params.iter().map(|(name, value)| match name.as_str() {
        "token" => format!("{name}:<hidden>"),
        _ => format!("{name}:{value}"),
    });
    format!("map[{}]", shown.collect::<Vec<_>>().join(", "))
}

fn program(args: Value) -> Result<Vec<String>, String> {
    let refused = || "Watch args must be a list of strings".to_owned();
    match args {
        Value::String(program) => Ok(vec![program]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(refused()),
            })
            .collect(),
        _ => Err(refused()),
    }
}

/// An HCL block is an object in a list of its own.
fn unlisted(value: Value) -> Value {
    match value {
        Value::Array(mut items) if items.len() == 1 && items[0].is_object() => items.remove(0),
        other => other,
    }
}

fn http_handler(params: &mut Params) -> Result<HttpHandler, String> {
    let said = params
        .remove("http_handler_config")
        .ok_or("Handler type 'http' requires 'http_handler_config' to be set")?;
    let mut said = unlisted(said);
    if let Some(header) = said.get_mut("header") {
        *header = unlisted(header.take());
    }
    let failed = |why: String| format!("Failed to parse 'http_handler_config': {why}");
    let json: HttpJson = serde_json::from_value(said).map_err(|why| failed(why.to_string()))?;
    if json.path.is_empty() {
        return Err(failed("Requires 'path' to be set".to_owned()));
    }
    let timeout = match json.timeout.as_str() {
        "" => HTTP_TIMEOUT,
        text => go_duration::parse_span(text).ok_or_else(|| {
            failed(format!("Failed to parse timeout: time: invalid duration \"{text}\""))
        })?,
    };
    let header = json.header.into_iter().map(|(name, values)| match values {
        OneOrMany::One(value) => (name, vec![value]),
        OneOrMany::Many(values) => (name, values),
    });
    Ok(HttpHandler {
        path: json.path,
        method: if json.method.is_empty() { "POST".to_owned() } else { json.method },
        timeout,
        header: header.collect(),
        tls_skip_verify: json.tls_skip_verify,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(params: Value) -> Result<Configured, String> {
        let params = serde_json::from_value(params).expect("an object");
        Configured::parse(params, &mut Vec::new())
    }

    #[test]
    fn exactly_one_handler() {
        for (handler, why) in [
            (json!({}), "Must define a watch handler"),
            (json!({"handler": "a", "args": ["a"]}), "Only one watch handler allowed"),
            (json!({"handler": 1}), "Watch handler must be a string"),
            (json!({"args": [1]}), "Watch args must be a list of strings"),
            (json!({"args": 1}), "Watch args must be a list of strings"),
            (json!({"handler_type": "smtp"}), "Handler type 'smtp' not recognized"),
            (
                json!({"handler_type": "http", "args": ["a"], "http_handler_config": {"path": "http://a"}}),
                "Only one watch handler allowed",
            ),
        ] {
            let mut params = json!({"type": "nodes"});
            let said = params.as_object_mut().expect("an object");
            said.extend(handler.as_object().expect("an object").clone());
            assert_eq!(parse(params), Err(why.to_owned()), "{handler}");
        }
        let mesh = json!({"type": "connect_leaf", "args": ["a"]});
        let why = "Watch type connect_leaf is not allowed in agent config";
        assert_eq!(parse(mesh), Err(why.to_owned()));
    }

    #[test]
    fn a_plan_that_is_refused_is_named_without_its_token() {
        let refused = parse(json!({"type": "key", "token": "secret", "args": ["a"], "keys": "x"}));
        assert_eq!(
            refused,
            Err("Failed to parse watch (map[args:[\"a\"], keys:\"x\", token:<hidden>, type:\"key\"]): \
                 Must specify a single key to watch"
                .to_owned())
        );
    }

    #[test]
    fn an_http_handler_has_defaults() {
        let http = |config: Value| {
            let params =
                json!({"type": "nodes", "handler_type": "http", "http_handler_config": config});
            parse(params).map(|it| it.handler)
        };
        let Ok(Handler::Http(it)) = http(json!({"path": "http://a/b"})) else { panic!("refused") };
        assert_eq!((it.method.as_str(), it.timeout), ("POST", Duration::from_secs(10)));
        let config = json!([{"path": "http://a", "method": "PUT", "timeout": "2s",
                             "header": [{"X-A": ["1", "2"], "X-B": "3"}], "tls_skip_verify": true}]);
        let Ok(Handler::Http(it)) = http(config) else { panic!("refused") };
        assert_eq!((it.method.as_str(), it.timeout), ("PUT", Duration::from_secs(2)));
        assert_eq!(it.header["X-B"], ["3"]);
        let why = http(json!({"method": "PUT"})).expect_err("no path");
        assert!(why.ends_with("Failed to parse 'http_handler_config': Requires 'path' to be set"));
        let why = http(json!({"path": "x", "timeout": "soon"})).expect_err("no span");
        assert!(why.ends_with("Failed to parse timeout: time: invalid duration \"soon\""), "{why}");
    }
}
