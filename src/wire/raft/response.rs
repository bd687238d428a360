//! Responses.

use super::{PROTOCOL_VERSION, Rpc};
use crate::base::{LogIndex, Term};
use crate::raft::{
    AppendEntriesResponse, CallError, InstallSnapshotResponse, RequestPreVoteResponse,
    RequestVoteResponse, Response,
};
use crate::wire::msgpack::{DecodeError, Reader, Writer, streamed};

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
        Response::InstallSnapshot(_) | Response::TimeoutNow | Response::RequestPreVote(_) => {
            unreachable!("none of these is asked for yet")
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
        Rpc::RequestPreVote => {
            let RequestVoteResponse { term, granted } = read_request_vote_response(reader)?;
            Response::RequestPreVote(RequestPreVoteResponse { term, granted })
        }
        Rpc::InstallSnapshot => {
            let AppendEntriesResponse { term, success, .. } = read_append_entries_response(reader)?;
            Response::InstallSnapshot(InstallSnapshotResponse { term, success })
        }
        Rpc::TimeoutNow => {
            reader.skip()?;
            Response::TimeoutNow
        }
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
