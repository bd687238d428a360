//! The JSON forms of an agent's own services and checks, where they differ from the catalog's
//! (spec api 2.1.5). Fields stand in the order of Go's structs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::http::views::{AddressView, WeightsView, addresses};
use crate::state::{HealthCheck, NodeService};

/// A service: `Tags` and `Meta` are never null, and indexes are not there.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AgentServiceView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    port: i64,
    address: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, AddressView<'a>>,
    weights: WeightsView,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    content_hash: &'a str,
    datacenter: &'a str,
}

impl<'a> AgentServiceView<'a> {
    pub(super) fn new(it: &'a NodeService, datacenter: &'a str, content_hash: &'a str) -> Self {
        Self {
            kind: &it.kind,
            id: &it.id,
            service: &it.service,
            tags: &it.tags,
            meta: &it.meta,
            port: it.port.cast_signed(),
            address: &it.address,
            tagged_addresses: addresses(&it.tagged_addresses),
            weights: it.weights.into(),
            enable_tag_override: it.enable_tag_override,
            content_hash,
            datacenter,
        }
    }
}

/// A check as `agent/health` shows it: the client library's struct, of which nothing but the plain texts is
/// filled in.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PlainCheckView<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'a str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Option<&'a [String]>,
    r#type: &'static str,
    definition: BlankDefinition,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a HealthCheck> for PlainCheckView<'a> {
    fn from(it: &'a HealthCheck) -> Self {
        Self {
            node: &it.node,
            check_id: &it.check_id,
            name: &it.name,
            status: &it.status,
            notes: &it.notes,
            output: &it.output,
            service_id: &it.service_id,
            service_name: &it.service_name,
            service_tags: Some(&it.service_tags[..]).filter(|tags| !tags.is_empty()),
            r#type: "",
            definition: BlankDefinition::default(),
            create_index: 0,
            modify_index: 0,
        }
    }
}

/// What the client library makes of a definition that says nothing.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BlankDefinition {
    #[serde(rename = "HTTP")]
    http: &'static str,
    header: Option<()>,
    method: &'static str,
    body: &'static str,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
    #[serde(rename = "TCP")]
    tcp: &'static str,
    interval: &'static str,
    timeout: &'static str,
    deregister_critical_service_after: &'static str,
}

impl Default for BlankDefinition {
    fn default() -> Self {
        Self {
            http: "",
            header: None,
            method: "",
            body: "",
            tls_skip_verify: false,
            tcp: "",
            interval: "0s",
            timeout: "0s",
            deregister_critical_service_after: "0s",
        }
    }
}
