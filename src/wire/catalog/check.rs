//! Checks, and what they do.

use super::{nanos, read_list, read_map, span, text, write_list, write_map};
use crate::state::{CheckDefinition, HealthCheck};
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// Writes a `HealthCheck`.
pub fn write_check(check: &HealthCheck, writer: &mut Writer<'_>) {
    writer.map(13);
    writer.key("CheckID").str(&check.check_id);
    writer.key("CreateIndex").uint(check.create_index);
    write_definition(&check.definition, writer.key("Definition"));
    writer.key("ModifyIndex").uint(check.modify_index);
    writer.key("Name").str(&check.name);
    writer.key("Node").str(&check.node);
    writer.key("Notes").str(&check.notes);
    writer.key("Output").str(&check.output);
    writer.key("ServiceID").str(&check.service_id);
    writer.key("ServiceName").str(&check.service_name);
    write_list(writer.key("ServiceTags"), &check.service_tags, |tag, writer| writer.str(tag));
    writer.key("Status").str(&check.status);
    writer.key("Type").str(&check.kind);
}

/// Reads one.
///
/// # Errors
/// Anything else.
pub fn read_check(reader: &mut Reader<'_>) -> Result<HealthCheck, DecodeError> {
    let mut check = HealthCheck::default();
    reader.map(|reader, key| {
        match key {
            b"CheckID" => check.check_id = text(reader)?,
            b"CreateIndex" => check.create_index = reader.u64()?,
            b"Definition" => check.definition = read_definition(reader)?,
            b"ModifyIndex" => check.modify_index = reader.u64()?,
            b"Name" => check.name = text(reader)?,
            b"Node" => check.node = text(reader)?,
            b"Notes" => check.notes = text(reader)?,
            b"Output" => check.output = text(reader)?,
            b"ServiceID" => check.service_id = text(reader)?,
            b"ServiceName" => check.service_name = text(reader)?,
            b"ServiceTags" => check.service_tags = read_list(reader, text)?,
            b"Status" => check.status = text(reader)?,
            b"Type" => check.kind = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(check)
}

fn write_definition(it: &CheckDefinition, writer: &mut Writer<'_>) {
    let texts =
        |list: &[String], writer: &mut Writer<'_>| write_list(writer, list, |it, to| to.str(it));
    writer.map(18);
    writer.key("AliasNode").str(&it.alias_node);
    writer.key("AliasService").str(&it.alias_service);
    writer.key("Body").str(&it.body);
    writer.key("DeregisterCriticalServiceAfter").uint(nanos(it.deregister_critical_service_after));
    writer.key("DockerContainerID").str(&it.docker_container_id);
    writer.key("GRPC").str(&it.grpc);
    writer.key("GRPCUseTLS").bool(it.grpc_use_tls);
    writer.key("HTTP").str(&it.http);
    write_map(writer.key("Header"), &it.header, |values, writer| texts(values, writer));
    writer.key("Interval").uint(nanos(it.interval));
    writer.key("Method").str(&it.method);
    writer.key("OutputMaxSize").uint(it.output_max_size);
    texts(&it.script_args, writer.key("ScriptArgs"));
    writer.key("Shell").str(&it.shell);
    writer.key("TCP").str(&it.tcp);
    writer.key("TLSSkipVerify").bool(it.tls_skip_verify);
    writer.key("TTL").uint(nanos(it.ttl));
    writer.key("Timeout").uint(nanos(it.timeout));
}

fn read_definition(reader: &mut Reader<'_>) -> Result<CheckDefinition, DecodeError> {
    let mut it = CheckDefinition::default();
    reader.map(|reader, key| {
        match key {
            b"AliasNode" => it.alias_node = text(reader)?,
            b"AliasService" => it.alias_service = text(reader)?,
            b"Body" => it.body = text(reader)?,
            b"DeregisterCriticalServiceAfter" => {
                it.deregister_critical_service_after = span(reader)?;
            }
            b"DockerContainerID" => it.docker_container_id = text(reader)?,
            b"GRPC" => it.grpc = text(reader)?,
            b"GRPCUseTLS" => it.grpc_use_tls = reader.bool()?,
            b"HTTP" => it.http = text(reader)?,
            b"Header" => it.header = read_map(reader, |reader| read_list(reader, text))?,
            b"Interval" => it.interval = span(reader)?,
            b"Method" => it.method = text(reader)?,
            b"OutputMaxSize" => it.output_max_size = reader.u64()?,
            b"ScriptArgs" => it.script_args = read_list(reader, text)?,
            b"Shell" => it.shell = text(reader)?,
            b"TCP" => it.tcp = text(reader)?,
            b"TLSSkipVerify" => it.tls_skip_verify = reader.bool()?,
            b"TTL" => it.ttl = span(reader)?,
            b"Timeout" => it.timeout = span(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}
