//! `/v1/agent/self` (spec api 2.2), in brief: no gossip member and no coordinates yet. Every value at
//! the top is an object or null, and every statistic a string: clients decode them so.

use std::collections::BTreeMap;

use axum::response::Response;
use serde::Serialize;

use crate::agent::{Reply, Request, SelfInfo};
use crate::base::go_duration;
use crate::http::endpoint::Call;
use crate::http::options::mismatch;
use crate::http::reply::Refusal;
use crate::http::{Backend, Identity};
use crate::raft::{Configuration, Server, Suffrage};

type Section = BTreeMap<&'static str, String>;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SelfJson<'a> {
    config: ConfigJson<'a>,
    debug_config: BTreeMap<&'static str, bool>,
    coord: Option<()>,
    member: Option<()>,
    stats: BTreeMap<&'static str, Section>,
    meta: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigJson<'a> {
    datacenter: &'a str,
    node_name: &'a str,
    #[serde(rename = "NodeID")]
    node_id: &'a str,
    revision: &'static str,
    server: bool,
    version: &'a str,
}

/// GET.
pub(super) async fn handle<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let info = match call.backend.ask(Request::AgentSelf).await? {
        Reply::AgentSelf(info) => info,
        other => return Err(mismatch(&other)),
    };
    let identity = call.identity();
    Ok(call.json(&SelfJson {
        config: ConfigJson {
            datacenter: &identity.datacenter,
            node_name: &identity.node_name,
            node_id: &identity.node_id,
            revision: "",
            server: identity.server,
            version: &identity.version,
        },
        debug_config: [("EnableDebug", false)].into(),
        coord: None,
        member: None,
        stats: stats(identity, &info),
        meta: [("consul-network-segment", "")].into(),
    }))
}

fn stats(identity: &Identity, info: &SelfInfo) -> BTreeMap<&'static str, Section> {
    let leads = info.raft_state == "Leader";
    let leader = info.leader.as_ref().map_or("", |address| address.as_str());
    let build = [("prerelease", ""), ("revision", ""), ("version", &identity.version)];
    let consul = [
        ("acl", "disabled".to_owned()),
        ("bootstrap", identity.bootstrap.to_string()),
        ("known_datacenters", "1".to_owned()),
        ("leader", leads.to_string()),
        ("leader_addr", leader.to_owned()),
        ("server", identity.server.to_string()),
    ];
    let runtime = [("arch", std::env::consts::ARCH), ("os", std::env::consts::OS)];
    BTreeMap::from([
        ("build", build.map(|(key, value)| (key, value.to_owned())).into()),
        ("consul", consul.into()),
        ("raft", raft(info)),
        ("runtime", runtime.map(|(key, value)| (key, value.to_owned())).into()),
    ])
}

fn raft(info: &SelfInfo) -> Section {
    let last_contact = match info.last_contact {
        None => "never".to_owned(),
        Some(span) if span.is_zero() => "0".to_owned(),
        Some(span) => go_duration::format(span),
    };
    Section::from([
        ("applied_index", info.applied_index.to_string()),
        ("commit_index", info.commit_index.to_string()),
        ("fsm_pending", "0".to_owned()),
        ("last_contact", last_contact),
        ("last_log_index", info.last_log_index.to_string()),
        ("last_log_term", info.last_log_term.to_string()),
        ("last_snapshot_index", info.last_snapshot.0.to_string()),
        ("last_snapshot_term", info.last_snapshot.1.to_string()),
        ("latest_configuration", configuration(&info.latest_configuration)),
        ("latest_configuration_index", info.latest_configuration_index.to_string()),
        ("num_peers", info.num_peers.to_string()),
        ("protocol_version", "3".to_owned()),
        ("protocol_version_max", "3".to_owned()),
        ("protocol_version_min", "0".to_owned()),
        ("snapshot_version_max", "1".to_owned()),
        ("snapshot_version_min", "0".to_owned()),
        ("state", info.raft_state.to_owned()),
        ("term", info.term.to_string()),
    ])
}

/// As Go prints a list of hashicorp/raft's servers.
fn configuration(configuration: &Configuration) -> String {
    let server = |server: &Server| {
        let suffrage = match server.suffrage {
            Suffrage::Voter => "Voter",
            Suffrage::Nonvoter => "Nonvoter",
            Suffrage::Staging => "Staging",
        };
        format!("{{Suffrage:{suffrage} ID:{} Address:{}}}", server.id, server.address)
    };
    let servers: Vec<String> = configuration.servers.iter().map(server).collect();
    format!("[{}]", servers.join(" "))
}
