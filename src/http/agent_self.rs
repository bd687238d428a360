//! `/v1/agent/self` (spec api 2.2). Every value at the top is an object or null, and every statistic a
//! string: clients decode them so.

use std::collections::BTreeMap;

use axum::response::Response;
use serde::Serialize;

use crate::agent::{LEGACY_BUILD, RaftInfo, Reply, Request, SelfInfo};
use crate::base::go_duration;
use crate::base::machine::Usage;
use crate::gossip::Stats;
use crate::http::agent;
use crate::http::coordinates::CoordinateJson;
use crate::http::endpoint::Call;
use crate::http::members::MemberJson;
use crate::http::options::mismatch;
use crate::http::reply::Refusal;
use crate::http::{Backend, Identity};
use crate::raft::Profile;

type Section = BTreeMap<&'static str, String>;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SelfJson<'a> {
    config: ConfigJson<'a>,
    debug_config: BTreeMap<&'static str, bool>,
    coord: Option<CoordinateJson>,
    member: Option<MemberJson<'a>>,
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
    let counts = agent::counts(&call.backend).await;
    let identity = call.identity();
    let coordinate = info.coordinate.as_ref().filter(|_| identity.coordinates);
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
        coord: coordinate.map(CoordinateJson::from),
        member: info.member.as_ref().map(MemberJson::from),
        stats: stats(identity, &info, call.backend.usage(), counts),
        meta: [("consul-network-segment", "")].into(),
    }))
}

fn stats(
    identity: &Identity,
    info: &SelfInfo,
    usage: Usage,
    counts: [(&'static str, usize); 4],
) -> BTreeMap<&'static str, Section> {
    let owned = |rows: &[(&'static str, &str)]| -> Section {
        rows.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    };
    let build = [("prerelease", ""), ("revision", ""), ("version", &identity.version)];
    let (tasks, processors) = (usage.tasks.to_string(), usage.processors.to_string());
    let runtime = [
        ("arch", go_arch()),
        ("cpu_count", &processors),
        ("goroutines", &tasks),
        ("max_procs", &processors),
        ("os", std::env::consts::OS),
        ("version", concat!("rust", env!("CARGO_PKG_RUST_VERSION"))),
    ];
    let mut stats = BTreeMap::from([
        ("agent", counts.map(|(key, count)| (key, count.to_string())).into()),
        ("build", owned(&build)),
        ("consul", consul(identity, info)),
        ("runtime", owned(&runtime)),
    ]);
    stats.extend(info.raft.as_ref().map(|info| ("raft", raft(info))));
    stats.extend(info.serf_lan.as_ref().map(|pool| ("serf_lan", serf(pool))));
    stats.extend(info.serf_wan.as_ref().map(|pool| ("serf_wan", serf(pool))));
    if identity.profile == Profile::Legacy {
        as_legacy(&mut stats);
    }
    stats
}

/// The keys of 0.5.2: what came later is not there, and the build is that version's.
fn as_legacy(stats: &mut BTreeMap<&'static str, Section>) {
    const LATER: [(&str, &[&str]); 4] = [
        ("consul", &["acl", "leader_addr"]),
        (
            "raft",
            &[
                "latest_configuration",
                "latest_configuration_index",
                "protocol_version",
                "protocol_version_max",
                "protocol_version_min",
                "snapshot_version_max",
                "snapshot_version_min",
            ],
        ),
        ("serf_lan", &["health_score"]),
        ("serf_wan", &["health_score"]),
    ];
    for (section, keys) in LATER {
        if let Some(section) = stats.get_mut(section) {
            section.retain(|key, _| !keys.contains(key));
        }
    }
    let (version, revision) = LEGACY_BUILD;
    let build = [("prerelease", ""), ("revision", revision), ("version", version)];
    stats.insert("build", build.map(|(key, value)| (key, value.to_owned())).into());
}

fn consul(identity: &Identity, info: &SelfInfo) -> Section {
    let mut section =
        Section::from([("acl", "disabled".to_owned()), ("server", identity.server.to_string())]);
    match &info.raft {
        Some(raft) => {
            let leader = raft.leader.as_ref().map_or("", |address| address.as_str());
            section.insert("bootstrap", identity.bootstrap.to_string());
            section.insert("known_datacenters", info.known_datacenters.to_string());
            section.insert("leader", (raft.raft_state == "Leader").to_string());
            section.insert("leader_addr", leader.to_owned());
        }
        None => {
            section.insert("known_servers", info.known_servers.to_string());
        }
    }
    section
}

fn serf(pool: &Stats) -> Section {
    pool.rows().into_iter().collect()
}

fn raft(info: &RaftInfo) -> Section {
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
        ("latest_configuration", info.latest_configuration.to_string()),
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

/// The machine's architecture by Go's name.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
