//! The JSON of operations, strict as Consul's decoder: fields that nobody knows are refused. An element
//! that says nothing is no operation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::http::catalog::{CHECK_FIELDS, SERVICE_FIELDS, health_check, node_service};
use crate::http::decode::{Object, kind};
use crate::state::{KvEntry, Node, TxnCheck, TxnKv, TxnNode, TxnOp, TxnService};

/// The elements of the body.
pub(super) fn list(bytes: &[u8]) -> Result<Vec<Value>, String> {
    if bytes.trim_ascii().is_empty() {
        return Err("EOF".to_owned());
    }
    match serde_json::from_slice(bytes).map_err(|error| error.to_string())? {
        Value::Array(list) => Ok(list),
        Value::Null => Ok(Vec::new()),
        other => {
            let kind = kind(&other);
            Err(format!("json: cannot unmarshal {kind} into Go value of type api.TxnOps"))
        }
    }
}

/// The operations that they are.
pub(super) fn operations(list: Vec<Value>, datacenter: &str) -> Result<Vec<TxnOp>, String> {
    let mut ops = Vec::new();
    for value in list {
        let it = Object::of_value(value, "TxnOp")?;
        it.only(&["KV", "Node", "Service", "Check"])?;
        let op = if let Some(it) = it.object("KV", "KVTxnOp")? {
            TxnOp::Kv(key(&it)?)
        } else if let Some(it) = it.object("Node", "NodeTxnOp")? {
            TxnOp::Node(node(&it, datacenter)?)
        } else if let Some(it) = it.object("Service", "ServiceTxnOp")? {
            TxnOp::Service(service(&it)?)
        } else if let Some(it) = it.object("Check", "CheckTxnOp")? {
            TxnOp::Check(Box::new(check(&it)?))
        } else {
            continue;
        };
        ops.push(op);
    }
    Ok(ops)
}

fn key(it: &Object) -> Result<TxnKv, String> {
    it.only(&["Verb", "Key", "Value", "Flags", "Index", "Session", "Namespace"])?;
    let value = STANDARD.decode(it.text("Value")?).map_err(|error| match error {
        base64::DecodeError::InvalidByte(at, _) => {
            format!("illegal base64 data at input byte {at}")
        }
        other => format!("illegal base64 data: {other}"),
    })?;
    let entry = KvEntry {
        key: it.text("Key")?,
        value: Bytes::from(value),
        flags: it.unsigned("Flags")?,
        lock_index: 0,
        session: Some(it.text("Session")?).filter(|id| !id.is_empty()),
        create_index: 0,
        modify_index: it.unsigned("Index")?,
    };
    Ok(TxnKv { verb: it.text("Verb")?, entry })
}

fn node(it: &Object, datacenter: &str) -> Result<TxnNode, String> {
    it.only(&["Verb", "Node"])?;
    let mut op = TxnNode { verb: it.text("Verb")?, node: Node::default() };
    if let Some(it) = it.object("Node", "Node")? {
        it.only(&[
            "ID",
            "Node",
            "Address",
            "Datacenter",
            "TaggedAddresses",
            "Meta",
            "CreateIndex",
            "ModifyIndex",
        ])?;
        op.node = Node {
            id: it.text("ID")?,
            node: it.text("Node")?,
            address: it.text("Address")?,
            datacenter: it.text("Datacenter")?,
            tagged_addresses: it.text_map("TaggedAddresses")?,
            meta: it.text_map("Meta")?,
            create_index: 0,
            modify_index: it.unsigned("ModifyIndex")?,
        };
    }
    if op.node.datacenter.is_empty() {
        datacenter.clone_into(&mut op.node.datacenter);
    }
    Ok(op)
}

fn service(it: &Object) -> Result<TxnService, String> {
    it.only(&["Verb", "Node", "Service"])?;
    let mut op =
        TxnService { verb: it.text("Verb")?, node: it.text("Node")?, service: Default::default() };
    if let Some(it) = it.object("Service", "AgentService")? {
        it.only(&[SERVICE_FIELDS, &["ContentHash", "Namespace", "Datacenter"]].concat())?;
        op.service = node_service(&it)?;
        op.service.modify_index = it.unsigned("ModifyIndex")?;
        // Consul does not take these over.
        op.service.kind.clear();
        op.service.tagged_addresses.clear();
    }
    Ok(op)
}

fn check(it: &Object) -> Result<TxnCheck, String> {
    it.only(&["Verb", "Check"])?;
    let mut op = TxnCheck { verb: it.text("Verb")?, check: Default::default() };
    if let Some(it) = it.object("Check", "HealthCheck")? {
        it.only(&[CHECK_FIELDS, &["Namespace"]].concat())?;
        op.check = health_check(&it)?;
        op.check.modify_index = it.unsigned("ModifyIndex")?;
        op.check.kind.clear();
    }
    Ok(op)
}
