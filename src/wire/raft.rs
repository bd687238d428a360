//! hashicorp/raft's RPCs as version 1.1.2 writes them (spec cluster 5.1 to 5.3).
//!
//! ```text
//!   request    type byte │ map                        0 AppendEntries, 1 RequestVote
//!   response   string "" │ map      or    string error │ nil
//! ```
//!
//! A connection carries requests one way and the responses in the same order the other way, as many
//! in flight as the caller likes. A response does not say what it answers: the caller passes the
//! [`Rpc`] that it is waiting for.
//!
//! Byte for byte: a heartbeat has `Entries` nil and a probe an empty array; absent `Data` and
//! `Extensions` are nil; a vote's answer always contains `Peers` nil. Newer peers (1.3 and later) add
//! `ID`, `Addr` and `AppendedAt`, which are read over.
//!
//! Deliberately not here: InstallSnapshot, TimeoutNow, RequestPreVote. Their type bytes give
//! [`Fault::UnknownRpc`], as a server gives that does not know them, and the connection ends.

use bytes::Bytes;

use super::msgpack::{DecodeError, Fault, Reader, Writer, streamed};
use crate::base::{LogIndex, ServerAddress, ServerId, Term};
use crate::raft::{
    AppendEntries, AppendEntriesResponse, CallError, Configuration, Entry, EntryKind, Request,
    RequestVote, RequestVoteResponse, Response, Server, Suffrage,
};

/// The Raft protocol version that this agent speaks.
pub const PROTOCOL_VERSION: u64 = 3;

/// The kinds of RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rpc {
    AppendEntries,
    RequestVote,
}

impl Rpc {
    /// The kind of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request {
            Request::AppendEntries(_) => Rpc::AppendEntries,
            Request::RequestVote(_) => Rpc::RequestVote,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Rpc::AppendEntries => 0,
            Rpc::RequestVote => 1,
        }
    }
}

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

/// The wire number of an entry's kind.
#[must_use]
pub fn entry_type(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Command => 0,
        EntryKind::Noop => 1,
        EntryKind::AddPeerDeprecated => 2,
        EntryKind::RemovePeerDeprecated => 3,
        EntryKind::Barrier => 4,
        EntryKind::Configuration => 5,
    }
}

/// The kind with this wire number.
#[must_use]
pub fn entry_kind(number: u64) -> Option<EntryKind> {
    Some(match number {
        0 => EntryKind::Command,
        1 => EntryKind::Noop,
        2 => EntryKind::AddPeerDeprecated,
        3 => EntryKind::RemovePeerDeprecated,
        4 => EntryKind::Barrier,
        5 => EntryKind::Configuration,
        _ => return None,
    })
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

/// Appends a response.
pub fn encode_response(response: &Response, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.str("");
    match response {
        Response::AppendEntries(append) => {
            writer.map(5);
            writer.key("LastLog").uint(append.last_log.0);
            writer.key("NoRetryBackoff").bool(append.no_retry_backoff);
            writer.key("ProtocolVersion").uint(PROTOCOL_VERSION);
            writer.key("Success").bool(append.success);
            writer.key("Term").uint(append.term.0);
        }
        Response::RequestVote(vote) => {
            writer.map(4);
            writer.key("Granted").bool(vote.granted);
            writer.key("Peers").nil();
            writer.key("ProtocolVersion").uint(PROTOCOL_VERSION);
            writer.key("Term").uint(vote.term.0);
        }
    }
}

/// Appends the response to a request that could not be served.
pub fn encode_error(text: &str, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.str(text);
    writer.nil();
}

/// What a peer answered.
pub type Answer = Result<Response, CallError>;

/// Decodes the response to a request of this kind at the front of a stream's buffer: with how many
/// bytes it takes, or none while it is not whole.
///
/// # Errors
/// Not a response: the connection is to be closed.
pub fn decode_response(rpc: Rpc, bytes: &[u8]) -> Result<Option<(Answer, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_answer(rpc, &mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

fn read_answer(rpc: Rpc, reader: &mut Reader<'_>) -> Result<Answer, DecodeError> {
    let error = reader.bytes()?;
    if !error.is_empty() {
        reader.skip()?;
        return Ok(Err(CallError::Remote(String::from_utf8_lossy(error).into_owned())));
    }
    Ok(Ok(match rpc {
        Rpc::AppendEntries => Response::AppendEntries(read_append_entries_response(reader)?),
        Rpc::RequestVote => Response::RequestVote(read_request_vote_response(reader)?),
    }))
}

fn read_append_entries_response(
    reader: &mut Reader<'_>,
) -> Result<AppendEntriesResponse, DecodeError> {
    let mut response = AppendEntriesResponse {
        term: Term(0),
        last_log: LogIndex(0),
        success: false,
        no_retry_backoff: false,
    };
    reader.map(|reader, key| {
        match key {
            b"Term" => response.term = Term(reader.u64()?),
            b"LastLog" => response.last_log = LogIndex(reader.u64()?),
            b"Success" => response.success = reader.bool()?,
            b"NoRetryBackoff" => response.no_retry_backoff = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(response)
}

fn read_request_vote_response(reader: &mut Reader<'_>) -> Result<RequestVoteResponse, DecodeError> {
    let mut response = RequestVoteResponse { term: Term(0), granted: false };
    reader.map(|reader, key| {
        match key {
            b"Term" => response.term = Term(reader.u64()?),
            b"Granted" => response.granted = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(response)
}

/// The data of an entry of kind [`EntryKind::Configuration`].
#[must_use]
pub fn encode_configuration(configuration: &Configuration) -> Bytes {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.map(1);
    writer.key("Servers").array(configuration.servers.len());
    for server in &configuration.servers {
        writer.map(3);
        writer.key("Address").str(server.address.as_str());
        writer.key("ID").str(server.id.as_str());
        writer.key("Suffrage").uint(match server.suffrage {
            Suffrage::Voter => 0,
            Suffrage::Nonvoter => 1,
            Suffrage::Staging => 2,
        });
    }
    Bytes::from(out)
}

/// Reads what [`encode_configuration`] wrote.
///
/// # Errors
/// Anything else.
pub fn decode_configuration(bytes: &[u8]) -> Result<Configuration, DecodeError> {
    let mut configuration = Configuration::default();
    let mut reader = Reader::new(bytes);
    reader.map(|reader, key| match key {
        b"Servers" => reader.array(|reader| {
            configuration.servers.push(read_server(reader)?);
            Ok(())
        }),
        _ => reader.skip(),
    })?;
    reader.finish()?;
    Ok(configuration)
}

fn read_server(reader: &mut Reader<'_>) -> Result<Server, DecodeError> {
    let mut server = Server {
        suffrage: Suffrage::Voter,
        id: ServerId::from(""),
        address: ServerAddress::from(""),
    };
    reader.map(|reader, key| {
        match key {
            b"Address" => server.address = ServerAddress::from(reader.str()?),
            b"ID" => server.id = ServerId::from(reader.str()?),
            b"Suffrage" => {
                let start = reader.position();
                server.suffrage = match reader.u64()? {
                    0 => Suffrage::Voter,
                    1 => Suffrage::Nonvoter,
                    2 => Suffrage::Staging,
                    other => {
                        let fault = Fault::Value { what: "a suffrage", value: i128::from(other) };
                        return Err(DecodeError { offset: start, fault });
                    }
                };
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(server)
}
