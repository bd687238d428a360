//! Registrations from outside: bodies, and the writes. What is missing or does not fit is the leader's to
//! say.
//!
//! Fields that are not known are refused, as Consul 1.9.8 does: at the top, of an instance and of a check.
//! A `Definition` is read without that rule, there as here.

use axum::response::Response;

use crate::agent::{Reply, Request};
use crate::http::Backend;
use crate::http::decode::Object;
use crate::http::endpoint::Call;
use crate::http::options::{Options, mismatch, refuse_enterprise};
use crate::http::reply::Refusal;
use crate::state::{
    CheckDefinition, Command, CommandResult, Deregister, HealthCheck, Node, NodeService, Register,
    ServiceAddress, Weights,
};

/// Go's embedded structs make these fields of every request too; they are not looked at.
const PROMOTED: &[&str] = &["Token", "CreateIndex", "ModifyIndex"];
const REGISTER: &[&str] = &[
    "Datacenter",
    "ID",
    "Node",
    "Address",
    "TaggedAddresses",
    "NodeMeta",
    "Service",
    "Check",
    "Checks",
    "SkipNodeUpdate",
];
const DEREGISTER: &[&str] = &["Datacenter", "Node", "Address", "ServiceID", "CheckID", "Token"];
/// Of an instance as the catalog's JSON has it.
pub(in crate::http) const SERVICE_FIELDS: &[&str] = &[
    "Kind",
    "ID",
    "Service",
    "Tags",
    "Address",
    "TaggedAddresses",
    "Meta",
    "Port",
    "Weights",
    "EnableTagOverride",
    "Proxy",
    "Connect",
    "CreateIndex",
    "ModifyIndex",
];
/// Likewise of a check.
pub(in crate::http) const CHECK_FIELDS: &[&str] = &[
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
    "Definition",
    "CreateIndex",
    "ModifyIndex",
];

/// PUT `register`.
pub(super) async fn register<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    refuse_enterprise(&call.params, &call.headers)?;
    let body = Object::of_body(&mut call, "RegisterRequest").await.map_err(undecoded)?;
    let read = body.only(&[REGISTER, PROMOTED].concat()).and_then(|()| registration(&body));
    let what = read.map_err(undecoded)?;
    let datacenter = what.node.datacenter.clone();
    write(call, &datacenter, Command::Register(Box::new(what))).await
}

/// PUT `deregister`.
pub(super) async fn deregister<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    refuse_enterprise(&call.params, &call.headers)?;
    let body = Object::of_body(&mut call, "DeregisterRequest").await.map_err(undecoded)?;
    let read = || {
        body.only(DEREGISTER)?;
        let (node, service_id) = (body.text("Node")?, body.text("ServiceID")?);
        let what = Deregister { node, service_id, check_id: body.text("CheckID")? };
        Ok((what, body.text("Datacenter")?))
    };
    let (what, datacenter) = read().map_err(undecoded)?;
    write(call, &datacenter, Command::Deregister(what)).await
}

fn undecoded(why: String) -> Refusal {
    Refusal::bad_request(format!("Request decode failed: {why}"))
}

async fn write<B: Backend>(
    call: Call<B>,
    datacenter: &str,
    command: Command,
) -> Result<Response, Refusal> {
    let options = Options::of_datacenter(&call).in_datacenter(datacenter);
    match options.ask(&call.backend, Request::Write(command)).await? {
        Reply::Written(CommandResult::Flag(_)) => Ok(call.json(&true)),
        Reply::Written(CommandResult::Error(text)) => Err(Refusal::internal(text)),
        other => Err(mismatch(&other)),
    }
}

fn registration(body: &Object) -> Result<Register, String> {
    let mut checks = Vec::new();
    for check in body.objects("Checks", "HealthCheck")? {
        check.only(CHECK_FIELDS)?;
        checks.push(health_check(&check)?);
    }
    if let Some(check) = body.object("Check", "HealthCheck")? {
        check.only(CHECK_FIELDS)?;
        checks.push(health_check(&check)?);
    }
    let node = Node {
        id: body.text("ID")?,
        node: body.text("Node")?,
        address: body.text("Address")?,
        datacenter: body.text("Datacenter")?,
        tagged_addresses: body.text_map("TaggedAddresses")?,
        meta: body.text_map("NodeMeta")?,
        ..Node::default()
    };
    let service = body.object("Service", "NodeService")?;
    let read = |it: Object| it.only(SERVICE_FIELDS).and_then(|()| node_service(&it));
    let service = service.map(read).transpose()?;
    Ok(Register { node, service, checks, skip_node_update: body.flag("SkipNodeUpdate")? })
}

/// An instance as the catalog's JSON has it.
pub(in crate::http) fn node_service(body: &Object) -> Result<NodeService, String> {
    let mut service = NodeService {
        kind: body.text("Kind")?,
        id: body.text("ID")?,
        service: body.text("Service")?,
        tags: body.texts("Tags")?,
        address: body.text("Address")?,
        meta: body.text_map("Meta")?,
        // Kept as it is said, negative ones too.
        port: body.signed("Port")?.cast_unsigned(),
        enable_tag_override: body.flag("EnableTagOverride")?,
        ..NodeService::default()
    };
    for (network, it) in body.object_map("TaggedAddresses", "ServiceAddress")? {
        let address = ServiceAddress {
            address: it.text("Address")?,
            port: it.signed("Port")?.cast_unsigned(),
        };
        service.tagged_addresses.insert(network, address);
    }
    if let Some(weights) = body.object("Weights", "Weights")? {
        let (passing, warning) = (weights.unsigned("Passing")?, weights.unsigned("Warning")?);
        service.weights = Weights { passing, warning };
    }
    Ok(service)
}

/// A check as the catalog's JSON has it.
pub(in crate::http) fn health_check(body: &Object) -> Result<HealthCheck, String> {
    let definition = body.object("Definition", "HealthCheckDefinition")?;
    Ok(HealthCheck {
        node: body.text("Node")?,
        check_id: body.text("CheckID")?,
        name: body.text("Name")?,
        status: body.text("Status")?,
        notes: body.text("Notes")?,
        output: body.text("Output")?,
        service_id: body.text("ServiceID")?,
        service_name: body.text("ServiceName")?,
        service_tags: body.texts("ServiceTags")?,
        kind: body.text("Type")?,
        definition: definition.map(|it| definition_of(&it)).transpose()?.unwrap_or_default(),
        ..HealthCheck::default()
    })
}

fn definition_of(body: &Object) -> Result<CheckDefinition, String> {
    Ok(CheckDefinition {
        http: body.text("HTTP")?,
        tls_skip_verify: body.flag("TLSSkipVerify")?,
        header: body.text_lists("Header")?,
        method: body.text("Method")?,
        body: body.text("Body")?,
        tcp: body.text("TCP")?,
        interval: body.span("Interval")?,
        output_max_size: body.unsigned("OutputMaxSize")?,
        timeout: body.span("Timeout")?,
        deregister_critical_service_after: body.span("DeregisterCriticalServiceAfter")?,
        script_args: body.texts("ScriptArgs")?,
        docker_container_id: body.text("DockerContainerID")?,
        shell: body.text("Shell")?,
        grpc: body.text("GRPC")?,
        grpc_use_tls: body.flag("GRPCUseTLS")?,
        alias_node: body.text("AliasNode")?,
        alias_service: body.text("AliasService")?,
        ttl: body.span("TTL")?,
    })
}
