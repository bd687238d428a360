//! The structs in requests and answers.
//!
//! `KeyListRequest`'s field for the separator is spelled `Seperator`, as Consul has it. Fields that
//! would be zero in every request of ours are left out, which Go reads as zero.

use crate::agent::{ReadMeta, ReadMode, ReadOptions, Reply, Request};
use crate::base::Duration;
use crate::state::{Answer, Command, CommandResult, KvEntry, Query, Rows};

use super::{
    Family, Method, catalog, coordinates, internal, operator, prepared_queries, sessions, txns,
};
use crate::wire::catalog::{self as form, nanos, write_list};
use crate::wire::msgpack::{DecodeError, Reader, Writer};
use crate::wire::{autopilot, command, kv};

/// How long a blocking read waits that does not say (spec cluster 9.4).
const DEFAULT_WAIT: Duration = Duration::from_secs(300);
/// And at most.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// Writes the body of a request; nothing for one that is never forwarded.
pub(super) fn write_request(request: &Request, datacenter: &str, writer: &mut Writer<'_>) {
    match request {
        Request::Write(change) => command::write_body(change, datacenter, writer),
        Request::Read { query, options } => match Method::of_query(query).family() {
            Family::KeyValue => write_query(query, options, datacenter, writer),
            Family::PreparedQuery => {
                prepared_queries::write_query(query, options, datacenter, writer);
            }
            Family::Txn => {
                let ops = if let Query::Txn { ops } = query { ops.as_slice() } else { &[] };
                txns::write_query(ops, options, datacenter, writer);
            }
            _ => catalog::write_query(query, options, datacenter, writer),
        },
        Request::StatusLeader
        | Request::StatusPeers
        | Request::StatusRaftStats
        | Request::RaftConfiguration { .. }
        | Request::AutopilotHealth
        | Request::RemoveRaftPeer(_)
        | Request::TransferLeadership { .. } => {
            operator::write_request(request, datacenter, writer);
        }
        Request::EventFire { .. } | Request::Keyring(_) => {
            internal::write_request(request, datacenter, writer);
        }
        Request::CoordinateUpdate(_) | Request::CoordinateDatacenters => {
            coordinates::write_request(request, datacenter, writer);
        }
        Request::SessionRenew { .. } => sessions::write_request(request, datacenter, writer),
        Request::AgentSelf
        | Request::Members { .. }
        | Request::Join { .. }
        | Request::ForceLeave { .. }
        | Request::Leave
        | Request::FireUserEvent(_)
        | Request::UserEvents { .. }
        | Request::Local(_)
        | Request::SnapshotSave { .. }
        | Request::SnapshotRestore(_) => {}
    }
}

fn write_query(query: &Query, options: &ReadOptions, datacenter: &str, writer: &mut Writer<'_>) {
    writer.map(if matches!(query, Query::KvKeys { .. }) { 8 } else { 7 });
    writer.key("AllowStale").bool(options.mode == ReadMode::Stale);
    writer.key("Datacenter").str(datacenter);
    if let Query::KvGet { key } | Query::KvList { prefix: key } = query {
        writer.key("Key").str(key);
    }
    writer.key("MaxQueryTime").uint(nanos(options.max_wait));
    writer.key("MinQueryIndex").uint(options.min_index);
    if let Query::KvKeys { prefix, .. } = query {
        writer.key("Prefix").str(prefix);
    }
    writer.key("RequireConsistent").bool(options.mode == ReadMode::Consistent);
    if let Query::KvKeys { separator, .. } = query {
        writer.key("Seperator").str(separator);
    }
    writer.key("Token").str("");
}

/// Reads the body of a request.
pub(super) fn read_request(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Request, DecodeError> {
    match method.family() {
        Family::Write => Ok(Request::Write(match method {
            Method::CatalogRegister => Command::Register(Box::new(form::read_register(reader)?)),
            Method::CatalogDeregister => Command::Deregister(form::read_deregister(reader)?),
            Method::OperatorAutopilotSetConfiguration => {
                Command::Autopilot(autopilot::read_command(reader)?)
            }
            _ => Command::Kv(kv::read_command(reader)?),
        })),
        Family::KeyValue => read_query(method, reader),
        Family::Catalog => {
            let (query, options) = catalog::read_query(method, reader)?;
            Ok(Request::Read { query, options })
        }
        Family::Internal => internal::read_request(method, reader),
        Family::Operator => operator::read_request(method, reader),
        Family::Coordinate => coordinates::read_request(method, reader),
        Family::Session => sessions::read_request(method, reader),
        Family::PreparedQuery => prepared_queries::read_request(method, reader),
        Family::Txn => txns::read_request(method, reader),
    }
}

fn read_query(method: Method, reader: &mut Reader<'_>) -> Result<Request, DecodeError> {
    let (mut key, mut prefix, mut separator) = (String::new(), String::new(), String::new());
    let mut options = QueryOptions::default();
    reader.map(|reader, name| {
        match name {
            b"Key" => key = reader.str()?.to_owned(),
            b"Prefix" => prefix = reader.str()?.to_owned(),
            b"Seperator" => separator = reader.str()?.to_owned(),
            _ => options.read(name, reader)?,
        }
        Ok(())
    })?;
    let query = match method {
        Method::KvsGet => Query::KvGet { key },
        Method::KvsListKeys => Query::KvKeys { prefix, separator },
        _ => Query::KvList { prefix: key },
    };
    Ok(Request::Read { query, options: options.finish() })
}

/// The fields of consistency and blocking, which all reads of the store share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueryOptions {
    pub stale: bool,
    pub consistent: bool,
    pub min_index: u64,
    pub max_wait: Duration,
}

impl QueryOptions {
    pub(super) fn of(options: &ReadOptions) -> Self {
        Self {
            stale: options.mode == ReadMode::Stale,
            consistent: options.mode == ReadMode::Consistent,
            min_index: options.min_index,
            max_wait: options.max_wait,
        }
    }

    /// Reads a field, or over one that is none of these.
    pub(super) fn read(&mut self, name: &[u8], reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match name {
            b"AllowStale" => self.stale = reader.bool()?,
            b"MaxQueryTime" => self.max_wait = Duration::from_nanos(reader.i64_not_negative()?),
            b"MinQueryIndex" => self.min_index = reader.u64()?,
            b"RequireConsistent" => self.consistent = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    pub(super) fn finish(self) -> ReadOptions {
        // Both at once cannot come from Consul's front end; the stricter promise is kept then.
        let mode = match (self.consistent, self.stale) {
            (true, _) => ReadMode::Consistent,
            (false, true) => ReadMode::Stale,
            (false, false) => ReadMode::Default,
        };
        let unsaid = self.min_index > 0 && self.max_wait.is_zero();
        let max_wait = if unsaid { DEFAULT_WAIT } else { self.max_wait.min(MAX_WAIT) };
        ReadOptions { mode, min_index: self.min_index, max_wait }
    }
}

/// Writes the body of an answer; only for a reply that fits its method.
pub(super) fn write_reply(method: Method, reply: &Reply, writer: &mut Writer<'_>) {
    match reply {
        _ if method.family() == Family::Session => sessions::write_reply(reply, writer),
        _ if method.family() == Family::PreparedQuery => {
            prepared_queries::write_reply(reply, writer);
        }
        _ if method.family() == Family::Txn => txns::write_reply(reply, writer),
        // A registration has nothing to say but that it is done.
        Reply::Written(_)
            if matches!(method, Method::CatalogRegister | Method::CatalogDeregister) =>
        {
            writer.map(0);
        }
        Reply::Written(CommandResult::Flag(flag)) => writer.bool(*flag),
        Reply::Read { answer, meta } => match &answer.rows {
            Rows::Entries(_) | Rows::Keys(_) => write_answer(answer, meta, writer),
            Rows::Autopilot(row) => {
                autopilot::write_configuration(&row.clone().unwrap_or_default(), writer);
            }
            _ => catalog::write_answer(answer, meta, writer),
        },
        _ if method.family() == Family::Internal => internal::write_reply(reply, writer),
        _ if method.family() == Family::Coordinate => coordinates::write_reply(reply, writer),
        _ => operator::write_reply(method, reply, writer),
    }
}

fn write_answer(answer: &Answer, meta: &ReadMeta, writer: &mut Writer<'_>) {
    writer.map(5);
    writer.key("ConsistencyLevel").str("");
    if let Rows::Entries(entries) = &answer.rows {
        write_list(writer.key("Entries"), entries, kv::write_entry);
    }
    writer.key("Index").uint(meta.index);
    if let Rows::Keys(keys) = &answer.rows {
        write_list(writer.key("Keys"), keys, |key, writer| writer.str(key));
    }
    writer.key("KnownLeader").bool(meta.known_leader);
    writer.key("LastContact").uint(nanos(meta.last_contact));
}

/// Reads the body of an answer.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    match (method, method.family()) {
        (Method::CatalogRegister | Method::CatalogDeregister, _) => {
            reader.skip()?;
            Ok(Reply::Written(CommandResult::Flag(true)))
        }
        // The bare configuration: nothing is said of the server that answered but what it means.
        (Method::OperatorAutopilotGetConfiguration, _) => {
            let row = autopilot::read_configuration(reader)?;
            let index = row.modify_index;
            let meta = ReadMeta { index, known_leader: true, last_contact: Duration::ZERO };
            let rows = Rows::Autopilot(Some(row));
            Ok(Reply::Read { answer: Answer { index, rows }, meta })
        }
        (_, Family::Write) => Ok(Reply::Written(CommandResult::Flag(reader.bool()?))),
        (_, Family::KeyValue) => read_answer(method, reader),
        (_, Family::Catalog) => {
            let (answer, meta) = catalog::read_answer(method, reader)?;
            Ok(Reply::Read { answer, meta })
        }
        (_, Family::Internal) => internal::read_reply(method, reader),
        (_, Family::Operator) => operator::read_reply(method, reader),
        (_, Family::Coordinate) => coordinates::read_reply(method, reader),
        (_, Family::Session) => sessions::read_reply(method, reader),
        (_, Family::PreparedQuery) => prepared_queries::read_reply(method, reader),
        (_, Family::Txn) => txns::read_reply(method, reader),
    }
}

fn read_answer(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    let mut meta = ReadMeta { index: 0, known_leader: false, last_contact: Duration::ZERO };
    let mut entries: Vec<KvEntry> = Vec::new();
    let mut keys: Vec<String> = Vec::new();
    reader.map(|reader, name| match name {
        b"Entries" => reader.array(|reader| {
            entries.push(kv::read_entry(reader)?);
            Ok(())
        }),
        b"Keys" => reader.array(|reader| {
            keys.push(reader.str()?.to_owned());
            Ok(())
        }),
        b"Index" => reader.u64().map(|index| meta.index = index),
        b"KnownLeader" => reader.bool().map(|known| meta.known_leader = known),
        b"LastContact" => {
            reader.i64_not_negative().map(|nanos| meta.last_contact = Duration::from_nanos(nanos))
        }
        _ => reader.skip(),
    })?;
    let rows =
        if method == Method::KvsListKeys { Rows::Keys(keys) } else { Rows::Entries(entries) };
    Ok(Reply::Read { answer: Answer { index: meta.index, rows }, meta })
}
