//! Responses.

use bytes::Bytes;

use super::header::Header;
use super::{Rpc, Sender};
use crate::base::{LogIndex, Term};
use crate::raft::{
    AppendEntriesResponse, CallError, InstallSnapshotResponse, RequestPreVoteResponse,
    RequestVoteResponse, Response,
};
use crate::wire::msgpack::{DecodeError, Reader, Writer, streamed};

/// What a peer answered.
pub type Answer = Result<Response, CallError>;

/// An answer as it came: what the agent speaks, and beside it what only the wire carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Who sent it; blank in an error.
    pub header: Header,
    /// The answer.
    pub answer: Answer,
    /// `Peers` of an answer to RequestVote: servers of protocol 0 and 1 sent their set of peers
    /// ([`decode_peers`](super::decode_peers)); later ones send nil, which is empty here.
    pub peers: Bytes,
}

/// Appends a response of this agent.
pub fn encode_response(response: &Response, out: &mut Vec<u8>) {
    let header = match response {
        // As hashicorp/raft does: it fills in no header there.
        Response::InstallSnapshot(_) | Response::TimeoutNow => Header::default(),
        Response::RequestPreVote(_) => {
            // Only newer versions have this RPC, and they have a sender in every header.
            Header { sender: Some(Sender { id: "".into(), address: "".into() }), ..Header::ours() }
        }
        Response::AppendEntries(_) | Response::RequestVote(_) => Header::ours(),
    };
    encode_response_as(response, &header, &[], out);
}

/// Appends a response in the words of another sender: what [`decode_response`] gave comes back byte
/// for byte.
pub fn encode_response_as(response: &Response, header: &Header, peers: &[u8], out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.str("");
    match response {
        Response::AppendEntries(append) => {
            header.begin(4, &mut writer);
            header.id(&mut writer);
            writer.key("LastLog").uint(append.last_log.0);
            writer.key("NoRetryBackoff").bool(append.no_retry_backoff);
            header.version(&mut writer);
            writer.key("Success").bool(append.success);
            writer.key("Term").uint(append.term.0);
        }
        Response::RequestVote(vote) => {
            header.begin(3, &mut writer);
            writer.key("Granted").bool(vote.granted);
            header.id(&mut writer);
            writer.key("Peers").bytes_or_nil(peers);
            header.version(&mut writer);
            writer.key("Term").uint(vote.term.0);
        }
        Response::RequestPreVote(vote) => {
            header.begin(2, &mut writer);
            writer.key("Granted").bool(vote.granted);
            header.id(&mut writer);
            header.version(&mut writer);
            writer.key("Term").uint(vote.term.0);
        }
        Response::InstallSnapshot(install) => {
            header.begin(2, &mut writer);
            header.id(&mut writer);
            header.version(&mut writer);
            writer.key("Success").bool(install.success);
            writer.key("Term").uint(install.term.0);
        }
        Response::TimeoutNow => {
            header.begin(0, &mut writer);
            header.id(&mut writer);
            header.version(&mut writer);
        }
    }
}

/// Appends the response to a request that could not be served.
pub fn encode_error(text: &str, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.str(text);
    writer.nil();
}

/// Decodes the response to a request of this kind at the front of a stream's buffer: with how many
/// bytes it takes, or none while it is not whole.
///
/// # Errors
/// Not a response: the connection is to be closed.
pub fn decode_response(rpc: Rpc, bytes: &[u8]) -> Result<Option<(Answered, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_answer(rpc, &mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

/// All fields that any response has.
#[derive(Default)]
struct Fields {
    header: Header,
    term: Term,
    last_log: LogIndex,
    success: bool,
    no_retry_backoff: bool,
    granted: bool,
    peers: Bytes,
}

fn read_answer(rpc: Rpc, reader: &mut Reader<'_>) -> Result<Answered, DecodeError> {
    let error = reader.bytes()?;
    if !error.is_empty() {
        reader.skip()?;
        let answer = Err(CallError::Remote(String::from_utf8_lossy(error).into_owned()));
        return Ok(Answered { header: Header::default(), answer, peers: Bytes::new() });
    }
    let fields = read_fields(reader)?;
    let Fields { term, last_log, success, no_retry_backoff, granted, .. } = fields;
    let response = match rpc {
        Rpc::AppendEntries => Response::AppendEntries(AppendEntriesResponse {
            term,
            last_log,
            success,
            no_retry_backoff,
        }),
        Rpc::RequestVote => Response::RequestVote(RequestVoteResponse { term, granted }),
        Rpc::RequestPreVote => Response::RequestPreVote(RequestPreVoteResponse { term, granted }),
        Rpc::InstallSnapshot => {
            Response::InstallSnapshot(InstallSnapshotResponse { term, success })
        }
        Rpc::TimeoutNow => Response::TimeoutNow,
    };
    let peers = if rpc == Rpc::RequestVote { fields.peers } else { Bytes::new() };
    Ok(Answered { header: fields.header, answer: Ok(response), peers })
}

fn read_fields(reader: &mut Reader<'_>) -> Result<Fields, DecodeError> {
    let mut fields = Fields::default();
    reader.map(|reader, key| {
        match key {
            b"Term" => fields.term = Term(reader.u64()?),
            b"LastLog" => fields.last_log = LogIndex(reader.u64()?),
            b"Success" => fields.success = reader.bool()?,
            b"NoRetryBackoff" => fields.no_retry_backoff = reader.bool()?,
            b"Granted" => fields.granted = reader.bool()?,
            b"Peers" => fields.peers = Bytes::copy_from_slice(reader.bytes()?),
            _ => fields.header.read(key, reader)?,
        }
        Ok(())
    })?;
    Ok(fields)
}
