//! Connections that carry one snapshot (first byte 5): asked for or given by another server, and asked
//! of or given to the leader. The messages are `wire::rpc::snapshot`'s.
//!
//! ```text
//!   called   head ─► (archive) ─► Handle::ask ─► head of the answer ─► (archive) ─► end
//!   calling  head ─► (archive) ─► end of ours ─► head of the answer ─► (archive) ─► Forwarded
//! ```
//!
//! An archive is verified by whoever receives it before anybody acts on it, so a stream that was cut
//! is an error and never half a state. The caller ends its direction right after the archive; the
//! called server needs that end to know that it has everything.
//!
//! The caller gives up after a minute without a byte; the called server when nothing was heard for as
//! long as on any other connection ([`Movement`]).

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::agent::{Failure, Reply, Request, StateImage};
use crate::base::runtime::{self, ByteReader, ByteStream, ByteWriter, Either, Runtime, first_of};
use crate::base::{Duration, ServerAddress};
use crate::raft::SnapshotMeta;
use crate::wire::archive;
use crate::wire::multiplex::Purpose;
use crate::wire::rpc;
use crate::wire::rpc::snapshot::{
    SnapshotOp, SnapshotRequest, SnapshotResponse, decode_snapshot_request,
    decode_snapshot_response, encode_snapshot_request, encode_snapshot_response,
};

use super::frames::{Frames, READ_CHUNK_BYTES};
use super::link;
use super::mailbox::Handle;
use super::movement::Movement;
use super::peers::invalid;

/// For how long the called server may say nothing and take nothing: longer than it holds a request.
const SILENCE: Duration = Duration::from_secs(60);
/// Head and answer are one messagepack value each.
const SHAPE: (usize, usize) = (0, 1);
/// One request; none is owed an answer when its slot is free.
const SLOTS: usize = 1;

/// Serves a connection of another server to its end.
pub(super) async fn serve<R: Runtime>(
    runtime: &R,
    reader: impl ByteReader,
    writer: impl ByteWriter,
    handle: &Handle,
    datacenter: &str,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(SLOTS));
    let movement = Movement::new(runtime, SLOTS, slots.clone());
    let served = serve_one(runtime, reader, writer, handle, datacenter, (&movement, &slots));
    match first_of(served, movement.watch(runtime)).await {
        Either::First(ended) => ended,
        Either::Second(why) => Err(why),
    }
}

async fn serve_one<R: Runtime>(
    runtime: &R,
    mut reader: impl ByteReader,
    mut writer: impl ByteWriter,
    handle: &Handle,
    datacenter: &str,
    (movement, slots): (&Movement, &Semaphore),
) -> io::Result<()> {
    let mut frames = Frames::default();
    let decode = |bytes: &[u8]| decode_snapshot_request(bytes).map_err(invalid);
    let heard = |_: bool| movement.heard(runtime.now(), true);
    let Some(head) = frames.read(&mut reader, SHAPE, decode, heard).await? else { return Ok(()) };
    let mut archive = frames.take_rest();
    if head.op == SnapshotOp::Restore {
        let mut chunk = vec![0; READ_CHUNK_BYTES];
        loop {
            let count = runtime::read(&mut reader, &mut chunk).await?;
            if count == 0 {
                break;
            }
            heard(true);
            archive.extend_from_slice(&chunk[..count]);
        }
    }
    slots.acquire().await.map_err(io::Error::other)?.forget();
    let done = match request_of(&head, &archive, datacenter) {
        Ok(request) => handle.ask(request).await.map_err(|failure| failure.to_string()),
        Err(text) => Err(text),
    };
    drop(archive);
    let mut bytes = Vec::new();
    let (response, body) = match done {
        Ok(Reply::Snapshot { snapshot, state, meta }) => {
            let response = SnapshotResponse { error: String::new(), meta };
            (response, Some((snapshot, state)))
        }
        Ok(Reply::Done) => (SnapshotResponse::bare(""), None),
        Ok(other) => (SnapshotResponse::bare(format!("unexpected reply {other:?}")), None),
        Err(text) => (SnapshotResponse::bare(text), None),
    };
    encode_snapshot_response(&response, &mut bytes);
    movement.write(runtime, &mut writer, &mut bytes, 0).await?;
    for mut piece in pieces(runtime, body) {
        movement.write(runtime, &mut writer, &mut piece, 0).await?;
    }
    runtime::shutdown(&mut writer).await
}

fn request_of(head: &SnapshotRequest, archive: &[u8], datacenter: &str) -> Result<Request, String> {
    if head.datacenter != datacenter {
        return Err("No path to datacenter".to_owned());
    }
    match (head.op, head.allow_stale) {
        (SnapshotOp::Save, stale) => Ok(Request::SnapshotSave { stale }),
        (SnapshotOp::Restore, true) => Err("stale not allowed for restore".to_owned()),
        (SnapshotOp::Restore, false) => {
            let (_, state) = archive::unpack(archive).map_err(|why| why.to_string())?;
            Ok(Request::SnapshotRestore(StateImage(Box::new(state))))
        }
    }
}

/// The archive of a snapshot, named by this node's clock.
fn pieces<R: Runtime>(
    runtime: &R,
    body: Option<(SnapshotMeta, StateImage)>,
) -> impl Iterator<Item = Vec<u8>> + Send + use<R> {
    let now = runtime.wall_clock();
    let archive = body.map(|(snapshot, state)| archive::pack(&snapshot, now, *state.0));
    archive.into_iter().flatten()
}

/// Asks another server for a snapshot, or gives it one.
pub(super) async fn call<R: Runtime>(
    runtime: &R,
    to: &ServerAddress,
    datacenter: &str,
    request: Request,
) -> Result<Reply, Failure> {
    let stream = link::connect_in_time(runtime, to)
        .await
        .map_err(|error| Failure::NotSent(error.to_string()))?;
    let (response, archive) =
        exchange(runtime, stream, datacenter, &request).await.map_err(|error| {
            // Something was sent: nobody knows what became of it.
            Failure::Rpc(error.to_string())
        })?;
    if !response.error.is_empty() {
        return Err(rpc::failure(response.error));
    }
    match request {
        Request::SnapshotSave { .. } => {
            let (archive, state) =
                archive::unpack(&archive).map_err(|why| Failure::Rpc(why.to_string()))?;
            let (snapshot, state) = (archive.meta, StateImage(Box::new(state)));
            Ok(Reply::Snapshot { snapshot, state, meta: response.meta })
        }
        _ => Ok(Reply::Done),
    }
}

async fn exchange<R: Runtime>(
    runtime: &R,
    stream: R::Stream,
    datacenter: &str,
    request: &Request,
) -> io::Result<(SnapshotResponse, Vec<u8>)> {
    let (mut reader, mut writer) = stream.split();
    let (op, allow_stale, image) = match request {
        Request::SnapshotRestore(image) => (SnapshotOp::Restore, false, Some(image)),
        Request::SnapshotSave { stale } => (SnapshotOp::Save, *stale, None),
        other => return Err(invalid(format!("{other:?} is not about snapshots"))),
    };
    let mut bytes = vec![Purpose::Snapshot.byte()];
    let head = SnapshotRequest { datacenter: datacenter.to_owned(), allow_stale, op };
    encode_snapshot_request(&head, &mut bytes);
    let given = image.map(|image| {
        let index = image.0.applied();
        (SnapshotMeta { index, ..SnapshotMeta::default() }, image.clone())
    });
    for piece in std::iter::once(bytes).chain(pieces(runtime, given)) {
        // In portions, so that the time is that of one portion.
        for portion in piece.chunks(READ_CHUNK_BYTES) {
            runtime.timeout(SILENCE, runtime::write_all(&mut writer, portion)).await??;
        }
    }
    runtime.timeout(SILENCE, runtime::shutdown(&mut writer)).await??;

    let mut frames = Frames::default();
    let decode = |bytes: &[u8]| decode_snapshot_response(bytes).map_err(invalid);
    let head = frames.read(&mut reader, SHAPE, decode, |_| {});
    let response = runtime.timeout(SILENCE, head).await??.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut archive = frames.take_rest();
    let mut chunk = vec![0; READ_CHUNK_BYTES];
    loop {
        let read = runtime::read(&mut reader, &mut chunk);
        match runtime.timeout(SILENCE, read).await?? {
            0 => return Ok((response, archive)),
            count => archive.extend_from_slice(&chunk[..count]),
        }
    }
}
