//! `operator autopilot` (spec api 5.20): how the leader looks after the set of servers.
//!
//! `set-config` changes what its flags name: it reads the configuration and writes it back compared, so
//! that two operators do not undo each other's work.

use bytes::Bytes;
use hyper::Method;
use serde_json::{Map, Value};

use crate::base::go_duration;
use crate::base::runtime::Runtime;
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Parsed, Takes};

pub(super) const GROUP: Command = Command {
    path: "operator autopilot",
    synopsis: "Provides tools for modifying Autopilot configuration",
    usage: "Usage: consul operator autopilot <subcommand> [options]\n\n  \
        The Autopilot operator command is used to interact with Consul's Autopilot\n  \
        subsystem. The command can be used to view or modify the current configuration.",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const GET_CONFIG: Command = Command {
    path: "operator autopilot get-config",
    synopsis: "Display the current Autopilot configuration",
    usage: "Usage: consul operator autopilot get-config [options]\n\n  \
        Displays the current Autopilot configuration.",
    flags: &[],
    reach: Reach::Servers,
};

pub(super) const SET_CONFIG: Command = Command {
    path: "operator autopilot set-config",
    synopsis: "Modify the current Autopilot configuration",
    usage: "Usage: consul operator autopilot set-config [options]\n\n  \
        Modifies the current Autopilot configuration.",
    flags: SET_FLAGS,
    reach: Reach::Servers,
};

const PATH: &str = "/v1/operator/autopilot/configuration";

const SET_FLAGS: &[Flag] = &[
    Flag {
        name: "cleanup-dead-servers",
        takes: Takes::Bool,
        help: "Controls whether Consul will automatically remove dead servers when new ones are \
               successfully added.",
    },
    Flag {
        name: "disable-upgrade-migration",
        takes: Takes::Bool,
        help: "(Enterprise-only) Kept, not interpreted.",
    },
    Flag {
        name: "last-contact-threshold",
        takes: Takes::Text,
        help: "How long a server may go without contact from the leader before it is unhealthy. A \
               duration such as \"1h\" or \"3.5s\".",
    },
    Flag {
        name: "max-trailing-logs",
        takes: Takes::Number,
        help: "How many entries a server may be behind the leader before it is unhealthy.",
    },
    Flag {
        name: "min-quorum",
        takes: Takes::Number,
        help: "Dead servers are not removed below this many voters.",
    },
    Flag {
        name: "redundancy-zone-tag",
        takes: Takes::Text,
        help: "(Enterprise-only) Kept, not interpreted.",
    },
    Flag {
        name: "server-stabilization-time",
        takes: Takes::Text,
        help: "How long a server must be healthy before it gets a vote. A duration such as \"1h\" or \
               \"3.5s\".",
    },
    Flag {
        name: "upgrade-version-tag",
        takes: Takes::Text,
        help: "(Enterprise-only) Kept, not interpreted.",
    },
];

/// In the order in which Consul prints them.
const SHOWN: [&str; 8] = [
    "CleanupDeadServers",
    "LastContactThreshold",
    "MaxTrailingLogs",
    "MinQuorum",
    "ServerStabilizationTime",
    "RedundancyZoneTag",
    "DisableUpgradeMigration",
    "UpgradeVersionTag",
];

pub(super) async fn get_config<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = GET_CONFIG.parse(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let configuration = query(&api).await.map_err(|text| terminal.fail(text))?;
    for name in SHOWN {
        let value = configuration.get(name).unwrap_or(&Value::Null);
        let quoted = name.ends_with("Tag");
        match value {
            Value::String(text) if !quoted => terminal.line(format!("{name} = {text}")),
            Value::Null if quoted => terminal.line(format!("{name} = \"\"")),
            other => terminal.line(format!("{name} = {other}")),
        }
    }
    Ok(())
}

pub(super) async fn set_config<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = SET_CONFIG.parse(args, terminal)?;
    for name in ["last-contact-threshold", "server-stabilization-time"] {
        if let Some(text) = flags.text(name).filter(|text| go_duration::parse_span(text).is_none())
        {
            let why = go_duration::complaint(text);
            let help = SET_CONFIG.help();
            let text = format!("invalid value {text:?} for flag -{name}: {why}\n{help}");
            return Err(terminal.fail(text));
        }
    }
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let mut configuration = query(&api).await.map_err(|text| terminal.fail(text))?;
    change(&mut configuration, &flags);
    let index = configuration.get("ModifyIndex").and_then(Value::as_u64).unwrap_or(0).to_string();
    let body = Bytes::from(Value::Object(configuration).to_string());
    let answer = api.call(Method::PUT, PATH, &[("cas", &index)], body).await;
    let answer = answer
        .map_err(|why| terminal.fail(format!("Error setting Autopilot configuration: {why}")))?;
    if answer.body.trim_ascii() == b"true" {
        terminal.line("Configuration updated!");
        return Ok(());
    }
    terminal.line("Configuration could not be atomically updated, please try again");
    Err(1)
}

async fn query<R: Runtime>(api: &Api<'_, R>) -> Result<Map<String, Value>, String> {
    let asked = api.call(Method::GET, PATH, &[], Bytes::new()).await;
    let read = asked.and_then(|answer| {
        serde_json::from_slice(&answer.body).map_err(|error| format!("malformed answer: {error}"))
    });
    read.map_err(|why| format!("Error querying Autopilot configuration: {why}"))
}

/// Puts what the flags name in its place.
fn change(configuration: &mut Map<String, Value>, flags: &Parsed) {
    let bools = [
        ("cleanup-dead-servers", "CleanupDeadServers"),
        ("disable-upgrade-migration", "DisableUpgradeMigration"),
    ];
    let numbers = [("max-trailing-logs", "MaxTrailingLogs"), ("min-quorum", "MinQuorum")];
    let texts = [
        ("last-contact-threshold", "LastContactThreshold"),
        ("redundancy-zone-tag", "RedundancyZoneTag"),
        ("server-stabilization-time", "ServerStabilizationTime"),
        ("upgrade-version-tag", "UpgradeVersionTag"),
    ];
    let bools = bools.map(|(flag, name)| (name, flags.switch(flag).map(Value::from)));
    let numbers = numbers.map(|(flag, name)| (name, flags.number(flag).map(Value::from)));
    let texts = texts.map(|(flag, name)| (name, flags.text(flag).map(Value::from)));
    for (name, value) in bools.into_iter().chain(numbers).chain(texts) {
        if let Some(value) = value {
            configuration.insert(name.to_owned(), value);
        }
    }
}
