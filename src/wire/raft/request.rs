//! Requests.

use bytes::Bytes;

use super::{PROTOCOL_VERSION, Rpc, entry_kind, entry_type};
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::{AppendEntries, Entry, EntryKind, Request, RequestVote};
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer, streamed};

/// Appends a request.
pub fn encode_request(request: &Request, out: &mut Vec<u8>) {
    out.push(Rpc::of(request).byte());
    let mut writer = Writer::new(out);
    match request {
        Request::AppendEntries(append) => write_append_entries(append, &mut writer),
        Request::RequestVote(vote) => {
            writer.map(6);
            writer.key("Candidate").str(vote.candidate.as_str());
            writer.key("LastLogIndex").uint(vote.last_log_index.0);
            writer.key("LastLogTerm").uint(vote.last_log_term.0);
            writer.key("LeadershipTransfer").bool(vote.leadership_transfer);
            writer.key("ProtocolVersion").uint(PROTOCOL_VERSION);
            writer.key("Term").uint(vote.term.0);
        }
        Request::InstallSnapshot(_) | Request::TimeoutNow | Request::RequestPreVote(_) => {
            unreachable!("no core sends these yet")
        }
    }
}

fn write_append_entries(append: &AppendEntries, writer: &mut Writer<'_>) {
    writer.map(7);
    writer.key("Entries");
    if append.is_heartbeat() {
        writer.nil();
    } else {
        writer.array(append.entries.len());
        for entry in &append.entries {
            write_entry(entry, writer);
        }
    }
    writer.key("Leader").str(append.leader.as_str());
    writer.key("LeaderCommitIndex").uint(append.leader_commit.0);
    writer.key("PrevLogEntry").uint(append.prev_index.0);
    writer.key("PrevLogTerm").uint(append.prev_term.0);
    writer.key("ProtocolVersion").uint(PROTOCOL_VERSION);
    writer.key("Term").uint(append.term.0);
}

fn write_entry(entry: &Entry, writer: &mut Writer<'_>) {
    writer.map(5);
    writer.key("Data").bytes_or_nil(&entry.data);
    writer.key("Extensions").nil();
    writer.key("Index").uint(entry.index.0);
    writer.key("Term").uint(entry.term.0);
    writer.key("Type").uint(u64::from(entry_type(entry.kind)));
}

/// Decodes the request at the front of a stream's buffer: with how many bytes it takes, or none
/// while it is not whole.
///
/// # Errors
/// Not a request of a kind and version spoken here: the connection is to be closed.
pub fn decode_request(bytes: &[u8]) -> Result<Option<(Request, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_request(&mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

fn read_request(reader: &mut Reader<'_>) -> Result<Request, DecodeError> {
    match reader.byte()? {
        0 => read_append_entries(reader).map(Request::AppendEntries),
        1 => read_request_vote(reader).map(Request::RequestVote),
        other => Err(DecodeError { offset: 0, fault: Fault::UnknownRpc(other) }),
    }
}

/// A sender must speak our version, the one before it, or one between.
fn check_version(version: u64, offset: usize) -> Result<(), DecodeError> {
    if (PROTOCOL_VERSION - 1..=PROTOCOL_VERSION).contains(&version) {
        return Ok(());
    }
    let what = "operation not supported with current protocol version";
    Err(DecodeError { offset, fault: Fault::Unsupported(what) })
}

fn read_append_entries(reader: &mut Reader<'_>) -> Result<AppendEntries, DecodeError> {
    let start = reader.position();
    let mut append = AppendEntries {
        term: Term(0),
        leader: ServerAddress::from(""),
        prev_index: LogIndex(0),
        prev_term: Term(0),
        entries: Vec::new(),
        leader_commit: LogIndex(0),
    };
    let mut version = 0;
    reader.map(|reader, key| {
        match key {
            b"Term" => append.term = Term(reader.u64()?),
            b"Leader" => append.leader = ServerAddress::from(reader.str()?),
            b"PrevLogEntry" => append.prev_index = LogIndex(reader.u64()?),
            b"PrevLogTerm" => append.prev_term = Term(reader.u64()?),
            b"Entries" => append.entries = read_entries(reader)?,
            b"LeaderCommitIndex" => append.leader_commit = LogIndex(reader.u64()?),
            b"ProtocolVersion" => version = reader.u64()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    check_version(version, start)?;
    Ok(append)
}

fn read_entries(reader: &mut Reader<'_>) -> Result<Vec<Entry>, DecodeError> {
    let mut entries = Vec::new();
    reader.array(|reader| {
        entries.push(read_entry(reader)?);
        Ok(())
    })?;
    Ok(entries)
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let mut entry =
        Entry { index: LogIndex(0), term: Term(0), kind: EntryKind::Command, data: Bytes::new() };
    reader.map(|reader, key| {
        match key {
            b"Index" => entry.index = LogIndex(reader.u64()?),
            b"Term" => entry.term = Term(reader.u64()?),
            b"Type" => entry.kind = read_entry_type(reader)?,
            // Copied: an entry lives long, and a slice would keep the whole receive buffer alive.
            b"Data" => entry.data = Bytes::copy_from_slice(reader.bytes()?),
            b"Extensions" => {
                let start = reader.position();
                if !reader.bytes()?.is_empty() {
                    let fault = Fault::Unsupported("log entry extensions are not supported");
                    return Err(DecodeError { offset: start, fault });
                }
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(entry)
}

fn read_entry_type(reader: &mut Reader<'_>) -> Result<EntryKind, DecodeError> {
    let start = reader.position();
    let number = reader.u64()?;
    entry_kind(number).ok_or(DecodeError {
        offset: start,
        fault: Fault::Value { what: "the type of a log entry", value: i128::from(number) },
    })
}

fn read_request_vote(reader: &mut Reader<'_>) -> Result<RequestVote, DecodeError> {
    let start = reader.position();
    let mut vote = RequestVote {
        term: Term(0),
        candidate: ServerAddress::from(""),
        last_log_index: LogIndex(0),
        last_log_term: Term(0),
        leadership_transfer: false,
    };
    let mut version = 0;
    reader.map(|reader, key| {
        match key {
            b"Term" => vote.term = Term(reader.u64()?),
            b"Candidate" => vote.candidate = ServerAddress::from(reader.str()?),
            b"LastLogIndex" => vote.last_log_index = LogIndex(reader.u64()?),
            b"LastLogTerm" => vote.last_log_term = Term(reader.u64()?),
            b"LeadershipTransfer" => vote.leadership_transfer = reader.bool()?,
            b"ProtocolVersion" => version = reader.u64()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    check_version(version, start)?;
    Ok(vote)
}
