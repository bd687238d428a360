//! `cli` and `transfer-leader`: what an operator asks of an agent.
//!
//! Commands run as the shipped code on the node itself. Their key/value operations belong to the
//! history: from the words of the command what was asked, from exit code and output what came of it.
//! Where that cannot be told (a compare-and-set by flags, an answer that did not come) the outcome
//! is unknown, which no checker takes for more than it is; where even the value cannot be told (`-`,
//! `@file`, `-base64`), the step is refused, because an unknown write makes every verdict worthless.

use std::collections::BTreeSet;

use bytes::Bytes;
use hyper::Method;
use proconsul::base::Duration;

use crate::cluster::Ran;
use crate::cluster::operations::Answered;
use crate::history::operation::{Call, Mode, Outcome, Output, Seen};
use crate::scenario::fault::{CliExpect, CliStep};
use crate::scenario::model::{Step, Target};
use crate::scenario::split_line;
use crate::trace::event::Host;
use crate::workload::user::User;

use super::request::{PATIENCE, RETRY, compare_parts, matches, shortened};
use super::script::{Draw, Script};
use super::targets::{Needs, choose};

/// The operations of a command, and whether its exit code says what became of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    calls: Vec<(String, Call)>,
    told: bool,
}

impl Script {
    pub(super) async fn cli(&self, index: usize, step: &Step, cli: &CliStep) {
        let Some(via) = self.via(index, step, &cli.via) else { return };
        let run = self.legible(&cli.run);
        let detail = format!("{run} on {}", self.cluster.name(via));
        self.announce(index, step, detail, &[via]);
        let deadline = self.cluster.now() + if cli.retry { step.within } else { PATIENCE };
        loop {
            let left = deadline.since(self.cluster.now());
            let Err(why) = self.command(step, cli, via, left).await else { return };
            if !cli.retry || self.cluster.now() + RETRY > deadline {
                self.fail(index, why);
                return;
            }
            self.sleep(RETRY).await;
        }
    }

    /// One try: `Err` says how it went otherwise than expected.
    async fn command(
        &self,
        step: &Step,
        cli: &CliStep,
        via: Host,
        patience: Duration,
    ) -> Result<(), String> {
        let args = split_line(&self.fill(&cli.run)?)?;
        let asked = self.asked(&args)?;
        let (testbed, user) = (self.cluster.testbed(), format!("step {}", step.id));
        let open: Vec<(u64, Call, String)> = asked
            .calls
            .into_iter()
            .map(|(key, call)| (self.cluster.invoke(testbed, &user, via, &key, &call), call, key))
            .collect();
        let result = self.cluster.run_command(via, args, patience).await;
        for (op, call, key) in open {
            let answered = match &result {
                Ok(ran) if asked.told => judge(&call, &key, ran),
                Ok(ran) => Answered::without(Outcome::Unknown, format!("exit code {}", ran.exit)),
                Err(why) => Answered::without(Outcome::Unknown, why.clone()),
            };
            self.cluster.complete(testbed, op, answered);
        }
        self.compare_command(&cli.expect, &result?)
    }

    fn asked(&self, args: &[String]) -> Result<Asked, String> {
        let used = || {
            let history = self.cluster.recorder().with_history(|history| history.history());
            history.operations().iter().map(|one| one.key.clone()).collect::<BTreeSet<String>>()
        };
        asked(args, used)
    }

    fn compare_command(&self, expect: &CliExpect, ran: &Ran) -> Result<(), String> {
        let found = format!("found exit code {} and {:?}", ran.exit, shortened(&ran.output));
        if let Some(exit) = expect.exit
            && exit != i64::from(ran.exit)
        {
            return Err(format!("expected exit code {exit}, {found}"));
        }
        let fill = |text: &str| self.fill(text);
        let (contains, excludes) = (&expect.contains, &expect.excludes);
        compare_parts("output", contains, excludes, &ran.output, &found, &fill)?;
        if let Some(pattern) = &expect.matches {
            let pattern = self.fill(pattern)?;
            if !matches(&pattern, &ran.output) {
                return Err(format!("expected output that matches {pattern:?}, {found}"));
            }
        }
        Ok(())
    }

    /// Asks the leader to hand its office over.
    pub(super) async fn transfer_leader(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        to: Option<&Target>,
    ) {
        let Some(hosts) = self.resolve(index, step, target, Needs::Up) else { return };
        let [leader] = hosts[..] else {
            return self.fail(index, "`target` is not exactly one node now".to_owned());
        };
        let mut path = "/v1/operator/raft/transfer-leader".to_owned();
        let mut detail = String::new();
        if let Some(to) = to {
            let recorder = self.cluster.recorder();
            let chosen = recorder.with_view(|view| {
                self.draw(index, Draw::Rest, |prng| choose(to, Needs::Up, view, prng))
            });
            let [successor] = chosen[..] else {
                return self.fail(index, "`to` is not exactly one node now".to_owned());
            };
            let name = self.cluster.name(successor);
            match self.cluster.fill(&format!("{{{name}.id}}")) {
                Ok(id) => path.push_str(&format!("?id={id}")),
                Err(why) => return self.fail(index, why),
            }
            detail = format!("to {name}");
        }
        self.announce(index, step, detail, &[leader]);
        let mut user = User::new(self.runtime.clone());
        let at = self.cluster.http_address(leader);
        let answer = user.request(at, Method::POST, &path, Bytes::new(), PATIENCE).await;
        match answer {
            Err(error) => self.fail(index, format!("no answer: {error}")),
            Ok(answer) => {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                let done = serde_json::from_str::<serde_json::Value>(&body)
                    .is_ok_and(|body| body["Success"] == true);
                if answer.status != 200 || !done {
                    let body = shortened(body.trim());
                    self.fail(index, format!("the agent answered {} {body:?}", answer.status));
                }
            }
        }
    }
}

/// What a command line asks of the store. `used`: every key that the history knows.
fn asked(args: &[String], used: impl FnOnce() -> BTreeSet<String>) -> Result<Asked, String> {
    let Some(("kv", [verb, rest @ ..])) = args.split_first().map(|(c, r)| (c.as_str(), r)) else {
        return Ok(Asked::default());
    };
    let (mut flags, mut plain): (Vec<&str>, Vec<&String>) = (Vec::new(), Vec::new());
    // Flags end at the first word that is none.
    for word in rest {
        if plain.is_empty() && word.starts_with('-') && word.len() > 1 {
            flags.push(word.trim_start_matches('-'));
        } else {
            plain.push(word);
        }
    }
    let name = |flag: &&str| flag.split('=').next().unwrap_or_default().to_owned();
    let flags: Vec<String> = flags.iter().map(name).collect();
    let only = |known: &[&str]| flags.iter().all(|flag| known.contains(&flag.as_str()));
    let has = |wanted: &str| flags.iter().any(|flag| flag == wanted);
    let key = |at: usize| plain.get(at).map(|key| key.trim_start_matches('/').to_owned());
    let asked = match verb.as_str() {
        "get" if only(&["stale", "http-addr"]) && plain.len() == 1 => {
            let mode = if has("stale") { Mode::Stale } else { Mode::Default };
            let calls = key(0).map(|key| (key, Call::Get { mode })).into_iter().collect();
            Asked { calls, told: true }
        }
        "put" => match (key(0), plain.get(1)) {
            (Some(key), Some(value))
                if plain.len() == 2
                    && !has("base64")
                    && !value.starts_with('@')
                    && value.as_str() != "-" =>
            {
                let call = Call::Put { value: (*value).clone() };
                Asked { calls: vec![(key, call)], told: only(&["http-addr"]) }
            }
            _ => {
                let form = "kv put [-flag=value] KEY VALUE";
                return Err(format!(
                    "what this command writes cannot be told, so nothing could be checked: {form}"
                ));
            }
        },
        "delete" if plain.len() != 1 => {
            let form = "kv delete [-flag=value] KEY";
            return Err(format!("what this command removes cannot be told: {form}"));
        }
        "import" => {
            let form = "use kv put or http";
            return Err(format!("what this command writes cannot be told: {form}"));
        }
        "delete" if has("recurse") => {
            let prefix = key(0).unwrap_or_default();
            let under = used().into_iter().filter(|key| key.starts_with(&prefix));
            Asked { calls: under.map(|key| (key, Call::Delete)).collect(), told: true }
        }
        "delete" => {
            let calls = key(0).map(|key| (key, Call::Delete)).into_iter().collect();
            Asked { calls, told: only(&["http-addr"]) }
        }
        _ => Asked::default(),
    };
    Ok(asked)
}

/// What exit code and output say of an operation.
fn judge(call: &Call, key: &str, ran: &Ran) -> Answered {
    let output = match (call, ran.exit) {
        (Call::Get { .. }, 0) => {
            let value = ran.output.strip_suffix('\n').unwrap_or(&ran.output).to_owned();
            Some(Output::Value(Some(Seen { key: key.to_owned(), value, modify_index: None })))
        }
        (Call::Get { .. }, _) if ran.output.contains("No key exists at") => {
            Some(Output::Value(None))
        }
        (Call::Get { .. }, _) => None,
        (_, 0) => Some(Output::Done),
        _ => None,
    };
    match output {
        Some(output) => {
            Answered { outcome: Outcome::Ok, output: Some(output), index: None, error: None }
        }
        None => Answered::without(Outcome::Unknown, format!("exit code {}", ran.exit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(line: &str) -> Result<Asked, String> {
        let used = || BTreeSet::from(["a/1".to_owned(), "a/2".to_owned(), "b".to_owned()]);
        asked(&split_line(line).unwrap(), used)
    }

    #[test]
    fn commands_are_operations_where_they_can_be_told() {
        let one = |key: &str, call| vec![(key.to_owned(), call)];
        let put = Call::Put { value: "x y".to_owned() };
        assert_eq!(
            calls("kv put /a 'x y'").unwrap(),
            Asked { calls: one("a", put.clone()), told: true }
        );
        let cas = calls("kv put -cas -modify-index=3 a 'x y'").unwrap();
        assert_eq!(cas, Asked { calls: one("a", put), told: false });
        let get = Call::Get { mode: Mode::Stale };
        assert_eq!(calls("kv get -stale a").unwrap(), Asked { calls: one("a", get), told: true });
        assert_eq!(calls("kv get -recurse a").unwrap(), Asked::default());
        assert_eq!(calls("members -wan").unwrap(), Asked::default());
        let keys: Vec<String> =
            calls("kv delete -recurse a").unwrap().calls.into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a/1", "a/2"]);
        assert!(calls("kv delete -modify-index 3 a").is_err(), "3 is not the key");
        assert!(calls("kv put a @file").is_err() && calls("kv put a").is_err());
    }
}
