//! What can be selected in the catalog's rows: their JSON fields, but for indexes and the definitions of
//! checks.
//!
//! What a service says of the mesh is not read here (`views`): its selectors are those of a plain one.

use std::collections::BTreeMap;

use super::value::{Field, Schema, Selectable, Value};
use crate::state::{
    CheckServiceNode, HealthCheck, Node, NodeInfo, NodeService, ServiceAddress, Weights,
};

const TEXTS_BY_NAME: Field = Field::Map(&Field::Text);
const ADDRESSES: Field = Field::Map(&Field::Object(ADDRESS));
const ADDRESS: Schema = &[("Address", Field::Text), ("Port", Field::Number)];
const WEIGHTS: Schema = &[("Passing", Field::Number), ("Warning", Field::Number)];
const CONNECT: Schema = &[("Native", Field::Flag)];

/// Elements of `catalog/nodes`: [`Node`].
pub const NODE: Schema = &[
    ("ID", Field::Text),
    ("Node", Field::Text),
    ("Address", Field::Text),
    ("Datacenter", Field::Text),
    ("TaggedAddresses", TEXTS_BY_NAME),
    ("Meta", TEXTS_BY_NAME),
];

/// An instance without its node, of the catalog or of an agent: [`NodeService`].
pub const SERVICE: Schema = &[
    ("Kind", Field::Text),
    ("ID", Field::Text),
    ("Service", Field::Text),
    ("Tags", Field::Texts),
    ("Address", Field::Text),
    ("TaggedAddresses", ADDRESSES),
    ("Meta", TEXTS_BY_NAME),
    ("Port", Field::Number),
    ("Weights", Field::Object(WEIGHTS)),
    ("EnableTagOverride", Field::Flag),
    ("Connect", Field::Object(CONNECT)),
];

/// Elements of `catalog/service`: [`Node`] and [`NodeService`].
pub const SERVICE_NODE: Schema = &[
    ("ID", Field::Text),
    ("Node", Field::Text),
    ("Address", Field::Text),
    ("Datacenter", Field::Text),
    ("TaggedAddresses", TEXTS_BY_NAME),
    ("NodeMeta", TEXTS_BY_NAME),
    ("ServiceKind", Field::Text),
    ("ServiceID", Field::Text),
    ("ServiceName", Field::Text),
    ("ServiceTags", Field::Texts),
    ("ServiceAddress", Field::Text),
    ("ServiceTaggedAddresses", ADDRESSES),
    ("ServiceMeta", TEXTS_BY_NAME),
    ("ServicePort", Field::Number),
    ("ServiceWeights", Field::Object(WEIGHTS)),
    ("ServiceEnableTagOverride", Field::Flag),
    ("ServiceConnect", Field::Object(CONNECT)),
];

/// Checks, of the catalog or of an agent: [`HealthCheck`].
pub const CHECK: Schema = &[
    ("Node", Field::Text),
    ("CheckID", Field::Text),
    ("Name", Field::Text),
    ("Status", Field::Text),
    ("Notes", Field::Text),
    ("Output", Field::Text),
    ("ServiceID", Field::Text),
    ("ServiceName", Field::Text),
    ("ServiceTags", Field::Texts),
    ("Type", Field::Text),
];

/// Elements of `health/service`: [`CheckServiceNode`].
pub const CHECK_SERVICE_NODE: Schema = &[
    ("Node", Field::Object(NODE)),
    ("Service", Field::Object(SERVICE)),
    ("Checks", Field::Objects(CHECK)),
];

/// Elements of `internal/ui/nodes`: [`NodeInfo`].
pub const NODE_INFO: Schema = &[
    ("ID", Field::Text),
    ("Node", Field::Text),
    ("Address", Field::Text),
    ("TaggedAddresses", TEXTS_BY_NAME),
    ("Meta", TEXTS_BY_NAME),
    ("Services", Field::Objects(SERVICE)),
    ("Checks", Field::Objects(CHECK)),
];

/// A service that has no part in the mesh.
struct Plain;

impl Selectable for Plain {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        (name == "Native").then_some(Value::Flag(false))
    }
}

impl Selectable for Weights {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "Passing" => Some(Value::Number(self.passing.into())),
            "Warning" => Some(Value::Number(self.warning.into())),
            _ => None,
        }
    }
}

impl Selectable for ServiceAddress {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "Address" => Some(Value::Text(&self.address)),
            "Port" => Some(Value::Number(self.port.into())),
            _ => None,
        }
    }
}

fn addresses(map: &BTreeMap<String, ServiceAddress>) -> Value<'_> {
    let by_name = map.iter().map(|(name, it)| (name.as_str(), it as &dyn Selectable));
    Value::ObjectMap(by_name.collect())
}

impl Selectable for Node {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "ID" => Value::Text(&self.id),
            "Node" => Value::Text(&self.node),
            "Address" => Value::Text(&self.address),
            "Datacenter" => Value::Text(&self.datacenter),
            "TaggedAddresses" => Value::TextMap(&self.tagged_addresses),
            "Meta" => Value::TextMap(&self.meta),
            _ => return None,
        })
    }
}

impl Selectable for NodeService {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "Kind" => Value::Text(&self.kind),
            "ID" => Value::Text(&self.id),
            "Service" => Value::Text(&self.service),
            "Tags" => Value::Texts(&self.tags),
            "Address" => Value::Text(&self.address),
            "TaggedAddresses" => addresses(&self.tagged_addresses),
            "Meta" => Value::TextMap(&self.meta),
            "Port" => Value::Number(self.port.into()),
            "Weights" => Value::Object(&self.weights),
            "EnableTagOverride" => Value::Flag(self.enable_tag_override),
            "Connect" => Value::Object(&Plain),
            _ => return None,
        })
    }
}

impl Selectable for (Node, NodeService) {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let (node, service) = self;
        match name {
            "NodeMeta" => node.field("Meta"),
            "ServiceName" => service.field("Service"),
            "Meta" => None,
            _ => match name.strip_prefix("Service") {
                Some(of_service) => service.field(of_service),
                None => node.field(name),
            },
        }
    }
}

impl Selectable for HealthCheck {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "Node" => Value::Text(&self.node),
            "CheckID" => Value::Text(&self.check_id),
            "Name" => Value::Text(&self.name),
            "Status" => Value::Text(&self.status),
            "Notes" => Value::Text(&self.notes),
            "Output" => Value::Text(&self.output),
            "ServiceID" => Value::Text(&self.service_id),
            "ServiceName" => Value::Text(&self.service_name),
            "ServiceTags" => Value::Texts(&self.service_tags),
            "Type" => Value::Text(&self.kind),
            _ => return None,
        })
    }
}

impl Selectable for CheckServiceNode {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "Node" => Value::Object(&self.node),
            "Service" => Value::Object(&self.service),
            "Checks" => {
                Value::Objects(self.checks.iter().map(|it| it as &dyn Selectable).collect())
            }
            _ => return None,
        })
    }
}

impl Selectable for NodeInfo {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "Services" => {
                let all = self.services.iter().map(|it| it as &dyn Selectable);
                Some(Value::Objects(all.collect()))
            }
            "Checks" => {
                let all = self.checks.iter().map(|it| it as &dyn Selectable);
                Some(Value::Objects(all.collect()))
            }
            other => self.node.field(other),
        }
    }
}
