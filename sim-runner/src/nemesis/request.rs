//! `http` steps: a request made on a node itself, and what its answer must be.
//!
//! Its key/value operations belong to the history, under the user name of the step.

use std::collections::BTreeSet;

use bytes::Bytes;
use hyper::Method;
use proconsul::base::{Duration, Instant};
use proconsul::http::client::{Answer, ClientError};
use serde_json::Value;

use crate::history::operation::{Call, Mode, Outcome};
use crate::scenario::model::{HttpExpect, HttpStep, Step};
use crate::trace::event::Host;
use crate::workload::user::{User, judge};

use super::script::Script;

/// How long one request may take, unless the step says.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

impl Script {
    pub(super) async fn http(&self, index: usize, step: &Step, http: &HttpStep) {
        // Groups and draws mean agents that are up; one that is down gives no answer, which says it.
        let Some(via) = self.via(index, step, &http.via) else { return };
        let path = self.legible(&http.path);
        let detail = format!("{} {path} on {}", http.method, self.cluster.name(via));
        self.announce(index, step, detail, &[via]);
        let mut user = User::new(self.runtime.clone());
        let deadline = self.cluster.now() + if http.retry { step.within } else { PATIENCE };
        loop {
            let found = self.request(&mut user, step, http, via, deadline).await;
            let Err(why) = found else { return };
            if !http.retry || self.cluster.now() + RETRY > deadline {
                self.fail(index, why);
                return;
            }
            self.sleep(RETRY).await;
        }
    }

    /// One try: `Err` says how the answer differs from what was expected.
    async fn request(
        &self,
        user: &mut User,
        step: &Step,
        http: &HttpStep,
        via: Host,
        deadline: Instant,
    ) -> Result<(), String> {
        let method = Method::from_bytes(http.method.as_bytes())
            .map_err(|_| format!("{:?} is not a method", http.method))?;
        let path = self.fill(&http.path)?;
        let body = Bytes::from(self.fill(&http.body)?);
        let to = self.cluster.http_address(via);
        let left = deadline.since(self.cluster.now());
        let open: Vec<(u64, Call)> = self
            .operations(&method, &path, &body)
            .into_iter()
            .map(|(key, call)| {
                let (host, user) = (self.cluster.testbed(), format!("step {}", step.id));
                (self.cluster.invoke(host, &user, via, &key, &call), call)
            })
            .collect();
        let result = user.request(to, method, &path, body, left).await;
        for (op, call) in open {
            self.complete(op, &call, &result);
        }
        let answer = result.map_err(|error| format!("no answer: {error}"))?;
        self.compare(&http.expect, &answer)
    }

    /// The operations that a request stands for. The removal of a prefix is one for every key under
    /// it that was ever used.
    fn operations(&self, method: &Method, path: &str, body: &Bytes) -> Vec<(String, Call)> {
        let prefix = path.strip_prefix("/v1/kv/").and_then(|rest| rest.split_once("?recurse"));
        match (method, prefix) {
            (&Method::DELETE, Some((prefix, _))) => {
                let history = self.cluster.recorder().with_history(|history| history.history());
                let keys = history.operations().iter().map(|operation| operation.key.clone());
                let under: BTreeSet<String> = keys.filter(|key| key.starts_with(prefix)).collect();
                under.into_iter().map(|key| (key, Call::Delete)).collect()
            }
            _ => operation(method, path, body).into_iter().collect(),
        }
    }

    fn complete(&self, op: u64, call: &Call, result: &Result<Answer, ClientError>) {
        let mut answered = judge(call, result);
        // A compared delete that found another version changed nothing.
        let refused = |answer: &Answer| answer.status == 200 && answer.body.as_ref() == b"false";
        if *call == Call::Delete && result.as_ref().is_ok_and(refused) {
            answered.outcome = Outcome::Fail;
        }
        self.cluster.complete(self.cluster.testbed(), op, answered);
    }

    fn compare(&self, expect: &HttpExpect, answer: &Answer) -> Result<(), String> {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let found = format!("found {} {:?}", answer.status, shortened(&body));
        if let Some(status) = expect.status
            && status != answer.status
        {
            return Err(format!("expected status {status}, {found}"));
        }
        if let Some(text) = &expect.body {
            let text = self.fill(text)?;
            if text != body {
                return Err(format!("expected the body {text:?}, {found}"));
            }
        }
        let fill = |text: &str| self.fill(text);
        compare_parts("a body", &expect.contains, &expect.excludes, &body, &found, &fill)?;
        if let Some(pattern) = &expect.matches {
            let pattern = self.fill(pattern)?;
            if !matches(&pattern, &body) {
                return Err(format!("expected a body that matches {pattern:?}, {found}"));
            }
        }
        for (name, value) in &expect.headers {
            let value = self.fill(value)?;
            if answer.header(name) != Some(value.as_str()) {
                let there = answer.header(name).unwrap_or("none");
                return Err(format!("expected the header {name}: {value}, found {there}"));
            }
        }
        compare_json(&expect.json, &body, &found, &fill)
    }

    /// Fills names in braces in, as of now.
    pub(super) fn fill(&self, text: &str) -> Result<String, String> {
        self.cluster.fill(text)
    }

    /// Whether the agent's HTTP port answers anything.
    pub(super) async fn http_answers(&self, host: Host) -> bool {
        let mut user = User::new(self.runtime.clone());
        let to = self.cluster.http_address(host);
        let patience = Duration::from_secs(5);
        user.request(to, Method::GET, "/v1/status/leader", Bytes::new(), patience).await.is_ok()
    }

    /// Whether a write gets through now: the end of the run must find a cluster that serves.
    pub(super) async fn accepts_a_write(&self, host: Host, number: u32) -> bool {
        let mut user = User::new(self.runtime.clone());
        let to = self.cluster.http_address(host);
        let path = format!("/v1/kv/testbed/settle/{number}");
        let body = Bytes::from_static(b"settled");
        let answer = user.request(to, Method::PUT, &path, body, PATIENCE).await;
        answer.is_ok_and(|answer| answer.status == 200 && answer.body.as_ref() == b"true")
    }
}

/// Fills names in braces in.
pub(super) type Fill<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Parts that a text must have, and must not. `what` it is and what was `found` are for the message.
pub(super) fn compare_parts(
    what: &str,
    contains: &[String],
    excludes: &[String],
    text: &str,
    found: &str,
    fill: Fill<'_>,
) -> Result<(), String> {
    for part in contains {
        let part = fill(part)?;
        if !text.contains(&part) {
            return Err(format!("expected {what} that contains {part:?}, {found}"));
        }
    }
    for part in excludes {
        let part = fill(part)?;
        if text.contains(&part) {
            return Err(format!("expected {what} without {part:?}, {found}"));
        }
    }
    Ok(())
}

/// Values at paths in a JSON text.
pub(super) fn compare_json(
    json: &[(String, Value)],
    body: &str,
    found: &str,
    fill: Fill<'_>,
) -> Result<(), String> {
    if json.is_empty() {
        return Ok(());
    }
    let parsed: Value =
        serde_json::from_str(body).map_err(|error| format!("expected JSON, {found}: {error}"))?;
    for (path, value) in json {
        let wanted = match value {
            Value::String(text) => Value::String(fill(text)?),
            other => other.clone(),
        };
        let there = at(&parsed, path);
        if there != Some(&wanted) {
            let there = there.map_or("nothing".to_owned(), Value::to_string);
            return Err(format!("expected {wanted} at {path}, found {there} in {body:?}"));
        }
    }
    Ok(())
}

/// The pause between two tries.
pub(super) const RETRY: Duration = Duration::from_millis(200);

/// The key/value operation that a request is, if it is one that the history knows.
fn operation(method: &Method, path: &str, body: &Bytes) -> Option<(String, Call)> {
    let rest = path.strip_prefix("/v1/kv/")?;
    let (key, query) = rest.split_once('?').unwrap_or((rest, ""));
    let parameters: Vec<(&str, &str)> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .collect();
    let has = |name: &str| parameters.iter().any(|(key, _)| *key == name);
    let mode = match (has("consistent"), has("stale")) {
        (true, _) => Mode::Consistent,
        (_, true) => Mode::Stale,
        _ => Mode::Default,
    };
    let only = |names: &[&str]| parameters.iter().all(|(key, _)| names.contains(key));
    let value = || String::from_utf8(body.to_vec()).ok();
    if key.is_empty() || key.contains('%') {
        return None;
    }
    let call = match method.as_str() {
        "GET" if only(&["consistent", "stale"]) => Call::Get { mode },
        "PUT" if only(&["flags"]) => Call::Put { value: value()? },
        "PUT" if only(&["cas", "flags"]) => {
            let index = parameters.iter().find(|(name, _)| *name == "cas")?.1.parse().ok()?;
            Call::CasIndex { index, value: value()? }
        }
        "DELETE" if only(&["cas"]) => Call::Delete,
        _ => return None,
    };
    Some((key.to_owned(), call))
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        Value::Object(fields) => fields.get(name),
        _ => None,
    })
}

/// `*` stands for any text, `?` for any character.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // Where the pattern may stand after each prefix of the text.
    let mut places = vec![false; pattern.len() + 1];
    places[0] = true;
    let spread = |places: &mut Vec<bool>| {
        for place in 0..pattern.len() {
            places[place + 1] |= places[place] && pattern[place] == '*';
        }
    };
    spread(&mut places);
    for letter in text {
        let mut next = vec![false; pattern.len() + 1];
        for (place, wanted) in pattern.iter().enumerate() {
            if places[place] && *wanted == '*' {
                next[place] = true;
            } else if places[place] && (*wanted == '?' || *wanted == letter) {
                next[place + 1] = true;
            }
        }
        spread(&mut next);
        places = next;
    }
    places[pattern.len()]
}

/// The beginning of a text that may be long.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*", "abc", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn requests_are_operations_where_the_history_knows_them() {
        let put = operation(&Method::PUT, "/v1/kv/a/b", &Bytes::from_static(b"x"));
        assert_eq!(put, Some(("a/b".to_owned(), Call::Put { value: "x".to_owned() })));
        let get = operation(&Method::GET, "/v1/kv/a?consistent", &Bytes::new());
        assert_eq!(get, Some(("a".to_owned(), Call::Get { mode: Mode::Consistent })));
        assert_eq!(operation(&Method::GET, "/v1/kv/a?raw", &Bytes::new()), None);
        assert_eq!(operation(&Method::GET, "/v1/status/leader", &Bytes::new()), None);
        assert_eq!(operation(&Method::PUT, "/v1/kv/a?acquire=3", &Bytes::new()), None);
    }

    #[test]
    fn paths_reach_into_json() {
        let value = serde_json::json!([{ "Key": "a" }]);
        assert_eq!(at(&value, "0.Key"), Some(&Value::from("a")));
        assert_eq!(at(&value, "1.Key"), None);
    }
}
