//! Definitions of services and checks in JSON, as Consul 1.9.8 decodes them: strict about names and kinds,
//! any case, and the old spellings beside the new ones (spec api 1.8, 3.1).
//!
//! Spans are texts in Go's form or numbers of nanoseconds; anything else in their place is read over, and a
//! negative one is zero, which is refused or ignored alike. `Proxy` and `Connect` are taken and not kept:
//! there is no mesh. Later fields (`H2PING`, `TLSServerName` …) are unknown, as they are to 1.9.8.
//!
//! Deliberately not here: what a definition must say ([`validate`]).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::agent::{CheckRegistration, CheckType, Origin, ServiceRegistration, validate};
use crate::base::{Duration, go_duration};
use crate::http::decode::{Object, first_value, kind};
use crate::http::kv::go_quote;
use crate::state::{CheckDefinition, NodeService, ServiceAddress, Weights};

const SERVICE: &[&str] = &[
    "Kind",
    "ID",
    "Name",
    "Tags",
    "Address",
    "TaggedAddresses",
    "tagged_addresses",
    "Meta",
    "Port",
    "Check",
    "Checks",
    "Weights",
    "Token",
    "EnableTagOverride",
    "enable_tag_override",
    "Proxy",
    "Connect",
];
/// Of every check.
const CHECK: &[&str] = &[
    "Name",
    "Status",
    "Notes",
    "ScriptArgs",
    "script_args",
    "Args",
    "HTTP",
    "Header",
    "Method",
    "Body",
    "TCP",
    "Interval",
    "AliasNode",
    "AliasService",
    "DockerContainerID",
    "docker_container_id",
    "Shell",
    "GRPC",
    "GRPCUseTLS",
    "grpc_use_tls",
    "TLSSkipVerify",
    "tls_skip_verify",
    "Timeout",
    "TTL",
    "SuccessBeforePassing",
    "FailuresBeforeCritical",
    "DeregisterCriticalServiceAfter",
    "deregister_critical_service_after",
    "OutputMaxSize",
    "ServiceID",
    "service_id",
];
/// Of a check in a service alone, and of one by itself.
const CHECK_OF_SERVICE: &[&str] = &["CheckID", "ProxyHTTP", "ProxyGRPC"];
const CHECK_ALONE: &[&str] = &["ID", "Token"];

/// A service with its checks, from a JSON text; not yet checked for what it must say.
///
/// # Errors
/// What Go's decoder would say.
pub fn service_of_json(text: &[u8]) -> Result<ServiceRegistration, String> {
    service(&Object::of_value(first_value(text)?, "structs.ServiceDefinition")?)
}

/// A check, likewise.
///
/// # Errors
/// What Go's decoder would say.
pub fn check_of_json(text: &[u8]) -> Result<CheckRegistration, String> {
    check(&Object::of_value(first_value(text)?, "structs.CheckDefinition")?)
}

pub(super) fn service(object: &Object) -> Result<ServiceRegistration, String> {
    object.only(SERVICE)?;
    object.object("Proxy", "structs.ConnectProxyConfig")?;
    object.object("Connect", "structs.ServiceConnect")?;
    let mut service = NodeService {
        kind: object.text("Kind")?,
        id: object.text("ID")?,
        service: object.text("Name")?,
        tags: object.texts("Tags")?,
        address: object.text("Address")?,
        tagged_addresses: tagged_addresses(object)?,
        meta: object.text_map("Meta")?,
        port: object.signed("Port")?.cast_unsigned(),
        weights: weights(object)?,
        enable_tag_override: flag(object, ["EnableTagOverride", "enable_tag_override"])?,
        ..NodeService::default()
    };
    validate::complete(&mut service);
    let mut checks = Vec::new();
    if let Some(one) = object.object("Check", "structs.CheckType")? {
        let check = check_of_service(&one)?;
        if check != CheckType::default() || says_negative_span(&one) {
            checks.push(check);
        }
    }
    let more = object.objects("Checks", "structs.CheckType")?;
    for check in &more {
        checks.push(check_of_service(check)?);
    }
    Ok(ServiceRegistration {
        service,
        checks,
        token: object.text("Token")?,
        replace_existing_checks: false,
        origin: Origin::Api,
    })
}

/// Says which service it belongs to by where it stands; another word on that is not heard.
fn check_of_service(object: &Object) -> Result<CheckType, String> {
    object.only(&[CHECK, CHECK_OF_SERVICE].concat())?;
    for ignored in ["ServiceID", "service_id", "ProxyHTTP", "ProxyGRPC"] {
        object.text(ignored)?;
    }
    Ok(CheckType { check_id: object.text("CheckID")?, ..check_type(object)? })
}

pub(super) fn check(object: &Object) -> Result<CheckRegistration, String> {
    object.only(&[CHECK, CHECK_ALONE].concat())?;
    let mut check = CheckType { check_id: object.text("ID")?, ..check_type(object)? };
    if check.check_id.is_empty() {
        check.check_id.clone_from(&check.name);
    }
    Ok(CheckRegistration {
        service_id: text(object, ["ServiceID", "service_id"])?,
        check,
        token: object.text("Token")?,
        origin: Origin::Api,
    })
}

fn check_type(object: &Object) -> Result<CheckType, String> {
    let definition = CheckDefinition {
        http: object.text("HTTP")?,
        tls_skip_verify: flag(object, ["TLSSkipVerify", "tls_skip_verify"])?,
        header: header(object)?,
        method: object.text("Method")?,
        body: object.text("Body")?,
        tcp: object.text("TCP")?,
        interval: span(object, INTERVAL)?,
        output_max_size: object.signed("OutputMaxSize")?.cast_unsigned(),
        timeout: span(object, TIMEOUT)?,
        deregister_critical_service_after: span(object, DEREGISTER)?,
        script_args: script_args(object)?,
        docker_container_id: text(object, ["DockerContainerID", "docker_container_id"])?,
        shell: object.text("Shell")?,
        grpc: object.text("GRPC")?,
        grpc_use_tls: flag(object, ["GRPCUseTLS", "grpc_use_tls"])?,
        alias_node: object.text("AliasNode")?,
        alias_service: object.text("AliasService")?,
        ttl: span(object, TTL)?,
    };
    let count = |name| object.signed(name).map(|count| u64::try_from(count).unwrap_or(0));
    Ok(CheckType {
        check_id: String::new(),
        name: object.text("Name")?,
        status: object.text("Status")?,
        notes: object.text("Notes")?,
        definition,
        success_before_passing: count("SuccessBeforePassing")?,
        failures_before_critical: count("FailuresBeforeCritical")?,
    })
}

/// The first spelling that says something.
fn text(object: &Object, [name, old]: [&str; 2]) -> Result<String, String> {
    let (said, other) = (object.text(name)?, object.text(old)?);
    Ok(if said.is_empty() { other } else { said })
}

fn flag(object: &Object, [name, old]: [&str; 2]) -> Result<bool, String> {
    Ok(object.flag(name)? | object.flag(old)?)
}

fn script_args(object: &Object) -> Result<Vec<String>, String> {
    let spellings = ["ScriptArgs", "Args", "script_args"].map(|name| object.texts(name));
    let mut args = Vec::new();
    for said in spellings {
        let said = said?;
        args = if args.is_empty() { said } else { args };
    }
    Ok(args)
}

const TTL: &[&str] = &["TTL"];
const INTERVAL: &[&str] = &["Interval"];
const TIMEOUT: &[&str] = &["Timeout"];
const DEREGISTER: &[&str] =
    &["DeregisterCriticalServiceAfter", "deregister_critical_service_after"];

/// A text in Go's form, or nanoseconds.
fn nanos(object: &Object, names: &[&str]) -> Result<i64, String> {
    match names.iter().find_map(|name| object.get(name)) {
        Some(Value::String(text)) => go_duration::parse(text)
            .ok_or_else(|| format!("time: invalid duration {}", go_quote(text))),
        // Beyond the range a float is cut to it.
        Some(Value::Number(number)) => {
            Ok(number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or(0.0) as i64))
        }
        _ => Ok(0),
    }
}

fn span(object: &Object, names: &[&str]) -> Result<Duration, String> {
    nanos(object, names).map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

/// A negative span counts for nothing, but a check that says one is not blank.
fn says_negative_span(object: &Object) -> bool {
    [TTL, INTERVAL, TIMEOUT, DEREGISTER]
        .iter()
        .any(|names| nanos(object, names).is_ok_and(|nanos| nanos < 0))
}

fn header(object: &Object) -> Result<BTreeMap<String, Vec<String>>, String> {
    let fields = match object.get("Header") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(fields)) => fields,
        Some(other) => return Err(not_a_header(other)),
    };
    let mut header = BTreeMap::new();
    for (name, values) in fields {
        let texts = match values {
            Value::Null => Some(Vec::new()),
            Value::Array(values) => {
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        header.insert(name.clone(), texts.ok_or_else(|| not_a_header(values))?);
    }
    Ok(header)
}

fn not_a_header(value: &Value) -> String {
    let kind = kind(value);
    format!("json: cannot unmarshal {kind} into Go struct field CheckType.Header of type []string")
}

fn tagged_addresses(object: &Object) -> Result<BTreeMap<String, ServiceAddress>, String> {
    let mut addresses = BTreeMap::new();
    for name in ["tagged_addresses", "TaggedAddresses"] {
        for (network, given) in object.object_map(name, "structs.ServiceAddress")? {
            given.only(&["Address", "Port"])?;
            let (address, port) = (given.text("Address")?, given.signed("Port")?.cast_unsigned());
            addresses.insert(network, ServiceAddress { address, port });
        }
    }
    Ok(addresses)
}

/// One of them said alone leaves the other at zero.
fn weights(object: &Object) -> Result<Weights, String> {
    let Some(given) = object.object("Weights", "structs.Weights")? else {
        return Ok(Weights::default());
    };
    given.only(&["Passing", "Warning"])?;
    let weight = |name| given.signed(name).map(i64::cast_unsigned);
    Ok(Weights { passing: weight("Passing")?, warning: weight("Warning")? })
}
