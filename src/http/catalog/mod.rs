//! `/v1/catalog/` (spec api 2.3): what runs where.
//!
//! Reads are here, writes in `write`. Where Consul 1.9.8 takes no filter, none is looked at.

mod write;

pub(super) use write::{CHECK_FIELDS, SERVICE_FIELDS, health_check, node_service};

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::response::Response;
use serde::Serialize;

use crate::agent::{Reply, Request};
use crate::http::Backend;
use crate::http::answer_cache::AnswerCache;
use crate::http::discovery::{Ask, keep};
use crate::http::endpoint::{Call, route};
use crate::http::filter::{NODE, SERVICE, SERVICE_NODE};
use crate::http::options::{Options, mismatch, unexpected};
use crate::http::reply::Refusal;
use crate::http::views::{Empty, NodeServiceView, NodeView, ServiceNodeView};
use crate::state::{Node, NodeService, Query, Rows};

const READ: &[&str] = &["GET"];
const WRITE: &[&str] = &["PUT"];

pub(super) fn routes<B: Backend>(backend: &B, cache: &AnswerCache) -> Router {
    let of_service = || {
        let cache = cache.clone();
        route(backend, READ, move |call| service(call, cache.clone()))
    };
    let of_all = cache.clone();
    Router::new()
        .route("/v1/catalog/register", route(backend, WRITE, write::register))
        .route("/v1/catalog/deregister", route(backend, WRITE, write::deregister))
        .route("/v1/catalog/datacenters", route(backend, READ, datacenters))
        .route("/v1/catalog/nodes", route(backend, READ, nodes))
        .route("/v1/catalog/services", {
            route(backend, READ, move |call| services(call, of_all.clone()))
        })
        .route("/v1/catalog/service/", of_service())
        .route("/v1/catalog/service/{*name}", of_service())
        .route("/v1/catalog/node/", route(backend, READ, node))
        .route("/v1/catalog/node/{*name}", route(backend, READ, node))
        .route("/v1/catalog/node-services/", route(backend, READ, node_services))
        .route("/v1/catalog/node-services/{*name}", route(backend, READ, node_services))
}

/// GET `datacenters`: this one first, then those that servers know of.
async fn datacenters<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let own = call.identity().datacenter.clone();
    let options = Options::of_datacenter(&call).in_datacenter(&own);
    let maps = match options.ask(&call.backend, Request::CoordinateDatacenters).await? {
        Reply::DatacenterMaps(maps) => maps,
        other => return Err(mismatch(&other)),
    };
    let mut others: BTreeSet<String> = maps.into_iter().map(|map| map.datacenter).collect();
    others.remove(&own);
    let all: Vec<String> = std::iter::once(own).chain(others).collect();
    Ok(call.json(&all))
}

async fn nodes<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let filter = ask.filter(NODE)?;
    let mut found = ask.read(Query::CatalogNodes { meta: ask.meta.clone() }).await?;
    let Rows::Nodes(rows) = &mut found.rows else { return Err(unexpected(&found.rows)) };
    let mut rows = std::mem::take(rows);
    keep(&mut rows, filter.as_ref());
    ask.sort(&mut rows, |node| &node.node).await?;
    let views: Vec<NodeView<'_>> = rows.iter().map(NodeView::from).collect();
    Ok(ask.answer(&views, &found))
}

async fn services<B: Backend>(call: Call<B>, cache: AnswerCache) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let query = Query::CatalogServices { meta: ask.meta.clone() };
    let found = ask.read_cached(query, &cache).await?;
    match &found.rows {
        Rows::Services(rows) => Ok(ask.answer(rows, &found)),
        other => Err(unexpected(other)),
    }
}

async fn service<B: Backend>(call: Call<B>, cache: AnswerCache) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let service = ask.named("/v1/catalog/service/", "Missing service name")?;
    let filter = ask.filter(SERVICE_NODE)?;
    let tags = ask.params.all("tag").map(str::to_owned).collect();
    let query = Query::CatalogService { service, tags, meta: ask.meta.clone() };
    let mut found = ask.read_cached(query, &cache).await?;
    let Rows::ServiceNodes(rows) = &mut found.rows else { return Err(unexpected(&found.rows)) };
    let mut rows = std::mem::take(rows);
    keep(&mut rows, filter.as_ref());
    ask.sort(&mut rows, |(node, _)| &node.node).await?;
    let views: Vec<ServiceNodeView<'_>> = rows.iter().map(ServiceNodeView::from).collect();
    Ok(ask.answer(&views, &found))
}

/// A node with its services by their ids.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServicesView<'a> {
    node: NodeView<'a>,
    services: BTreeMap<&'a str, NodeServiceView<'a>>,
}

async fn node<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let node = ask.named("/v1/catalog/node/", "Missing node name")?;
    let filter = ask.filter(SERVICE)?;
    let mut found = ask.read(Query::CatalogNode { node }).await?;
    let held = on_node(&mut found.rows)?.map(|(node, mut services)| {
        keep(&mut services, filter.as_ref());
        (node, services)
    });
    let view = held.as_ref().map(|(node, services)| {
        let view = |it| NodeServiceView::new(it, Empty::List);
        let services = services.iter().map(|it| (it.id.as_str(), view(it))).collect();
        NodeServicesView { node: node.into(), services }
    });
    Ok(ask.answer(&view, &found))
}

/// A node with its services in a list.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServiceListView<'a> {
    node: Option<NodeView<'a>>,
    services: Option<Vec<NodeServiceView<'a>>>,
}

async fn node_services<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let node = ask.named("/v1/catalog/node-services/", "Missing node name")?;
    let filter = ask.filter(SERVICE)?;
    let mut found = ask.read(Query::CatalogNode { node }).await?;
    let held = on_node(&mut found.rows)?.map(|(node, mut services)| {
        keep(&mut services, filter.as_ref());
        (node, services)
    });
    let view = NodeServiceListView {
        node: held.as_ref().map(|(node, _)| node.into()),
        services: held.as_ref().map(|(_, services)| {
            services.iter().map(|it| NodeServiceView::new(it, Empty::List)).collect()
        }),
    };
    Ok(ask.answer(&view, &found))
}

fn on_node(rows: &mut Rows) -> Result<Option<(Node, Vec<NodeService>)>, Refusal> {
    match rows {
        Rows::NodeServices(found) => Ok(found.take()),
        other => Err(unexpected(other)),
    }
}
