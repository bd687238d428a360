//! The JSON forms of the catalog's structs, as Consul 1.9.8 writes them (spec api 2.1).
//!
//! ```text
//!   state::Node ──► NodeView          state::NodeService ──► NodeServiceView
//!   both        ──► ServiceNodeView   state::HealthCheck ──► HealthCheckView ──► DefinitionView
//!   all three   ──► CheckServiceNodeView
//! ```
//!
//! Views borrow; fields stand in the order of Go's structs. Where Go tells an empty list from none, the
//! store does not: [`Empty`] says which of the two an endpoint is known to write.
//!
//! Deliberately not here: what a service in the mesh says in `Proxy` and `Connect`, which the store keeps
//! without reading it; the plain service's form is written.

mod check;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::state::{CheckServiceNode, Node, NodeService, ServiceAddress, Weights};

pub(super) use check::HealthCheckView;

/// How a list without elements is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// `[]`: the endpoints of catalog and health, which put it there.
    List,
    /// `null`: those that give what the store has.
    Null,
}

/// Texts by name: `null` when there are none.
pub(super) fn texts_or_null<S: Serializer>(
    texts: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    Some(texts).filter(|texts| !texts.is_empty()).serialize(serializer)
}

/// A list in the form that an endpoint writes.
fn list(texts: &[String], empty: Empty) -> Option<&[String]> {
    (empty == Empty::List || !texts.is_empty()).then_some(texts)
}

/// A machine.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    #[serde(serialize_with = "texts_or_null")]
    tagged_addresses: &'a BTreeMap<String, String>,
    #[serde(serialize_with = "texts_or_null")]
    meta: &'a BTreeMap<String, String>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a Node> for NodeView<'a> {
    fn from(it: &'a Node) -> Self {
        Self {
            id: &it.id,
            node: &it.node,
            address: &it.address,
            datacenter: &it.datacenter,
            tagged_addresses: &it.tagged_addresses,
            meta: &it.meta,
            create_index: it.create_index,
            modify_index: it.modify_index,
        }
    }
}

/// An address of a service on one network.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddressView<'a> {
    address: &'a str,
    port: i64,
}

impl<'a> From<&'a ServiceAddress> for AddressView<'a> {
    fn from(it: &'a ServiceAddress) -> Self {
        Self { address: &it.address, port: it.port.cast_signed() }
    }
}

/// The addresses of a service by network.
pub(super) fn addresses(
    by_network: &BTreeMap<String, ServiceAddress>,
) -> BTreeMap<&str, AddressView<'_>> {
    let named = by_network.iter();
    named.map(|(network, it)| (network.as_str(), AddressView::from(it))).collect()
}

/// How much of the traffic an instance is to get.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WeightsView {
    passing: u64,
    warning: u64,
}

impl From<Weights> for WeightsView {
    fn from(Weights { passing, warning }: Weights) -> Self {
        Self { passing, warning }
    }
}

/// An object without fields.
#[derive(Default, Serialize)]
pub(super) struct Nothing {}

/// `Proxy` of a plain service.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PlainProxy {
    mesh_gateway: Nothing,
    expose: Nothing,
}

/// An instance as it is shown with its node beside it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NodeServiceView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Option<&'a [String]>,
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, AddressView<'a>>,
    #[serde(serialize_with = "texts_or_null")]
    meta: &'a BTreeMap<String, String>,
    port: i64,
    weights: WeightsView,
    enable_tag_override: bool,
    proxy: PlainProxy,
    connect: Nothing,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeServiceView<'a> {
    pub(super) fn new(it: &'a NodeService, empty: Empty) -> Self {
        Self {
            kind: &it.kind,
            id: &it.id,
            service: &it.service,
            tags: list(&it.tags, empty),
            address: &it.address,
            tagged_addresses: addresses(&it.tagged_addresses),
            meta: &it.meta,
            port: it.port.cast_signed(),
            weights: it.weights.into(),
            enable_tag_override: it.enable_tag_override,
            proxy: PlainProxy::default(),
            connect: Nothing {},
            create_index: it.create_index,
            modify_index: it.modify_index,
        }
    }
}

/// An instance and its node in one object: an element of `catalog/service`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServiceNodeView<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    #[serde(serialize_with = "texts_or_null")]
    tagged_addresses: &'a BTreeMap<String, String>,
    #[serde(serialize_with = "texts_or_null")]
    node_meta: &'a BTreeMap<String, String>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a [String],
    service_address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_tagged_addresses: BTreeMap<&'a str, AddressView<'a>>,
    service_weights: WeightsView,
    service_meta: &'a BTreeMap<String, String>,
    service_port: i64,
    service_enable_tag_override: bool,
    service_proxy: PlainProxy,
    service_connect: Nothing,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a (Node, NodeService)> for ServiceNodeView<'a> {
    fn from((node, it): &'a (Node, NodeService)) -> Self {
        Self {
            id: &node.id,
            node: &node.node,
            address: &node.address,
            datacenter: &node.datacenter,
            tagged_addresses: &node.tagged_addresses,
            node_meta: &node.meta,
            service_kind: &it.kind,
            service_id: &it.id,
            service_name: &it.service,
            service_tags: &it.tags,
            service_address: &it.address,
            service_tagged_addresses: addresses(&it.tagged_addresses),
            service_weights: it.weights.into(),
            service_meta: &it.meta,
            service_port: it.port.cast_signed(),
            service_enable_tag_override: it.enable_tag_override,
            service_proxy: PlainProxy::default(),
            service_connect: Nothing {},
            create_index: it.create_index,
            modify_index: it.modify_index,
        }
    }
}

/// An instance with its node and the checks of both: an element of `health/service`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CheckServiceNodeView<'a> {
    node: NodeView<'a>,
    service: NodeServiceView<'a>,
    checks: Vec<HealthCheckView<'a>>,
}

impl<'a> From<&'a CheckServiceNode> for CheckServiceNodeView<'a> {
    fn from(it: &'a CheckServiceNode) -> Self {
        let checks = it.checks.iter().map(|check| HealthCheckView::new(check, Empty::List));
        Self {
            node: (&*it.node).into(),
            service: NodeServiceView::new(&it.service, Empty::List),
            checks: checks.collect(),
        }
    }
}
