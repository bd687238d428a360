//! `maint`: takes a node or a service out of service, and back (spec api 5.13).

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::runtime::Runtime;
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Takes};
use crate::http::escape::escape_path;

pub(super) const COMMAND: Command = Command {
    path: "maint",
    synopsis: "Controls node or service maintenance mode",
    usage: "Usage: consul maint [options]\n\n  \
        Places a node or a service into maintenance mode. Then no query over DNS or HTTP that asks\n  \
        for healthy instances finds it: a check that is critical says so, and its notes are the reason.\n\n  \
        Maintenance mode outlives a restart of the agent; only -disable ends it.\n\n  \
        Without -service it is about the whole node. Without any flag, what is under maintenance is\n  \
        shown; nothing, if nothing is.",
    flags: &[
        Flag { name: "disable", takes: Takes::Bool, help: "Disable maintenance mode." },
        Flag { name: "enable", takes: Takes::Bool, help: "Enable maintenance mode." },
        Flag {
            name: "reason",
            takes: Takes::Text,
            help: "Text describing the maintenance reason.",
        },
        Flag {
            name: "service",
            takes: Takes::Text,
            help: "Control maintenance mode for a specific service ID.",
        },
    ],
    reach: Reach::NamespacedAgent,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(rename = "CheckID")]
    id: String,
    #[serde(rename = "ServiceID", default)]
    service_id: String,
    #[serde(default)]
    notes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelfAnswer {
    config: SelfConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelfConfig {
    node_name: String,
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let (enable, disable) = (flags.is_on("enable"), flags.is_on("disable"));
    let reason = flags.text("reason").unwrap_or_default();
    let service = flags.text("service").unwrap_or_default();
    let refused = match (enable, disable) {
        (true, true) => Some("Only one of -enable or -disable may be provided"),
        (false, _) if !reason.is_empty() => Some("Reason may only be provided with -enable"),
        (false, false) if !service.is_empty() => {
            Some("Service requires either -enable or -disable")
        }
        _ => None,
    };
    if let Some(text) = refused {
        return Err(terminal.fail(text));
    }
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let node = own_name(&api).await;
    let node = node.map_err(|why| terminal.fail(format!("Error querying Consul agent: {why}")))?;
    if !enable && !disable {
        return list(&api, &node, terminal).await;
    }
    let (path, what) = match service {
        "" => ("/v1/agent/maintenance".to_owned(), "node"),
        id => {
            let mut path = "/v1/agent/service/maintenance/".to_owned();
            escape_path(id, &mut path);
            (path, "service")
        }
    };
    let mut params = vec![("enable", if enable { "true" } else { "false" })];
    if enable {
        params.push(("reason", reason));
    }
    let done = api.call(Method::PUT, &path, &params, Bytes::new()).await;
    let doing = if enable { "enabling" } else { "disabling" };
    done.map_err(|why| terminal.fail(format!("Error {doing} {what} maintenance: {why}")))?;
    let now = if enable { "enabled" } else { "disabled" };
    terminal.line(match service {
        "" => format!("Node maintenance is now {now}"),
        id => format!("Service maintenance is now {now} for {id:?}"),
    });
    Ok(())
}

async fn own_name<R: Runtime>(api: &Api<'_, R>) -> Result<String, String> {
    let answer = api.call(Method::GET, "/v1/agent/self", &[], Bytes::new()).await?;
    let found: SelfAnswer = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("malformed answer: {error}"))?;
    Ok(found.config.node_name)
}

async fn list<R: Runtime>(
    api: &Api<'_, R>,
    node: &str,
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let asked = api.call(Method::GET, "/v1/agent/checks", &[], Bytes::new()).await;
    let checks = asked.and_then(|answer| {
        serde_json::from_slice::<BTreeMap<String, Check>>(&answer.body)
            .map_err(|error| format!("malformed answer: {error}"))
    });
    let checks = checks.map_err(|why| terminal.fail(format!("Error getting checks: {why}")))?;
    for check in checks.values() {
        let notes = &check.notes;
        if check.id == "_node_maintenance" {
            terminal.line(format!("Node:\n  Name:   {node}\n  Reason: {notes}\n"));
        } else if check.id.starts_with("_service_maintenance:") {
            let id = &check.service_id;
            terminal.line(format!("Service:\n  ID:     {id}\n  Reason: {notes}\n"));
        }
    }
    Ok(())
}
