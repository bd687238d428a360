//! The structs in requests and answers.
//!
//! `KeyListRequest`'s field for the separator is spelled `Seperator`, as Consul has it. Fields that
//! would be zero in every request of ours are left out, which Go reads as zero.

use crate::agent::{ReadMeta, ReadMode, ReadOptions, Reply, Request};
use crate::base::Duration;
use crate::state::{Answer, Command, CommandResult, KvEntry, Query, Rows};

use super::{Method, operator};
use crate::wire::kv;
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// How long a blocking read waits that does not say (spec cluster 9.4).
const DEFAULT_WAIT: Duration = Duration::from_secs(300);
/// And at most.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// A span as Go has it: nanoseconds in 63 bits.
pub(super) fn nanos(span: Duration) -> u64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).unsigned_abs()
}

/// Writes the body of a request; nothing for one that is never forwarded.
pub(super) fn write_request(request: &Request, datacenter: &str, writer: &mut Writer<'_>) {
    match request {
        Request::Write(Command::Kv(change)) => kv::write_command(change, datacenter, writer),
        Request::Read { query, options } => write_query(query, options, datacenter, writer),
        Request::StatusLeader
        | Request::StatusPeers
        | Request::RaftConfiguration { .. }
        | Request::RemoveRaftPeer(_)
        | Request::TransferLeadership { .. } => {
            operator::write_request(request, datacenter, writer);
        }
        Request::AgentSelf | Request::SnapshotSave { .. } | Request::SnapshotRestore(_) => {}
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
    if method == Method::KvsApply {
        return Ok(Request::Write(Command::Kv(kv::read_command(reader)?)));
    }
    if !method.is_query() {
        return operator::read_request(method, reader);
    }
    let (mut key, mut prefix, mut separator) = (String::new(), String::new(), String::new());
    let (mut stale, mut consistent, mut min_index, mut wait) = (false, false, 0, Duration::ZERO);
    reader.map(|reader, name| {
        match name {
            b"AllowStale" => stale = reader.bool()?,
            b"Key" => key = reader.str()?.to_owned(),
            b"MaxQueryTime" => wait = Duration::from_nanos(reader.i64_not_negative()?),
            b"MinQueryIndex" => min_index = reader.u64()?,
            b"Prefix" => prefix = reader.str()?.to_owned(),
            b"RequireConsistent" => consistent = reader.bool()?,
            b"Seperator" => separator = reader.str()?.to_owned(),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let query = match method {
        Method::KvsGet => Query::KvGet { key },
        Method::KvsListKeys => Query::KvKeys { prefix, separator },
        _ => Query::KvList { prefix: key },
    };
    // Both at once cannot come from Consul's front end; the stricter promise is kept then.
    let mode = match (consistent, stale) {
        (true, _) => ReadMode::Consistent,
        (false, true) => ReadMode::Stale,
        (false, false) => ReadMode::Default,
    };
    let max_wait = if min_index > 0 && wait.is_zero() { DEFAULT_WAIT } else { wait.min(MAX_WAIT) };
    Ok(Request::Read { query, options: ReadOptions { mode, min_index, max_wait } })
}

/// Writes the body of an answer; only for a reply that fits its method.
pub(super) fn write_reply(method: Method, reply: &Reply, writer: &mut Writer<'_>) {
    match reply {
        Reply::Written(CommandResult::Flag(flag)) => writer.bool(*flag),
        Reply::Read { answer, meta } => write_answer(answer, meta, writer),
        _ => operator::write_reply(method, reply, writer),
    }
}

fn write_answer(answer: &Answer, meta: &ReadMeta, writer: &mut Writer<'_>) {
    writer.map(5);
    writer.key("ConsistencyLevel").str("");
    if let Rows::Entries(entries) = &answer.rows {
        write_rows(writer.key("Entries"), entries, kv::write_entry);
    }
    writer.key("Index").uint(meta.index);
    if let Rows::Keys(keys) = &answer.rows {
        write_rows(writer.key("Keys"), keys, |key, writer| writer.str(key));
    }
    writer.key("KnownLeader").bool(meta.known_leader);
    writer.key("LastContact").uint(nanos(meta.last_contact));
}

/// An array; nil when there is nothing in it, as Go's nil slice.
pub(super) fn write_rows<T>(
    writer: &mut Writer<'_>,
    rows: &[T],
    write: impl Fn(&T, &mut Writer<'_>),
) {
    if rows.is_empty() {
        writer.nil();
        return;
    }
    writer.array(rows.len());
    for row in rows {
        write(row, writer);
    }
}

/// Reads the body of an answer.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    if method == Method::KvsApply {
        return Ok(Reply::Written(CommandResult::Flag(reader.bool()?)));
    }
    if !method.is_query() {
        return operator::read_reply(method, reader);
    }
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
