//! Requests: what is common to all, and those without a payload.
//!
//! A message is read whole before it is judged: what is well formed but cannot be served is a
//! [`Received`] with the text to answer, so that the connection lives on and the caller learns why.

use bytes::Bytes;

use super::header::Header;
use super::{PROTOCOL_VERSION, Rpc, entry_kind, entry_type, install};
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::{AppendEntries, Entry, EntryKind, Request, RequestPreVote, RequestVote};
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer, streamed};

/// A request as it came: what the agent speaks, and beside it what only the wire carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which RPC; the answer has the same.
    pub rpc: Rpc,
    /// Who sent it.
    pub header: Header,
    /// What is asked, or the text of the error to answer with.
    pub request: Result<Request, String>,
    /// So many raw bytes follow the request on the stream (the state in InstallSnapshot), also when
    /// the request is refused: the next one begins after them.
    pub following: u64,
    /// When the leader appended each entry, as it is encoded; none at the end where newer versions
    /// have said nothing.
    pub appended_at: Vec<Option<Bytes>>,
}

/// Appends a request of this agent.
pub fn encode_request(request: &Request, out: &mut Vec<u8>) {
    let mut header = Header::ours();
    if let Request::RequestPreVote(vote) = request {
        // It has no field for the candidate: versions that know the RPC take it from the header.
        header.sender = Some(super::Sender { id: "".into(), address: vote.candidate.clone() });
    }
    encode_request_as(request, &header, &[], out);
}

/// Appends a request in the words of another sender: what [`decode_request`] gave comes back byte for
/// byte.
pub fn encode_request_as(
    request: &Request,
    header: &Header,
    appended_at: &[Option<Bytes>],
    out: &mut Vec<u8>,
) {
    out.push(Rpc::of(request).byte());
    let mut writer = Writer::new(out);
    match request {
        Request::AppendEntries(append) => {
            write_append_entries(append, header, appended_at, &mut writer);
        }
        Request::RequestVote(vote) => write_request_vote(vote, header, &mut writer),
        Request::RequestPreVote(vote) => write_request_pre_vote(vote, header, &mut writer),
        Request::InstallSnapshot(install) => install::write(install, header, &mut writer),
        Request::TimeoutNow => {
            header.begin(0, &mut writer);
            header.id(&mut writer);
            header.version(&mut writer);
        }
    }
}

fn write_append_entries(
    append: &AppendEntries,
    header: &Header,
    appended_at: &[Option<Bytes>],
    writer: &mut Writer<'_>,
) {
    header.begin(6, writer);
    writer.key("Entries");
    if append.is_heartbeat() {
        writer.nil();
    } else {
        writer.array(append.entries.len());
        for (at, entry) in append.entries.iter().enumerate() {
            write_entry(entry, appended_at.get(at).and_then(Option::as_deref), writer);
        }
    }
    header.id(writer);
    writer.key("Leader").str(append.leader.as_str());
    writer.key("LeaderCommitIndex").uint(append.leader_commit.0);
    writer.key("PrevLogEntry").uint(append.prev_index.0);
    writer.key("PrevLogTerm").uint(append.prev_term.0);
    header.version(writer);
    writer.key("Term").uint(append.term.0);
}

fn write_entry(entry: &Entry, appended_at: Option<&[u8]>, writer: &mut Writer<'_>) {
    writer.map(5 + usize::from(appended_at.is_some()));
    if let Some(time) = appended_at {
        writer.key("AppendedAt").value(time);
    }
    writer.key("Data").bytes_or_nil(&entry.data);
    writer.key("Extensions").nil();
    writer.key("Index").uint(entry.index.0);
    writer.key("Term").uint(entry.term.0);
    writer.key("Type").uint(u64::from(entry_type(entry.kind)));
}

fn write_request_vote(vote: &RequestVote, header: &Header, writer: &mut Writer<'_>) {
    header.begin(5, writer);
    writer.key("Candidate").str(vote.candidate.as_str());
    header.id(writer);
    writer.key("LastLogIndex").uint(vote.last_log_index.0);
    writer.key("LastLogTerm").uint(vote.last_log_term.0);
    writer.key("LeadershipTransfer").bool(vote.leadership_transfer);
    header.version(writer);
    writer.key("Term").uint(vote.term.0);
}

fn write_request_pre_vote(vote: &RequestPreVote, header: &Header, writer: &mut Writer<'_>) {
    header.begin(3, writer);
    header.id(writer);
    writer.key("LastLogIndex").uint(vote.last_log_index.0);
    writer.key("LastLogTerm").uint(vote.last_log_term.0);
    header.version(writer);
    writer.key("Term").uint(vote.term.0);
}

/// Decodes the request at the front of a stream's buffer: with how many bytes it takes, or none
/// while it is not whole.
///
/// # Errors
/// Not a request, or an RPC that this agent does not know: the connection is to be closed.
pub fn decode_request(bytes: &[u8]) -> Result<Option<(Received, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_request(&mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

/// What is gathered while the fields of a request are read.
#[derive(Default)]
pub(super) struct Reading {
    pub header: Header,
    /// The first reason why it cannot be served.
    pub refusal: Option<String>,
    pub following: u64,
    appended_at: Vec<Option<Bytes>>,
}

impl Reading {
    /// Notes why the request cannot be served; the first reason stays.
    pub fn refuse(&mut self, why: impl Into<String>) {
        self.refusal.get_or_insert_with(|| why.into());
    }

    /// The named address, or the header's where a newer version left that field empty.
    pub fn named(&self, address: ServerAddress) -> ServerAddress {
        if address.as_str().is_empty() { self.header.address() } else { address }
    }
}

fn read_request(reader: &mut Reader<'_>) -> Result<Received, DecodeError> {
    let byte = reader.byte()?;
    let Some(rpc) = Rpc::from_byte(byte) else {
        return Err(DecodeError { offset: 0, fault: Fault::UnknownRpc(byte) });
    };
    let mut reading = Reading::default();
    let request = match rpc {
        Rpc::AppendEntries => Request::AppendEntries(read_append_entries(&mut reading, reader)?),
        Rpc::RequestVote => Request::RequestVote(read_request_vote(&mut reading, reader)?),
        Rpc::RequestPreVote => {
            let vote = read_request_vote(&mut reading, reader)?;
            Request::RequestPreVote(RequestPreVote {
                term: vote.term,
                // Whatever field of that name a sender adds, the header says who asks.
                candidate: reading.header.address(),
                last_log_index: vote.last_log_index,
                last_log_term: vote.last_log_term,
            })
        }
        Rpc::InstallSnapshot => Request::InstallSnapshot(install::read(&mut reading, reader)?),
        Rpc::TimeoutNow => {
            reader.map(|reader, key| reading.header.read(key, reader))?;
            Request::TimeoutNow
        }
    };
    // A sender must speak our version, the one before it, or one between.
    if !(PROTOCOL_VERSION - 1..=PROTOCOL_VERSION).contains(&reading.header.protocol) {
        reading.refusal = Some("operation not supported with current protocol version".into());
    }
    let Reading { header, refusal, following, appended_at } = reading;
    let request = refusal.map_or(Ok(request), Err);
    Ok(Received { rpc, header, request, following, appended_at })
}

fn read_append_entries(
    reading: &mut Reading,
    reader: &mut Reader<'_>,
) -> Result<AppendEntries, DecodeError> {
    let mut append = AppendEntries {
        term: Term(0),
        leader: ServerAddress::from(""),
        prev_index: LogIndex(0),
        prev_term: Term(0),
        entries: Vec::new(),
        leader_commit: LogIndex(0),
    };
    reader.map(|reader, key| {
        match key {
            b"Term" => append.term = Term(reader.u64()?),
            b"Leader" => append.leader = ServerAddress::from(reader.str()?),
            b"PrevLogEntry" => append.prev_index = LogIndex(reader.u64()?),
            b"PrevLogTerm" => append.prev_term = Term(reader.u64()?),
            b"Entries" => append.entries = read_entries(reading, reader)?,
            b"LeaderCommitIndex" => append.leader_commit = LogIndex(reader.u64()?),
            _ => reading.header.read(key, reader)?,
        }
        Ok(())
    })?;
    append.leader = reading.named(append.leader);
    Ok(append)
}

fn read_entries(reading: &mut Reading, reader: &mut Reader<'_>) -> Result<Vec<Entry>, DecodeError> {
    let mut entries = Vec::new();
    reading.appended_at.clear();
    reader.array(|reader| {
        let (entry, appended_at) = read_entry(reading, reader)?;
        if appended_at.is_some() {
            // An older entry in between has none.
            reading.appended_at.resize(entries.len(), None);
            reading.appended_at.push(appended_at);
        }
        entries.push(entry);
        Ok(())
    })?;
    Ok(entries)
}

fn read_entry(
    reading: &mut Reading,
    reader: &mut Reader<'_>,
) -> Result<(Entry, Option<Bytes>), DecodeError> {
    let mut entry =
        Entry { index: LogIndex(0), term: Term(0), kind: EntryKind::Command, data: Bytes::new() };
    let mut appended_at = None;
    reader.map(|reader, key| {
        match key {
            b"Index" => entry.index = LogIndex(reader.u64()?),
            b"Term" => entry.term = Term(reader.u64()?),
            b"Type" => match reader.u64()? {
                number if entry_kind(number).is_none() => {
                    reading.refuse(format!("the type of a log entry cannot be {number}"));
                }
                number => entry.kind = entry_kind(number).unwrap_or(entry.kind),
            },
            // Copied: an entry lives long, and a slice would keep the whole receive buffer alive.
            b"Data" => entry.data = Bytes::copy_from_slice(reader.bytes()?),
            b"AppendedAt" => appended_at = Some(Bytes::copy_from_slice(reader.value()?)),
            // To drop them would be to store another entry than the leader's.
            b"Extensions" => {
                if !reader.bytes()?.is_empty() {
                    reading.refuse("log entry extensions are not supported");
                }
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((entry, appended_at))
}

/// RequestVote, and RequestPreVote, whose fields are some of its.
fn read_request_vote(
    reading: &mut Reading,
    reader: &mut Reader<'_>,
) -> Result<RequestVote, DecodeError> {
    let mut vote = RequestVote {
        term: Term(0),
        candidate: ServerAddress::from(""),
        last_log_index: LogIndex(0),
        last_log_term: Term(0),
        leadership_transfer: false,
    };
    reader.map(|reader, key| {
        match key {
            b"Term" => vote.term = Term(reader.u64()?),
            b"Candidate" => vote.candidate = ServerAddress::from(reader.str()?),
            b"LastLogIndex" => vote.last_log_index = LogIndex(reader.u64()?),
            b"LastLogTerm" => vote.last_log_term = Term(reader.u64()?),
            b"LeadershipTransfer" => vote.leadership_transfer = reader.bool()?,
            _ => reading.header.read(key, reader)?,
        }
        Ok(())
    })?;
    vote.candidate = reading.named(vote.candidate);
    Ok(vote)
}
