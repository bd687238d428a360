//! Checks, and what they do. A definition shows only what it says; its spans are Go's texts but for
//! `TTL`, which is nanoseconds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Empty, list};
use crate::base::{Duration, go_duration};
use crate::state::{CheckDefinition, HealthCheck};

/// A check of a node or of an instance.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::http) struct HealthCheckView<'a> {
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
    #[serde(rename = "Type")]
    kind: &'a str,
    definition: DefinitionView<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> HealthCheckView<'a> {
    pub(in crate::http) fn new(it: &'a HealthCheck, empty: Empty) -> Self {
        Self {
            node: &it.node,
            check_id: &it.check_id,
            name: &it.name,
            status: &it.status,
            notes: &it.notes,
            output: &it.output,
            service_id: &it.service_id,
            service_name: &it.service_name,
            service_tags: list(&it.service_tags, empty),
            kind: &it.kind,
            definition: (&it.definition).into(),
            create_index: it.create_index,
            modify_index: it.modify_index,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DefinitionView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    output_max_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deregister_critical_service_after: Option<String>,
    #[serde(rename = "HTTP", skip_serializing_if = "str::is_empty")]
    http: &'a str,
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "is_false")]
    tls_skip_verify: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    header: &'a BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    body: &'a str,
    #[serde(rename = "TCP", skip_serializing_if = "str::is_empty")]
    tcp: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    script_args: &'a [String],
    #[serde(rename = "DockerContainerID", skip_serializing_if = "str::is_empty")]
    docker_container_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    shell: &'a str,
    #[serde(rename = "GRPC", skip_serializing_if = "str::is_empty")]
    grpc: &'a str,
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "is_false")]
    grpc_use_tls: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    alias_node: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    alias_service: &'a str,
    #[serde(rename = "TTL", skip_serializing_if = "is_zero")]
    ttl: u64,
}

impl<'a> From<&'a CheckDefinition> for DefinitionView<'a> {
    fn from(it: &'a CheckDefinition) -> Self {
        let text = |span: Duration| (!span.is_zero()).then(|| go_duration::format(span));
        Self {
            interval: text(it.interval),
            output_max_size: it.output_max_size,
            timeout: text(it.timeout),
            deregister_critical_service_after: text(it.deregister_critical_service_after),
            http: &it.http,
            tls_skip_verify: it.tls_skip_verify,
            header: &it.header,
            method: &it.method,
            body: &it.body,
            tcp: &it.tcp,
            script_args: &it.script_args,
            docker_container_id: &it.docker_container_id,
            shell: &it.shell,
            grpc: &it.grpc,
            grpc_use_tls: it.grpc_use_tls,
            alias_node: &it.alias_node,
            alias_service: &it.alias_service,
            ttl: u64::try_from(it.ttl.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
