//! The answer to `Operator.ServerHealth`.
//!
//! ```text
//!   AutopilotHealthReply   { FailureTolerance, Healthy, Servers }
//!   AutopilotServerHealth  { Address, Healthy, ID, LastContact, LastIndex, LastTerm, Leader, Name,
//!                            SerfStatus, StableSince, Version, Voter }
//! ```
//!
//! `LastContact` is nanoseconds, -1 for never; `SerfStatus` is Serf's number; `StableSince` is Go's binary
//! form of a time: version 1, seconds since the year 1, nanoseconds, the zone in minutes (-1: UTC).

use crate::agent::autopilot::{HealthReport, ServerReport};
use crate::base::{Duration, LogIndex, Term, WallTime};
use crate::gossip::Status;
use crate::wire::catalog::{nanos, read_list, write_list};
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer};

/// From the year 1 to 1970, seconds.
const EPOCH_SECONDS: i64 = 62_135_596_800;
const BILLION: i64 = 1_000_000_000;

pub(super) fn write_report(report: &HealthReport, writer: &mut Writer<'_>) {
    writer.map(3);
    writer.key("FailureTolerance").uint(report.failure_tolerance);
    writer.key("Healthy").bool(report.healthy);
    write_list(writer.key("Servers"), &report.servers, write_server);
}

fn write_server(server: &ServerReport, writer: &mut Writer<'_>) {
    writer.map(12);
    writer.key("Address").str(server.address.as_str());
    writer.key("Healthy").bool(server.healthy);
    writer.key("ID").str(server.id.as_str());
    match server.last_contact {
        Some(since) => writer.key("LastContact").uint(nanos(since)),
        None => writer.key("LastContact").int(-1),
    }
    writer.key("LastIndex").uint(server.last_index.0);
    writer.key("LastTerm").uint(server.last_term.0);
    writer.key("Leader").bool(server.leader);
    writer.key("Name").str(&server.name);
    writer.key("SerfStatus").uint(server.status.number().into());
    writer.key("StableSince").bytes(&binary_time(server.stable_since));
    writer.key("Version").str(&server.version);
    writer.key("Voter").bool(server.voter);
}

pub(super) fn read_report(reader: &mut Reader<'_>) -> Result<HealthReport, DecodeError> {
    let mut report = HealthReport::default();
    reader.map(|reader, key| {
        match key {
            b"FailureTolerance" => report.failure_tolerance = reader.u64()?,
            b"Healthy" => report.healthy = reader.bool()?,
            b"Servers" => report.servers = read_list(reader, read_server)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(report)
}

fn read_server(reader: &mut Reader<'_>) -> Result<ServerReport, DecodeError> {
    let mut server = ServerReport {
        id: "".into(),
        name: String::new(),
        address: "".into(),
        status: Status::None,
        version: String::new(),
        leader: false,
        voter: false,
        last_contact: Some(Duration::ZERO),
        last_term: Term(0),
        last_index: LogIndex(0),
        healthy: false,
        stable_since: WallTime(-EPOCH_SECONDS.saturating_mul(BILLION)),
    };
    reader.map(|reader, key| {
        match key {
            b"Address" => server.address = reader.str()?.into(),
            b"Healthy" => server.healthy = reader.bool()?,
            b"ID" => server.id = reader.str()?.into(),
            b"LastContact" => {
                server.last_contact = u64::try_from(reader.i64()?).ok().map(Duration::from_nanos);
            }
            b"LastIndex" => server.last_index = LogIndex(reader.u64()?),
            b"LastTerm" => server.last_term = Term(reader.u64()?),
            b"Leader" => server.leader = reader.bool()?,
            b"Name" => server.name = reader.str()?.to_owned(),
            b"SerfStatus" => server.status = Status::of_number(reader.u64()?),
            b"StableSince" => server.stable_since = read_time(reader)?,
            b"Version" => server.version = reader.str()?.to_owned(),
            b"Voter" => server.voter = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(server)
}

fn binary_time(at: WallTime) -> [u8; 15] {
    let (seconds, nanos) = (at.0.div_euclid(BILLION), at.0.rem_euclid(BILLION));
    let mut bytes = [0; 15];
    bytes[0] = 1;
    bytes[1..9].copy_from_slice(&(seconds + EPOCH_SECONDS).to_be_bytes());
    // Below a billion: it fits.
    bytes[9..13].copy_from_slice(&(nanos as u32).to_be_bytes());
    bytes[13..].copy_from_slice(&(-1_i16).to_be_bytes());
    bytes
}

/// Times that 64 bits of nanoseconds cannot hold become the nearest that they can.
fn read_time(reader: &mut Reader<'_>) -> Result<WallTime, DecodeError> {
    let fault = reader.error(Fault::Unsupported("a time of another form"));
    let bytes: [u8; 15] = reader.bytes()?.try_into().map_err(|_| fault)?;
    let [_, seconds @ .., n0, n1, n2, n3, _, _] = bytes;
    let seconds = i64::from_be_bytes(seconds).saturating_sub(EPOCH_SECONDS);
    let nanos = i64::from(u32::from_be_bytes([n0, n1, n2, n3]));
    Ok(WallTime(seconds.saturating_mul(BILLION).saturating_add(nanos)))
}
