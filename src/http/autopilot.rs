//! `/v1/operator/autopilot/` (spec api 2.11): how the leader looks after the set of servers, and what it
//! makes of them.
//!
//! A configuration that is put takes the place of the whole: what it does not name is zero. It says `true`
//! even if nothing was compared, as Consul does.

use std::collections::BTreeMap;

use axum::response::Response;
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::agent::autopilot::{HealthReport, ServerReport};
use crate::agent::{Reply, Request};
use crate::base::calendar::Utc;
use crate::base::{Duration, WallTime, go_duration};
use crate::gossip::Status;
use crate::http::Backend;
use crate::http::decode::{Object, parse_uint};
use crate::http::endpoint::Call;
use crate::http::kv::go_quote;
use crate::http::options::{Options, mismatch, unexpected};
use crate::http::reply::Refusal;
use crate::state::{
    AutopilotCommand, AutopilotConfiguration, Command, CommandResult, NodeMeta, Query, Rows,
};

/// GET and PUT `configuration`.
pub(super) async fn configuration<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    match call.method {
        Method::PUT => put(call).await,
        _ => get(call).await,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigurationJson<'a> {
    cleanup_dead_servers: bool,
    last_contact_threshold: String,
    max_trailing_logs: u64,
    min_quorum: u64,
    server_stabilization_time: String,
    redundancy_zone_tag: &'a str,
    disable_upgrade_migration: bool,
    upgrade_version_tag: &'a str,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a AutopilotConfiguration> for ConfigurationJson<'a> {
    fn from(it: &'a AutopilotConfiguration) -> Self {
        Self {
            cleanup_dead_servers: it.cleanup_dead_servers,
            last_contact_threshold: go_duration::format(it.last_contact_threshold),
            max_trailing_logs: it.max_trailing_logs,
            min_quorum: it.min_quorum,
            server_stabilization_time: go_duration::format(it.server_stabilization_time),
            redundancy_zone_tag: &it.redundancy_zone_tag,
            disable_upgrade_migration: it.disable_upgrade_migration,
            upgrade_version_tag: &it.upgrade_version_tag,
            create_index: it.create_index,
            modify_index: it.modify_index,
        }
    }
}

async fn get<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?.without_blocking();
    match options.read(&call.backend, Query::AutopilotConfiguration).await?.0.rows {
        Rows::Autopilot(Some(row)) => Ok(call.json(&ConfigurationJson::from(&row))),
        Rows::Autopilot(None) => Err(Refusal::internal("autopilot config not initialized yet")),
        rows => Err(unexpected(&rows)),
    }
}

async fn put<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let read = match Object::of_body(&mut call, "AutopilotConfiguration").await {
        Ok(object) => from_object(&object),
        Err(why) => Err(why),
    };
    let mut configuration = read.map_err(|why| {
        Refusal::bad_request(format!("Bad request: Error parsing autopilot config: {why}"))
    })?;
    let cas = call.params.has("cas");
    if cas {
        configuration.modify_index = parse_uint(call.params.get("cas")).map_err(|why| {
            Refusal::bad_request(format!("Bad request: Error parsing cas value: {why}"))
        })?;
    }
    let command = Command::Autopilot(AutopilotCommand { configuration, cas });
    let options = Options::of_datacenter(&call);
    match options.ask(&call.backend, Request::Write(command)).await? {
        Reply::Written(CommandResult::Flag(done)) => Ok(call.json(&(done || !cas))),
        Reply::Written(CommandResult::Error(text)) => Err(Refusal::internal(text)),
        other => Err(mismatch(&other)),
    }
}

fn from_object(object: &Object) -> Result<AutopilotConfiguration, String> {
    Ok(AutopilotConfiguration {
        cleanup_dead_servers: object.flag("CleanupDeadServers")?,
        last_contact_threshold: span(object.get("LastContactThreshold"))?,
        max_trailing_logs: object.unsigned("MaxTrailingLogs")?,
        min_quorum: object.unsigned("MinQuorum")?,
        server_stabilization_time: span(object.get("ServerStabilizationTime"))?,
        redundancy_zone_tag: object.text("RedundancyZoneTag")?,
        disable_upgrade_migration: object.flag("DisableUpgradeMigration")?,
        upgrade_version_tag: object.text("UpgradeVersionTag")?,
        create_index: 0,
        modify_index: object.unsigned("ModifyIndex")?,
    })
}

/// A duration: Go's text, or nanoseconds.
fn span(value: Option<&Value>) -> Result<Duration, String> {
    match value {
        None => Ok(Duration::ZERO),
        Some(Value::String(text)) => go_duration::parse_span(text)
            .ok_or_else(|| format!("time: invalid duration {}", go_quote(text))),
        Some(Value::Number(number)) if number.as_u64().is_some() => {
            Ok(Duration::from_nanos(number.as_u64().unwrap_or_default()))
        }
        Some(other) => Err(format!("strconv.ParseFloat: parsing {other}: invalid syntax")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthJson<'a> {
    healthy: bool,
    failure_tolerance: u64,
    /// Go's nil list is null.
    servers: Option<Vec<ServerJson<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServerJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    address: &'a str,
    serf_status: &'static str,
    version: &'a str,
    leader: bool,
    last_contact: String,
    last_term: u64,
    last_index: u64,
    healthy: bool,
    voter: bool,
    stable_since: String,
}

impl<'a> From<&'a ServerReport> for ServerJson<'a> {
    fn from(it: &'a ServerReport) -> Self {
        // To the nearest second, as Consul rounds it.
        let stable_since = WallTime(it.stable_since.0.saturating_add(500_000_000));
        Self {
            id: it.id.as_str(),
            name: &it.name,
            address: it.address.as_str(),
            serf_status: it.status.as_str(),
            version: &it.version,
            leader: it.leader,
            last_contact: it.last_contact.map_or("-1ns".to_owned(), go_duration::format),
            last_term: it.last_term.0,
            last_index: it.last_index.0,
            healthy: it.healthy,
            voter: it.voter,
            stable_since: Utc::from(stable_since).seconds().to_string(),
        }
    }
}

/// GET `health`.
pub(super) async fn health<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = Options::of_datacenter(&call);
    match options.ask(&call.backend, Request::AutopilotHealth).await? {
        Reply::AutopilotHealth(HealthReport { healthy, failure_tolerance, servers }) => {
            let servers: Vec<ServerJson<'_>> = servers.iter().map(ServerJson::from).collect();
            let servers = Some(servers).filter(|servers| !servers.is_empty());
            let mut response = call.json(&HealthJson { healthy, failure_tolerance, servers });
            if !healthy {
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            }
            Ok(response)
        }
        other => Err(mismatch(&other)),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StateJson<'a> {
    healthy: bool,
    failure_tolerance: u64,
    /// Of the enterprise edition.
    optimistic_failure_tolerance: u64,
    servers: BTreeMap<&'a str, ServerStateJson<'a>>,
    leader: &'a str,
    voters: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServerStateJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    address: &'a str,
    node_status: &'static str,
    version: &'a str,
    last_contact: String,
    last_term: u64,
    last_index: u64,
    healthy: bool,
    stable_since: String,
    /// Of the enterprise edition.
    read_replica: bool,
    status: &'static str,
    /// The catalog's; none of a node that is not there yet.
    meta: Option<&'a NodeMeta>,
    node_type: &'static str,
}

impl<'a> ServerStateJson<'a> {
    fn of(it: &'a ServerReport, meta: Option<&'a NodeMeta>) -> Self {
        Self {
            id: it.id.as_str(),
            name: &it.name,
            address: it.address.as_str(),
            node_status: if it.status == Status::None { "unknown" } else { it.status.as_str() },
            version: &it.version,
            last_contact: it.last_contact.map_or("-1ns".to_owned(), go_duration::format),
            last_term: it.last_term.0,
            last_index: it.last_index.0,
            healthy: it.healthy,
            stable_since: Utc::from(it.stable_since).micros().to_string(),
            read_replica: false,
            status: match (it.leader, it.voter) {
                (true, _) => "leader",
                (false, true) => "voter",
                (false, false) => "non-voter",
            },
            meta,
            node_type: "voter",
        }
    }
}

/// GET `state`: the health, with what the servers are for. 200 whether or not all is well.
pub(super) async fn state<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?.without_blocking();
    let report = match options.ask(&call.backend, Request::AutopilotHealth).await? {
        Reply::AutopilotHealth(report) => report,
        other => return Err(mismatch(&other)),
    };
    let everywhere = Query::CatalogNodes { meta: NodeMeta::new() };
    let nodes = match options.read(&call.backend, everywhere).await?.0.rows {
        Rows::Nodes(nodes) => nodes,
        rows => return Err(unexpected(&rows)),
    };
    let meta_of = |server: &ServerReport| {
        nodes.iter().find(|node| node.id == server.id.as_str()).map(|node| &node.meta)
    };
    let servers = report.servers.iter();
    let leader = report.servers.iter().find(|server| server.leader);
    Ok(call.json(&StateJson {
        healthy: report.healthy,
        failure_tolerance: report.failure_tolerance,
        optimistic_failure_tolerance: 0,
        servers: servers
            .clone()
            .map(|it| (it.id.as_str(), ServerStateJson::of(it, meta_of(it))))
            .collect(),
        leader: leader.map_or("", |server| server.id.as_str()),
        voters: servers.filter(|server| server.voter).map(|server| server.id.as_str()).collect(),
    }))
}
