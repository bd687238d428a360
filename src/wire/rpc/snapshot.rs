//! The stream on which one server takes a snapshot from another, or gives it one: connections that
//! begin with byte 5 (spec cluster 5.5).
//!
//! ```text
//!   caller ──► 5 │ SnapshotRequest │ the archive, of a restore │ end of this direction
//!          ◄── SnapshotResponse │ the archive, of a save │ end
//! ```
//!
//! One request on each connection. The archive's length is not announced: the end of the direction is
//! its end, and the checksums inside tell a whole archive from one that was cut. An error stands in
//! the response, and nothing follows it; its text reaches the user as it is.

use crate::agent::ReadMeta;
use crate::base::Duration;
use crate::wire::catalog::nanos;
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer, streamed};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotOp {
    /// The asked server sends the archive of its state.
    Save,
    /// The archive that follows takes the place of the cluster's state.
    Restore,
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// The datacenter that it is for.
    pub datacenter: String,
    /// Any server may answer. Not with a restore.
    pub allow_stale: bool,
    /// What to do.
    pub op: SnapshotOp,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotResponse {
    /// Empty: no error.
    pub error: String,
    /// About the snapshot, when one follows.
    pub meta: ReadMeta,
}

impl SnapshotResponse {
    /// With this text, and nothing after it; an empty text for a restore that is done.
    #[must_use]
    pub fn bare(error: impl Into<String>) -> Self {
        let meta = ReadMeta { index: 0, known_leader: false, last_contact: Duration::ZERO };
        Self { error: error.into(), meta }
    }
}

/// Appends the head of a request.
pub fn encode_snapshot_request(request: &SnapshotRequest, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.map(4);
    writer.key("AllowStale").bool(request.allow_stale);
    writer.key("Datacenter").str(&request.datacenter);
    writer.key("Op").uint(match request.op {
        SnapshotOp::Save => 0,
        SnapshotOp::Restore => 1,
    });
    writer.key("Token").str("");
}

/// Decodes the head of a request at the front of a stream's buffer: with how many bytes it takes, or
/// none while it is not whole.
///
/// # Errors
/// Not a request, or for something that this server does not do.
pub fn decode_snapshot_request(
    bytes: &[u8],
) -> Result<Option<(SnapshotRequest, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_request(&mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

fn read_request(reader: &mut Reader<'_>) -> Result<SnapshotRequest, DecodeError> {
    let mut request =
        SnapshotRequest { datacenter: String::new(), allow_stale: false, op: SnapshotOp::Save };
    reader.map(|reader, key| {
        match key {
            b"AllowStale" => request.allow_stale = reader.bool()?,
            b"Datacenter" => request.datacenter = reader.str()?.to_owned(),
            b"Op" => {
                let offset = reader.position();
                request.op = match reader.u64()? {
                    0 => SnapshotOp::Save,
                    1 => SnapshotOp::Restore,
                    other => {
                        let value = i128::from(other);
                        let fault = Fault::Value { what: "a snapshot operation", value };
                        return Err(DecodeError { offset, fault });
                    }
                };
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(request)
}

/// Appends the head of an answer.
pub fn encode_snapshot_response(response: &SnapshotResponse, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.map(5);
    writer.key("ConsistencyLevel").str("");
    writer.key("Error").str(&response.error);
    writer.key("Index").uint(response.meta.index);
    writer.key("KnownLeader").bool(response.meta.known_leader);
    writer.key("LastContact").uint(nanos(response.meta.last_contact));
}

/// Decodes the head of an answer, as [`decode_snapshot_request`] does a request's.
///
/// # Errors
/// Not an answer.
pub fn decode_snapshot_response(
    bytes: &[u8],
) -> Result<Option<(SnapshotResponse, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_response(&mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

fn read_response(reader: &mut Reader<'_>) -> Result<SnapshotResponse, DecodeError> {
    let mut response = SnapshotResponse::bare("");
    let SnapshotResponse { error, meta } = &mut response;
    reader.map(|reader, key| match key {
        b"Error" => reader.bytes().map(|text| *error = String::from_utf8_lossy(text).into_owned()),
        b"Index" => reader.u64().map(|index| meta.index = index),
        b"KnownLeader" => reader.bool().map(|known| meta.known_leader = known),
        b"LastContact" => {
            reader.i64_not_negative().map(|nanos| meta.last_contact = Duration::from_nanos(nanos))
        }
        _ => reader.skip(),
    })?;
    Ok(response)
}
