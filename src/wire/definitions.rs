//! Definitions of services and checks as Consul keeps them in its data folder (spec cluster 8.1): JSON.
//!
//! ```text
//!   services/HASH      { Token, Service: NodeService, Source }
//!   checks/HASH        { Check: HealthCheck, ChkType: CheckType, Token, Source }
//!   checks/state/HASH  { CheckID, Output, Status, Expires }          Expires: Unix seconds
//! ```
//!
//! HASH is the SHA-256 of the id in hex (MD5 before Consul 1.10; the file says itself what it is about).
//! What is written can be read by Consul. What is read may be Consul's: `null` stands for nothing, spans are
//! nanoseconds or Go's text, unknown keys are ignored. A field of another type is an error that names it.
//!
//! Of the mesh, `Proxy` and `Connect` are not interpreted: they are carried beside Consul's fields, in
//! messagepack as they came.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::Digest;

use crate::agent::{CheckRegistration, CheckType, Health, Origin, ServiceRegistration};
use crate::base::{Duration, go_duration};
use crate::state::{CheckDefinition, NodeService, ServiceAddress, Weights};

/// What a check's state file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptState {
    /// The check's id.
    pub check_id: String,
    /// How it stands.
    pub health: Health,
    /// Why.
    pub output: String,
    /// Until when that counts, Unix seconds.
    pub expires: i64,
}

/// The name of an item's file.
#[must_use]
pub fn file_name(id: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|at| char::from(DIGITS[usize::from(at)]));
    sha2::Sha256::digest(id).iter().flat_map(digits).collect()
}

/// A service without its checks, which have files of their own.
#[must_use]
pub fn encode_service(registration: &ServiceRegistration) -> Vec<u8> {
    let it = &registration.service;
    let tagged = it
        .tagged_addresses
        .iter()
        .map(|(network, at)| (network.clone(), json!({ "Address": at.address, "Port": at.port })));
    let service = json!({
        "Kind": it.kind,
        "ID": it.id,
        "Service": it.service,
        "Tags": it.tags,
        "Address": it.address,
        "TaggedAddresses": tagged.collect::<Map<_, _>>(),
        "Meta": it.meta,
        "Port": it.port,
        "Weights": { "Passing": it.weights.passing, "Warning": it.weights.warning },
        "EnableTagOverride": it.enable_tag_override,
        "Proxy": { "MeshGateway": {}, "Expose": {} },
        "Connect": {},
        "CreateIndex": 0,
        "ModifyIndex": 0,
    });
    let mut file = json!({
        "Token": registration.token,
        "Service": service,
        "Source": source(registration.origin),
        "LocallyRegisteredAsSidecar": it.locally_registered_as_sidecar,
    });
    for (key, bytes) in [("ProxyMessagePack", &it.proxy), ("ConnectMessagePack", &it.connect)] {
        if !bytes.is_empty() {
            file[key] = BASE64_STANDARD.encode(bytes).into();
        }
    }
    file.to_string().into_bytes()
}

/// Reads a service's file.
///
/// # Errors
/// What is wrong with it.
pub fn decode_service(bytes: &[u8]) -> Result<ServiceRegistration, String> {
    let file = parse(bytes)?;
    let file = Fields::of(&file, "")?;
    // Before 0.5.1 the file was the service alone.
    let fields = if file.has("Service") && !file.is_text("Service") {
        file.inner("Service")?
    } else {
        Fields { map: file.map, path: String::new() }
    };
    let mut tagged_addresses = BTreeMap::new();
    for (network, at) in fields.map_of("TaggedAddresses")? {
        let at = Fields::of(at, "TaggedAddresses")?;
        let at = ServiceAddress { address: at.text("Address")?, port: at.number("Port")? };
        tagged_addresses.insert(network.clone(), at);
    }
    let weights = match fields.has("Weights") {
        true => {
            let it = fields.inner("Weights")?;
            Weights { passing: it.number("Passing")?, warning: it.number("Warning")? }
        }
        false => Weights::default(),
    };
    let service = NodeService {
        kind: fields.text("Kind")?,
        id: fields.text("ID")?,
        service: fields.text("Service")?,
        tags: fields.texts("Tags")?,
        address: fields.text("Address")?,
        tagged_addresses,
        meta: fields.text_map("Meta")?,
        port: fields.number("Port")?,
        weights,
        enable_tag_override: fields.flag("EnableTagOverride")?,
        proxy: file.bytes("ProxyMessagePack")?,
        connect: file.bytes("ConnectMessagePack")?,
        locally_registered_as_sidecar: file.flag("LocallyRegisteredAsSidecar")?,
        create_index: 0,
        modify_index: 0,
    };
    if service.id.is_empty() {
        return Err("it names no service: Service.ID is empty".to_owned());
    }
    let (token, origin) = (file.text("Token")?, origin(&file)?);
    Ok(ServiceRegistration { service, token, origin, ..ServiceRegistration::default() })
}

/// A check.
#[must_use]
pub fn encode_check(registration: &CheckRegistration) -> Vec<u8> {
    let (it, does) = (&registration.check, &registration.check.definition);
    let check = json!({
        "Node": "",
        "CheckID": it.check_id,
        "Name": it.name,
        "Status": it.status,
        "Notes": it.notes,
        "Output": "",
        "ServiceID": registration.service_id,
        "ServiceName": "",
        "ServiceTags": [],
        "Type": does.kind(),
        "Definition": {},
        "CreateIndex": 0,
        "ModifyIndex": 0,
    });
    let kind = json!({
        "CheckID": it.check_id,
        "Name": it.name,
        "Status": it.status,
        "Notes": it.notes,
        "ScriptArgs": does.script_args,
        "HTTP": does.http,
        "Header": does.header,
        "Method": does.method,
        "Body": does.body,
        "TCP": does.tcp,
        "Interval": nanos(does.interval),
        "AliasNode": does.alias_node,
        "AliasService": does.alias_service,
        "DockerContainerID": does.docker_container_id,
        "Shell": does.shell,
        "GRPC": does.grpc,
        "GRPCUseTLS": does.grpc_use_tls,
        "TLSSkipVerify": does.tls_skip_verify,
        "Timeout": nanos(does.timeout),
        "TTL": nanos(does.ttl),
        "SuccessBeforePassing": it.success_before_passing,
        "FailuresBeforeCritical": it.failures_before_critical,
        "ProxyHTTP": "",
        "ProxyGRPC": "",
        "DeregisterCriticalServiceAfter": nanos(does.deregister_critical_service_after),
        "OutputMaxSize": does.output_max_size,
    });
    let (token, source) = (&registration.token, source(registration.origin));
    let file = json!({ "Check": check, "ChkType": kind, "Token": token, "Source": source });
    file.to_string().into_bytes()
}

/// Reads a check's file.
///
/// # Errors
/// What is wrong with it.
pub fn decode_check(bytes: &[u8]) -> Result<CheckRegistration, String> {
    let file = parse(bytes)?;
    let file = Fields::of(&file, "")?;
    let check = file.inner("Check")?;
    // A check that only exists, such as maintenance, does nothing: null.
    let kind = file.inner("ChkType")?;
    let definition = CheckDefinition {
        http: kind.text("HTTP")?,
        tls_skip_verify: kind.flag("TLSSkipVerify")?,
        header: kind.header("Header")?,
        method: kind.text("Method")?,
        body: kind.text("Body")?,
        tcp: kind.text("TCP")?,
        interval: kind.span("Interval")?,
        output_max_size: kind.number("OutputMaxSize")?,
        timeout: kind.span("Timeout")?,
        deregister_critical_service_after: kind.span("DeregisterCriticalServiceAfter")?,
        script_args: kind.texts("ScriptArgs")?,
        docker_container_id: kind.text("DockerContainerID")?,
        shell: kind.text("Shell")?,
        grpc: kind.text("GRPC")?,
        grpc_use_tls: kind.flag("GRPCUseTLS")?,
        alias_node: kind.text("AliasNode")?,
        alias_service: kind.text("AliasService")?,
        ttl: kind.span("TTL")?,
    };
    let registered = CheckType {
        check_id: check.text("CheckID")?,
        name: check.text("Name")?,
        status: check.text("Status")?,
        notes: check.text("Notes")?,
        definition,
        success_before_passing: kind.number("SuccessBeforePassing")?,
        failures_before_critical: kind.number("FailuresBeforeCritical")?,
    };
    if registered.check_id.is_empty() {
        return Err("it names no check: Check.CheckID is empty".to_owned());
    }
    let (service_id, token) = (check.text("ServiceID")?, file.text("Token")?);
    Ok(CheckRegistration { service_id, check: registered, token, origin: origin(&file)? })
}

/// How a TTL check stands.
#[must_use]
pub fn encode_state(state: &KeptState) -> Vec<u8> {
    let file = json!({
        "CheckID": state.check_id,
        "Output": state.output,
        "Status": state.health.word(),
        "Expires": state.expires,
    });
    file.to_string().into_bytes()
}

/// Reads a state's file.
///
/// # Errors
/// What is wrong with it.
pub fn decode_state(bytes: &[u8]) -> Result<KeptState, String> {
    let file = parse(bytes)?;
    let fields = Fields::of(&file, "")?;
    let status = fields.text("Status")?;
    let health = Health::of_word(&status);
    let expires = fields.get("Expires").map_or(Some(0), Value::as_i64);
    Ok(KeptState {
        check_id: fields.text("CheckID")?,
        health: health.ok_or_else(|| format!("Status: \"{status}\" is no status of a check"))?,
        output: fields.text("Output")?,
        expires: expires.ok_or("Expires: not a number")?,
    })
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Consul's word for who brought it.
fn source(origin: Origin) -> &'static str {
    match origin {
        Origin::Config => "local",
        Origin::Api => "remote",
    }
}

fn origin(file: &Fields<'_>) -> Result<Origin, String> {
    match file.text("Source")?.as_str() {
        "local" => Ok(Origin::Config),
        // Before 1.0 nobody wrote it down.
        "" | "remote" => Ok(Origin::Api),
        other => Err(format!("Source: \"{other}\" is neither local nor remote")),
    }
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// An object's fields; one that is absent or `null` is nothing.
struct Fields<'a> {
    map: Option<&'a Map<String, Value>>,
    /// For errors.
    path: String,
}

impl<'a> Fields<'a> {
    fn of(value: &'a Value, path: &str) -> Result<Self, String> {
        let inner = if path.is_empty() { String::new() } else { format!("{path}.") };
        match value {
            Value::Object(map) => Ok(Self { map: Some(map), path: inner }),
            Value::Null => Ok(Self { map: None, path: inner }),
            _ if path.is_empty() => Err("not an object".to_owned()),
            _ => Err(format!("{path}: not an object")),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map?.get(key).filter(|it| !it.is_null())
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn is_text(&self, key: &str) -> bool {
        self.get(key).is_some_and(Value::is_string)
    }

    fn wrong(&self, key: &str, what: &str) -> String {
        format!("{}{key}: not {what}", self.path)
    }

    fn read<T>(
        &self,
        key: &str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let value = self.get(key);
        value.map(|it| read(it).ok_or_else(|| self.wrong(key, what))).transpose()
    }

    fn inner(&self, key: &str) -> Result<Fields<'a>, String> {
        let path = format!("{}{key}", self.path);
        Self::of(self.get(key).unwrap_or(&Value::Null), &path)
    }

    fn text(&self, key: &str) -> Result<String, String> {
        let text = self.read(key, "a text", Value::as_str)?;
        Ok(text.unwrap_or_default().to_owned())
    }

    fn number(&self, key: &str) -> Result<u64, String> {
        Ok(self.read(key, "a number that is not negative", Value::as_u64)?.unwrap_or_default())
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        Ok(self.read(key, "true or false", Value::as_bool)?.unwrap_or_default())
    }

    fn span(&self, key: &str) -> Result<Duration, String> {
        let span = self.read(key, "a span of time", |value| match value {
            Value::String(text) => go_duration::parse_span(text),
            other => other.as_u64().map(Duration::from_nanos),
        })?;
        Ok(span.unwrap_or_default())
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        Ok(self.read(key, "a list of texts", list)?.unwrap_or_default())
    }

    fn map_of(&self, key: &str) -> Result<Vec<(&'a String, &'a Value)>, String> {
        let map = self.read(key, "an object", Value::as_object)?;
        Ok(map.into_iter().flatten().collect())
    }

    fn text_map(&self, key: &str) -> Result<BTreeMap<String, String>, String> {
        let entries = self.map_of(key)?.into_iter().map(|(name, value)| {
            let text = value.as_str().ok_or_else(|| self.wrong(key, "an object of texts"))?;
            Ok((name.clone(), text.to_owned()))
        });
        entries.collect()
    }

    fn header(&self, key: &str) -> Result<BTreeMap<String, Vec<String>>, String> {
        let entries = self.map_of(key)?.into_iter().map(|(name, value)| {
            let texts = list(value).ok_or_else(|| self.wrong(key, "an object of lists"))?;
            Ok((name.clone(), texts))
        });
        entries.collect()
    }

    fn bytes(&self, key: &str) -> Result<Bytes, String> {
        let bytes = self.read(key, "base64", |it| BASE64_STANDARD.decode(it.as_str()?).ok())?;
        Ok(bytes.unwrap_or_default().into())
    }
}

fn list(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|it| it.as_str().map(str::to_owned)).collect()
}
