//! Nodes, and instances of services in their two forms: on a node, and with their node's fields. A port may be
//! negative, in two's complement here: Consul takes what it is given.

use bytes::Bytes;

use super::{read_list, read_map, read_texts, text, write_list, write_map, write_texts};
use crate::state::{Node, NodeService, ServiceAddress, Weights};
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// Writes a `Node`.
pub fn write_node(node: &Node, writer: &mut Writer<'_>) {
    writer.map(8);
    writer.key("Address").str(&node.address);
    writer.key("CreateIndex").uint(node.create_index);
    writer.key("Datacenter").str(&node.datacenter);
    writer.key("ID").str(&node.id);
    write_texts(writer.key("Meta"), &node.meta);
    writer.key("ModifyIndex").uint(node.modify_index);
    writer.key("Node").str(&node.node);
    write_texts(writer.key("TaggedAddresses"), &node.tagged_addresses);
}

/// Reads one.
///
/// # Errors
/// Anything else.
pub fn read_node(reader: &mut Reader<'_>) -> Result<Node, DecodeError> {
    let mut node = Node::default();
    reader.map(|reader, key| {
        match key {
            b"Address" => node.address = text(reader)?,
            b"CreateIndex" => node.create_index = reader.u64()?,
            b"Datacenter" => node.datacenter = text(reader)?,
            b"ID" => node.id = text(reader)?,
            b"Meta" => node.meta = read_texts(reader)?,
            b"ModifyIndex" => node.modify_index = reader.u64()?,
            b"Node" => node.node = text(reader)?,
            b"TaggedAddresses" => node.tagged_addresses = read_texts(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(node)
}

/// Writes a `NodeService`.
pub fn write_service(service: &NodeService, writer: &mut Writer<'_>) {
    writer.map(15);
    writer.key("Address").str(&service.address);
    write_kept(&service.connect, plain_connect, writer.key("Connect"));
    writer.key("CreateIndex").uint(service.create_index);
    writer.key("EnableTagOverride").bool(service.enable_tag_override);
    writer.key("ID").str(&service.id);
    writer.key("Kind").str(&service.kind);
    writer.key("LocallyRegisteredAsSidecar").bool(service.locally_registered_as_sidecar);
    write_texts(writer.key("Meta"), &service.meta);
    writer.key("ModifyIndex").uint(service.modify_index);
    writer.key("Port").int(service.port.cast_signed());
    write_kept(&service.proxy, plain_proxy, writer.key("Proxy"));
    writer.key("Service").str(&service.service);
    write_map(writer.key("TaggedAddresses"), &service.tagged_addresses, write_address);
    write_list(writer.key("Tags"), &service.tags, |tag, writer| writer.str(tag));
    write_weights(service.weights, writer.key("Weights"));
}

/// Reads one.
///
/// # Errors
/// Anything else.
pub fn read_service(reader: &mut Reader<'_>) -> Result<NodeService, DecodeError> {
    let mut service = NodeService::default();
    reader.map(|reader, key| {
        match key {
            b"Address" => service.address = text(reader)?,
            b"Connect" => service.connect = read_kept(reader, plain_connect)?,
            b"CreateIndex" => service.create_index = reader.u64()?,
            b"EnableTagOverride" => service.enable_tag_override = reader.bool()?,
            b"ID" => service.id = text(reader)?,
            b"Kind" => service.kind = text(reader)?,
            b"LocallyRegisteredAsSidecar" => {
                service.locally_registered_as_sidecar = reader.bool()?;
            }
            b"Meta" => service.meta = read_texts(reader)?,
            b"ModifyIndex" => service.modify_index = reader.u64()?,
            b"Port" => service.port = reader.i64()?.cast_unsigned(),
            b"Proxy" => service.proxy = read_kept(reader, plain_proxy)?,
            b"Service" => service.service = text(reader)?,
            b"TaggedAddresses" => service.tagged_addresses = read_map(reader, read_address)?,
            b"Tags" => service.tags = read_list(reader, text)?,
            b"Weights" => service.weights = read_weights(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(service)
}

/// Writes a `ServiceNode`, which has the indexes of the instance and none of the node.
pub fn write_service_node((node, service): &(Node, NodeService), writer: &mut Writer<'_>) {
    writer.map(20);
    writer.key("Address").str(&node.address);
    writer.key("CreateIndex").uint(service.create_index);
    writer.key("Datacenter").str(&node.datacenter);
    writer.key("ID").str(&node.id);
    writer.key("ModifyIndex").uint(service.modify_index);
    writer.key("Node").str(&node.node);
    write_texts(writer.key("NodeMeta"), &node.meta);
    writer.key("ServiceAddress").str(&service.address);
    write_kept(&service.connect, plain_connect, writer.key("ServiceConnect"));
    writer.key("ServiceEnableTagOverride").bool(service.enable_tag_override);
    writer.key("ServiceID").str(&service.id);
    writer.key("ServiceKind").str(&service.kind);
    write_texts(writer.key("ServiceMeta"), &service.meta);
    writer.key("ServiceName").str(&service.service);
    writer.key("ServicePort").int(service.port.cast_signed());
    write_kept(&service.proxy, plain_proxy, writer.key("ServiceProxy"));
    write_map(writer.key("ServiceTaggedAddresses"), &service.tagged_addresses, write_address);
    write_list(writer.key("ServiceTags"), &service.tags, |tag, writer| writer.str(tag));
    write_weights(service.weights, writer.key("ServiceWeights"));
    write_texts(writer.key("TaggedAddresses"), &node.tagged_addresses);
}

/// Reads one.
///
/// # Errors
/// Anything else.
pub fn read_service_node(reader: &mut Reader<'_>) -> Result<(Node, NodeService), DecodeError> {
    let (mut node, mut service) = (Node::default(), NodeService::default());
    reader.map(|reader, key| {
        match key {
            b"Address" => node.address = text(reader)?,
            b"CreateIndex" => service.create_index = reader.u64()?,
            b"Datacenter" => node.datacenter = text(reader)?,
            b"ID" => node.id = text(reader)?,
            b"ModifyIndex" => service.modify_index = reader.u64()?,
            b"Node" => node.node = text(reader)?,
            b"NodeMeta" => node.meta = read_texts(reader)?,
            b"ServiceAddress" => service.address = text(reader)?,
            b"ServiceConnect" => service.connect = read_kept(reader, plain_connect)?,
            b"ServiceEnableTagOverride" => service.enable_tag_override = reader.bool()?,
            b"ServiceID" => service.id = text(reader)?,
            b"ServiceKind" => service.kind = text(reader)?,
            b"ServiceMeta" => service.meta = read_texts(reader)?,
            b"ServiceName" => service.service = text(reader)?,
            b"ServicePort" => service.port = reader.i64()?.cast_unsigned(),
            b"ServiceProxy" => service.proxy = read_kept(reader, plain_proxy)?,
            b"ServiceTaggedAddresses" => service.tagged_addresses = read_map(reader, read_address)?,
            b"ServiceTags" => service.tags = read_list(reader, text)?,
            b"ServiceWeights" => service.weights = read_weights(reader)?,
            b"TaggedAddresses" => node.tagged_addresses = read_texts(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((node, service))
}

fn write_address(address: &ServiceAddress, writer: &mut Writer<'_>) {
    writer.map(2);
    writer.key("Address").str(&address.address);
    writer.key("Port").int(address.port.cast_signed());
}

fn read_address(reader: &mut Reader<'_>) -> Result<ServiceAddress, DecodeError> {
    let mut address = ServiceAddress::default();
    reader.map(|reader, key| {
        match key {
            b"Address" => address.address = text(reader)?,
            b"Port" => address.port = reader.i64()?.cast_unsigned(),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(address)
}

fn write_weights(weights: Weights, writer: &mut Writer<'_>) {
    writer.map(2);
    writer.key("Passing").uint(weights.passing);
    writer.key("Warning").uint(weights.warning);
}

/// Nil stands for those of a service that says nothing.
fn read_weights(reader: &mut Reader<'_>) -> Result<Weights, DecodeError> {
    let weights = reader.optional(|reader| {
        let mut weights = Weights { passing: 0, warning: 0 };
        reader.map(|reader, key| {
            match key {
                b"Passing" => weights.passing = reader.i64_not_negative()?,
                b"Warning" => weights.warning = reader.i64_not_negative()?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(weights)
    })?;
    Ok(weights.unwrap_or_default())
}

fn plain_connect(writer: &mut Writer<'_>) {
    writer.map(2);
    writer.key("Native").bool(false);
    writer.key("SidecarService").nil();
}

fn plain_proxy(writer: &mut Writer<'_>) {
    writer.map(8);
    writer.key("Config").nil();
    writer.key("DestinationServiceID").str("");
    writer.key("DestinationServiceName").str("");
    writer.key("Expose").map(2);
    writer.key("Checks").bool(false);
    writer.key("Paths").nil();
    writer.key("LocalServiceAddress").str("");
    writer.key("LocalServicePort").uint(0);
    writer.key("MeshGateway").map(1);
    writer.key("Mode").str("");
    writer.key("Upstreams").nil();
}

/// A value as it came, or the plain one.
fn write_kept(kept: &[u8], plain: fn(&mut Writer<'_>), writer: &mut Writer<'_>) {
    if kept.is_empty() { plain(writer) } else { writer.value(kept) }
}

/// Empty for nil and for the plain value.
fn read_kept(reader: &mut Reader<'_>, plain: fn(&mut Writer<'_>)) -> Result<Bytes, DecodeError> {
    let kept = reader.optional(Reader::value)?.unwrap_or_default();
    let mut expected = Vec::new();
    plain(&mut Writer::new(&mut expected));
    Ok(if kept == expected { Bytes::new() } else { Bytes::copy_from_slice(kept) })
}
