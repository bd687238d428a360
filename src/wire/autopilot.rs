//! The autopilot's configuration, in log entries, snapshots, forwarded requests and answers (captured
//! from Consul 1.8.7).
//!
//! ```text
//!   AutopilotSetConfigRequest  { CAS, Config: autopilot.Config, Datacenter, Token }
//! ```

use super::catalog::{nanos, span, text};
use super::msgpack::{DecodeError, Reader, Writer};
use crate::state::{AutopilotCommand, AutopilotConfiguration};

/// Writes a configuration.
pub fn write_configuration(it: &AutopilotConfiguration, writer: &mut Writer<'_>) {
    writer.map(10);
    writer.key("CleanupDeadServers").bool(it.cleanup_dead_servers);
    writer.key("CreateIndex").uint(it.create_index);
    writer.key("DisableUpgradeMigration").bool(it.disable_upgrade_migration);
    writer.key("LastContactThreshold").uint(nanos(it.last_contact_threshold));
    writer.key("MaxTrailingLogs").uint(it.max_trailing_logs);
    writer.key("MinQuorum").uint(it.min_quorum);
    writer.key("ModifyIndex").uint(it.modify_index);
    writer.key("RedundancyZoneTag").str(&it.redundancy_zone_tag);
    writer.key("ServerStabilizationTime").uint(nanos(it.server_stabilization_time));
    writer.key("UpgradeVersionTag").str(&it.upgrade_version_tag);
}

/// Reads one; what is not said is zero.
///
/// # Errors
/// Anything else.
pub fn read_configuration(reader: &mut Reader<'_>) -> Result<AutopilotConfiguration, DecodeError> {
    let zero = crate::base::Duration::ZERO;
    let mut it = AutopilotConfiguration {
        cleanup_dead_servers: false,
        last_contact_threshold: zero,
        max_trailing_logs: 0,
        server_stabilization_time: zero,
        ..AutopilotConfiguration::default()
    };
    reader.map(|reader, key| {
        match key {
            b"CleanupDeadServers" => it.cleanup_dead_servers = reader.bool()?,
            b"CreateIndex" => it.create_index = reader.u64()?,
            b"DisableUpgradeMigration" => it.disable_upgrade_migration = reader.bool()?,
            b"LastContactThreshold" => it.last_contact_threshold = span(reader)?,
            b"MaxTrailingLogs" => it.max_trailing_logs = reader.u64()?,
            b"MinQuorum" => it.min_quorum = reader.u64()?,
            b"ModifyIndex" => it.modify_index = reader.u64()?,
            b"RedundancyZoneTag" => it.redundancy_zone_tag = text(reader)?,
            b"ServerStabilizationTime" => it.server_stabilization_time = span(reader)?,
            b"UpgradeVersionTag" => it.upgrade_version_tag = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

/// Writes a change.
pub fn write_command(command: &AutopilotCommand, datacenter: &str, writer: &mut Writer<'_>) {
    writer.map(4);
    writer.key("CAS").bool(command.cas);
    write_configuration(&command.configuration, writer.key("Config"));
    writer.key("Datacenter").str(datacenter);
    writer.key("Token").str("");
}

/// Reads one.
///
/// # Errors
/// Anything else.
pub fn read_command(reader: &mut Reader<'_>) -> Result<AutopilotCommand, DecodeError> {
    let mut cas = false;
    let mut configuration = read_configuration(&mut Reader::new(&[0x80]))?;
    reader.map(|reader, key| {
        match key {
            b"CAS" => cas = reader.bool()?,
            b"Config" => configuration = read_configuration(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(AutopilotCommand { configuration, cas })
}
