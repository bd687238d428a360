//! The format of recorded sessions: groups of cases, cases of steps, beside each step the answer that
//! Consul gave.
//!
//! A step is what a client does, under exactly one of the keys in [`Kind`], and how its answer is
//! compared. It is kept as JSON, in which variables are filled in each time it is done; typed, it is
//! a [`Step`]. A key that is not known is an error of the file, so that no rule is overlooked in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::tree::Tree;

/// Cases that start the same agent; one file.
#[derive(Deserialize)]
pub struct Group {
    #[serde(rename = "group")]
    pub name: String,
    /// The agent's configuration, see [`Spec`]; variables are not filled in yet.
    #[serde(default)]
    pub agent: Tree,
    /// Steps before each case. They must succeed and are not compared.
    #[serde(default)]
    pub setup: Vec<Tree>,
    pub indexes: Option<Indexes>,
    pub cases: Vec<Case>,
}

/// One fresh agent and what is asked of it.
#[derive(Deserialize)]
pub struct Case {
    pub id: String,
    pub about: String,
    /// Takes the place of single keys of the group's.
    #[serde(default)]
    pub agent: Tree,
    #[serde(default)]
    pub setup: Vec<Tree>,
    pub indexes: Option<Indexes>,
    pub steps: Vec<Tree>,
}

/// What of `CreateIndex` and `ModifyIndex` is compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Indexes {
    /// Their order, over the whole case.
    Rank,
    /// Within each object, whether it was modified after it was created.
    Object,
    /// That there is one.
    Present,
}

/// How an agent is started.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    #[serde(default)]
    pub config: Map<String, Value>,
    #[serde(default)]
    pub args: Vec<String>,
    /// Written below the case's folder before the start.
    #[serde(default)]
    pub files: BTreeMap<String, Value>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// `-dev`, or a server with a data folder.
    #[serde(default = "yes")]
    pub dev: bool,
}

fn yes() -> bool {
    true
}

/// One step, typed.
#[derive(Clone, Default, Deserialize)]
pub struct Step {
    // What is done: one of these.
    http: Option<String>,
    raw: Option<String>,
    dns: Option<String>,
    cli: Option<Vec<String>>,
    sleep: Option<f64>,
    join: Option<String>,
    restart: Option<String>,
    signal: Option<String>,
    calls: Option<String>,
    write_file: Option<String>,

    // Of requests.
    /// The JSON to send, as it is written.
    #[serde(skip)]
    pub json: Option<String>,
    pub body: Option<String>,
    pub body_b64: Option<String>,
    pub body_repeat: Option<(String, usize)>,
    pub body_blob: Option<String>,
    pub truncate_to: Option<usize>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub chunked: bool,
    pub port: Option<String>,

    // Of commands.
    #[serde(default)]
    pub stdin: String,
    #[serde(default)]
    pub files: BTreeMap<String, Value>,
    #[serde(default)]
    pub blob_files: BTreeMap<String, String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub no_addr: bool,
    #[serde(default)]
    pub read_files: Vec<String>,
    pub read_blob: Option<String>,
    pub stdout: Option<String>,
    pub stderr: Option<String>,

    // Of other steps.
    pub content: Option<Value>,
    pub signal_after_s: Option<f64>,
    pub with: Option<String>,
    pub first: Option<usize>,
    pub last: Option<usize>,
    #[serde(default)]
    pub keep_headers: Vec<String>,

    // Of all.
    pub bg: Option<String>,
    pub settle: Option<f64>,
    #[serde(default)]
    pub until: BTreeMap<String, Value>,
    pub timeout_s: Option<f64>,
    #[serde(default)]
    pub save: BTreeMap<String, String>,
    pub save_bytes: Option<String>,

    // How the answer is compared.
    pub elapsed_ms: Option<(f64, f64)>,
    #[serde(default)]
    pub norm: BTreeMap<String, String>,
    #[serde(default)]
    pub unordered: Vec<String>,
    #[serde(default)]
    pub ordered: bool,
    #[serde(default)]
    pub loose: bool,
    #[serde(default)]
    pub raw_text: bool,
    #[serde(default)]
    pub also_headers: Vec<String>,
    pub body_rule: Option<String>,
    pub strict_index: Option<bool>,
    endpoint: Option<String>,
    #[serde(default)]
    pub like: String,
    /// The recorded answer.
    #[serde(default)]
    pub got: Value,

    // Of questions to DNS.
    #[serde(rename = "type")]
    pub record_type: Option<String>,
    pub class: Option<String>,
    pub proto: Option<String>,
    pub edns: Option<u16>,
    pub subnet: Option<String>,
    pub rd: Option<bool>,
    pub opcode: Option<u16>,
    pub dns_norm: Option<String>,
    pub max_size: Option<usize>,
    pub dns_timeout_s: Option<f64>,

    /// Keys that are none.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `METHOD PATH`.
    Http(String),
    /// This text over TCP to the HTTP port.
    Raw(String),
    /// A question for this name.
    Dns(String),
    /// The command line of the agent's binary.
    Cli(Vec<String>),
    /// Waits so many seconds.
    Sleep(f64),
    /// Waits for the step that was sent to the background under this name.
    Join(String),
    /// Ends the agent with this signal and starts it again.
    Restart(String),
    /// Sends a signal to the agent, or waits for its end (`wait-exit`).
    Signal(String),
    /// What the target server was sent on this path.
    Calls(String),
    /// Writes a file below the case's folder.
    WriteFile(String),
}

impl Step {
    /// Reads a step and checks that it is one.
    pub fn read(json: &Tree) -> Result<Self, String> {
        let typed = Self::deserialize(json.without(&["json"]).value());
        let mut step = typed.map_err(|error| format!("{error} in {json}"))?;
        step.json = json.get("json").map(Tree::to_string);
        let of_dns = [step.record_type.is_some(), step.proto.is_some(), step.edns.is_some()];
        if step.dns.is_none() && of_dns.contains(&true) {
            return Err(format!("type, proto and edns are of questions to DNS: {json}"));
        }
        if let Some(key) = step.other.keys().next() {
            return Err(format!("a step does not know the key {key}: {json}"));
        }
        match step.kinds().as_slice() {
            [_] => Ok(step),
            kinds => Err(format!("a step does one thing, this one {kinds:?}: {json}")),
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        let kinds = [
            self.http.clone().map(Kind::Http),
            self.raw.clone().map(Kind::Raw),
            self.dns.clone().map(Kind::Dns),
            self.cli.clone().map(Kind::Cli),
            self.sleep.map(Kind::Sleep),
            self.join.clone().map(Kind::Join),
            self.restart.clone().map(Kind::Restart),
            self.signal.clone().map(Kind::Signal),
            self.calls.clone().map(Kind::Calls),
            self.write_file.clone().map(Kind::WriteFile),
        ];
        kinds.into_iter().flatten().collect()
    }

    pub fn kind(&self) -> Kind {
        self.kinds().swap_remove(0)
    }

    /// The request that the rules of an endpoint are looked up by: `METHOD PATH`.
    pub fn endpoint(&self) -> &str {
        match (&self.http, &self.raw) {
            (Some(request), _) => request,
            (_, Some(text)) => text.split("\r\n").next().unwrap_or_default(),
            _ => self.endpoint.as_deref().unwrap_or_default(),
        }
    }

    /// One line for a report.
    pub fn describe(&self) -> String {
        let text = match self.kind() {
            Kind::Http(request) => request,
            Kind::Raw(text) => format!("raw {text:?}"),
            Kind::Dns(name) => format!("dns {name}"),
            Kind::Cli(arguments) => format!("consul {}", arguments.join(" ")),
            Kind::Sleep(seconds) => format!("sleep {seconds}"),
            Kind::Join(name) => format!("join {name}"),
            Kind::Restart(how) => format!("restart {how}"),
            Kind::Signal(which) => format!("signal {which}"),
            Kind::Calls(path) => format!("calls {path}"),
            Kind::WriteFile(path) => format!("write_file {path}"),
        };
        text.chars().take(160).collect()
    }
}

impl Case {
    /// About how long it takes, in milliseconds: its sleeps and the waits that it must see.
    pub fn waits_ms(&self) -> u64 {
        let step = |json: &Tree| {
            let json = json.value();
            let sleep_ms = json["sleep"].as_f64().unwrap_or(0.0) * 1000.0;
            let until_ms = if json["until"].is_null() { 0.0 } else { 500.0 };
            sleep_ms + until_ms + json["elapsed_ms"][0].as_f64().unwrap_or(0.0)
        };
        self.steps.iter().map(step).sum::<f64>() as u64
    }
}

/// The folder of everything recorded, with the rules and the list of known differences.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance")
}

/// All groups, by name.
pub fn load() -> Result<Vec<Group>, String> {
    let folder = folder().join("recorded");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .map(read)
        .collect()
}

fn read(path: &PathBuf) -> Result<Group, String> {
    let wrong = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let group: Group = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for case in &group.cases {
        for step in group.setup.iter().chain(&case.setup).chain(&case.steps) {
            Step::read(step).map_err(wrong)?;
        }
    }
    Ok(group)
}
