//! `/v1/internal/ui/` (spec api 2.14): nodes and services with their checks at a glance, for the UI.
//!
//! Without a leader any server's answer is taken: the UI is what one looks at then.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::response::Response;
use hyper::StatusCode;
use serde::Serialize;

use crate::http::Backend;
use crate::http::discovery::{Ask, keep};
use crate::http::endpoint::{Call, route};
use crate::http::filter::{CHECK_SERVICE_NODE, NODE_INFO};
use crate::http::options::unexpected;
use crate::http::reply::{self, Refusal};
use crate::http::views::{Empty, HealthCheckView, NodeServiceView, Nothing, texts_or_null};
use crate::state::{CheckServiceNode, HealthCheck, NodeInfo, PASSING, Query, Rows};

const READ: &[&str] = &["GET"];

/// Of a service's meta: who registered it.
const EXTERNAL_SOURCE: &str = "external-source";

pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    Router::new()
        .route("/v1/internal/ui/nodes", route(backend, READ, nodes))
        .route("/v1/internal/ui/node/", route(backend, READ, node))
        .route("/v1/internal/ui/node/{*name}", route(backend, READ, node))
        .route("/v1/internal/ui/services", route(backend, READ, services))
}

/// A node with all that is on it. Empty lists in it are what the store has: null.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeInfoView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    #[serde(serialize_with = "texts_or_null")]
    tagged_addresses: &'a BTreeMap<String, String>,
    #[serde(serialize_with = "texts_or_null")]
    meta: &'a BTreeMap<String, String>,
    services: Vec<NodeServiceView<'a>>,
    checks: Vec<HealthCheckView<'a>>,
}

impl<'a> From<&'a NodeInfo> for NodeInfoView<'a> {
    fn from(it: &'a NodeInfo) -> Self {
        let services = it.services.iter().map(|it| NodeServiceView::new(it, Empty::Null));
        let checks = it.checks.iter().map(|it| HealthCheckView::new(it, Empty::Null));
        Self {
            id: &it.node.id,
            node: &it.node.node,
            address: &it.node.address,
            tagged_addresses: &it.node.tagged_addresses,
            meta: &it.node.meta,
            services: services.collect(),
            checks: checks.collect(),
        }
    }
}

async fn nodes<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let filter = ask.filter(NODE_INFO)?;
    let mut found = ask.read_from_anyone(Query::NodeDump).await?;
    let Rows::NodeInfos(rows) = &mut found.rows else { return Err(unexpected(&found.rows)) };
    let mut rows = std::mem::take(rows);
    keep(&mut rows, filter.as_ref());
    let views: Vec<NodeInfoView<'_>> = rows.iter().map(NodeInfoView::from).collect();
    Ok(ask.plain_answer(&views, &found))
}

async fn node<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let node = ask.named("/v1/internal/ui/node/", "Missing node name")?;
    let found = ask.read_from_anyone(Query::NodeInfo { node }).await?;
    match &found.rows {
        Rows::NodeInfos(rows) => Ok(match rows.first() {
            Some(row) => ask.plain_answer(&NodeInfoView::from(row), &found),
            // As Consul does: no headers of a read.
            None => reply::empty(StatusCode::NOT_FOUND),
        }),
        other => Err(unexpected(other)),
    }
}

/// A service in figures.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SummaryView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    name: &'a str,
    datacenter: &'a str,
    tags: Option<BTreeSet<&'a str>>,
    nodes: BTreeSet<&'a str>,
    external_sources: Option<BTreeSet<&'a str>>,
    instance_count: usize,
    checks_passing: usize,
    checks_warning: usize,
    checks_critical: usize,
    gateway_config: Nothing,
    connected_with_proxy: bool,
    connected_with_gateway: bool,
}

async fn services<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let datacenter = call.identity().datacenter.clone();
    let ask = Ask::of(call)?;
    let filter = ask.filter(CHECK_SERVICE_NODE)?;
    let mut found = ask.read_from_anyone(Query::ServiceDump).await?;
    let Rows::CheckServiceNodes(rows) = &mut found.rows else {
        return Err(unexpected(&found.rows));
    };
    let mut rows = std::mem::take(rows);
    keep(&mut rows, filter.as_ref());
    let mut by_name: BTreeMap<&str, Vec<&CheckServiceNode>> = BTreeMap::new();
    for row in &rows {
        by_name.entry(&row.service.service).or_default().push(row);
    }
    let views: Vec<SummaryView<'_>> =
        by_name.into_iter().map(|(name, rows)| summary(name, &datacenter, &rows)).collect();
    Ok(ask.plain_answer(&views, &found))
}

fn summary<'a>(
    name: &'a str,
    datacenter: &'a str,
    rows: &[&'a CheckServiceNode],
) -> SummaryView<'a> {
    let some = |set: BTreeSet<&'a str>| Some(set).filter(|set| !set.is_empty());
    let tags = rows.iter().flat_map(|row| row.service.tags.iter().map(String::as_str));
    let sources = rows.iter().filter_map(|row| row.service.meta.get(EXTERNAL_SOURCE));
    // A node's check counts once, however many instances are there.
    let each = |row: &&'a CheckServiceNode| row.checks.iter().map(|it| HealthCheckKey::of(it));
    let checks: BTreeMap<_, _> = rows.iter().flat_map(each).collect();
    let count = |wanted: &str| checks.values().filter(|status| **status == wanted).count();
    SummaryView {
        kind: rows.first().map_or("", |row| &row.service.kind),
        name,
        datacenter,
        tags: some(tags.collect()),
        nodes: rows.iter().map(|row| row.node.node.as_str()).collect(),
        external_sources: some(sources.map(String::as_str).collect()),
        instance_count: rows.len(),
        checks_passing: count(PASSING),
        checks_warning: count("warning"),
        checks_critical: count(crate::state::CRITICAL),
        gateway_config: Nothing {},
        connected_with_proxy: false,
        connected_with_gateway: false,
    }
}

/// Which check it is.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct HealthCheckKey<'a> {
    node: &'a str,
    check_id: &'a str,
}

impl<'a> HealthCheckKey<'a> {
    /// With its status.
    fn of(check: &'a HealthCheck) -> (Self, &'a str) {
        (Self { node: &check.node, check_id: &check.check_id }, &check.status)
    }
}
