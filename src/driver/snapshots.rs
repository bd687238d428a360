//! Snapshots on their way: from memory to the disk, from the disk to a follower, from a leader to the
//! disk, and at start from the disk to memory.
//!
//! ```text
//!   save      state ── encode ──► staged ──► disk task: Save           beside all other writing
//!   send      disk ── chunks ──► header + bytes on a connection of its own ──► answer
//!   receive   bytes ──┬─► staged ──► disk task: Offer
//!                     └─► decoded: the state, which goes to the core with the request
//!   load      newest snapshot ── chunks, decoded ──► the state to begin with
//! ```
//!
//! A received snapshot is staged, synced and decoded before the core hears of it: what the core
//! accepts can be installed. One that cannot be decoded ends the connection, and the log says why.

use std::io;

use tokio::sync::mpsc;

use crate::agent::{Input, StateImage};
use crate::base::runtime::{self, ByteReader, ByteStream, Disk, Level, Runtime};
use crate::base::{CallId, Duration, ReplyToken, ServerAddress};
use crate::raft::{self, CallError, SnapshotMeta, SnapshotSource};
use crate::state::StateStore;
use crate::wire;
use crate::wire::multiplex::Purpose;

use super::disk_task::Work;
use super::frames::{Frames, READ_CHUNK_BYTES};
use super::link;
use super::mailbox::{Handle, Message};
use super::peers::invalid;
use super::persist::{SnapshotStore, Staged, Staging, StorageError};

/// The transport's timeout, for each [`TIMEOUT_BYTES`] of a snapshot (spec cluster 5.2).
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_BYTES: u64 = 256 << 10;

/// Writes a state to a staged file, durably.
pub(super) async fn stage<D: Disk>(
    store: &SnapshotStore<D>,
    image: StateImage,
) -> Result<Staged<D>, StorageError> {
    let mut staging = store.stage().await?;
    for piece in wire::snapshot::encode(*image.0) {
        staging.write(&piece).await?;
    }
    staging.finish().await
}

/// Makes a snapshot of this state. Without a disk it is as durable as everything else there.
pub(super) async fn save<R: Runtime>(
    runtime: R,
    store: Option<SnapshotStore<R::Disk>>,
    (meta, image): (SnapshotMeta, StateImage),
    disk: mpsc::UnboundedSender<Work<R::Disk>>,
    handle: Handle,
) {
    let Some(store) = store else {
        handle.post(Message::Input(Input::SnapshotSaved(meta)));
        return;
    };
    match stage(&store, image).await {
        // The queue is closed when the node is stopping.
        Ok(staged) => drop(disk.send(Work::Save(meta, staged))),
        Err(error) => {
            let text = format_args!("failed to take snapshot: error=\"{error}\"");
            runtime.log(Level::Error, "agent.server.raft", text);
            handle.post(Message::Input(Input::SnapshotFailed(meta.index)));
        }
    }
}

/// The state of the newest snapshot.
///
/// # Errors
/// Why it cannot be read, with the file.
pub(super) async fn load<D: Disk>(
    store: &SnapshotStore<D>,
    meta: &SnapshotMeta,
) -> Result<StateStore, String> {
    let mut bytes = store.read(meta).await.map_err(|error| error.to_string())?;
    let mut reader = wire::snapshot::Reader::new();
    let refused =
        |error: wire::snapshot::SnapshotError| format!("{}: {error}", store.path_of(meta));
    while let Some(chunk) = bytes.next_chunk().await.map_err(|error| error.to_string())? {
        reader.push(&chunk).map_err(refused)?;
    }
    let mut state = reader.finish().map_err(refused)?;
    if state.applied() < meta.index {
        state.advance_to(meta.index);
    }
    Ok(state)
}

/// Sends the snapshot that the request names to a follower; ends in [`Input::RaftReply`].
pub(super) async fn send<R: Runtime>(
    runtime: R,
    store: Option<SnapshotStore<R::Disk>>,
    to: ServerAddress,
    call: CallId,
    request: raft::InstallSnapshot,
    handle: Handle,
) {
    let result = match &store {
        Some(store) => transfer(&runtime, store, &to, request).await,
        None => Err(io::Error::other("snapshots are kept in memory only")),
    };
    let result = result.unwrap_or_else(|error| {
        let text = format_args!("failed to send snapshot: peer={to} error=\"{error}\"");
        runtime.log(Level::Error, "agent.server.raft", text);
        Err(CallError::Unreachable)
    });
    handle.post(Message::Input(Input::RaftReply(call, result)));
}

async fn transfer<R: Runtime>(
    runtime: &R,
    store: &SnapshotStore<R::Disk>,
    to: &ServerAddress,
    mut request: raft::InstallSnapshot,
) -> io::Result<wire::raft::Answer> {
    let mut bytes = store.read(&request.snapshot).await.map_err(io::Error::other)?;
    request.snapshot.size = bytes.meta().size;
    let factor = u32::try_from(request.snapshot.size / TIMEOUT_BYTES).unwrap_or(u32::MAX).max(1);
    let stream = link::connect_in_time(runtime, to).await?;
    let exchange = async {
        let (mut reader, mut writer) = stream.split();
        let mut head = vec![Purpose::Raft.byte()];
        wire::raft::encode_request(&raft::Request::InstallSnapshot(request), &mut head);
        runtime::write_all(&mut writer, &head).await?;
        while let Some(chunk) = bytes.next_chunk().await.map_err(io::Error::other)? {
            runtime::write_all(&mut writer, &chunk).await?;
        }
        let decode = |bytes: &[u8]| {
            wire::raft::decode_response(wire::raft::Rpc::InstallSnapshot, bytes).map_err(invalid)
        };
        let answer = Frames::default().read(&mut reader, (0, 2), decode, |_| {}).await?;
        answer.map(|it| it.answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    };
    runtime.timeout(TIMEOUT.saturating_mul(factor), exchange).await?
}

/// Where a connection puts a leader's snapshot.
#[derive(Clone)]
pub(super) struct Incoming<D: Disk> {
    pub store: SnapshotStore<D>,
    pub disk: mpsc::UnboundedSender<Work<D>>,
}

impl<D: Disk> Incoming<D> {
    /// Takes the bytes that follow an InstallSnapshot request, offers them to the disk under this
    /// token, and says what they are. `heard` is called whenever some have come.
    ///
    /// # Errors
    /// The connection broke, the disk failed, or they are no snapshot: the connection is to be closed.
    pub async fn receive(
        &self,
        token: ReplyToken,
        request: &raft::InstallSnapshot,
        frames: &mut Frames,
        reader: &mut impl ByteReader,
        heard: impl Fn(),
    ) -> io::Result<StateImage> {
        let mut staging = self.store.stage().await.map_err(io::Error::other)?;
        match take(&mut staging, &request.snapshot, frames, reader, heard).await {
            Ok(image) => {
                let staged = staging.finish().await.map_err(io::Error::other)?;
                // The queue is closed when the node is stopping.
                let _ = self.disk.send(Work::Offer(SnapshotSource::Received(token), staged));
                Ok(image)
            }
            Err(error) => {
                // What is left of it goes at the next start, if it cannot go now.
                let _ = staging.discard(&self.store).await;
                Err(error)
            }
        }
    }
}

async fn take<D: Disk>(
    staging: &mut Staging<D>,
    meta: &SnapshotMeta,
    frames: &mut Frames,
    reader: &mut impl ByteReader,
    heard: impl Fn(),
) -> io::Result<StateImage> {
    let mut decoder = wire::snapshot::Reader::new();
    let mut missing = meta.size;
    let mut chunk = vec![0; READ_CHUNK_BYTES];
    while missing > 0 {
        let most = usize::try_from(missing).unwrap_or(usize::MAX);
        let buffered = frames.take_raw(most);
        let bytes = if buffered.is_empty() {
            let most = most.min(READ_CHUNK_BYTES);
            match runtime::read(reader, &mut chunk[..most]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => &chunk[..count],
            }
        } else {
            &buffered[..]
        };
        heard();
        missing -= bytes.len() as u64;
        staging.write(bytes).await.map_err(io::Error::other)?;
        decoder.push(bytes).map_err(invalid)?;
    }
    let mut state = decoder.finish().map_err(invalid)?;
    if state.applied() > meta.index {
        let text = format!("a snapshot of entry {} holds entry {}", meta.index, state.applied());
        return Err(invalid(text));
    }
    state.advance_to(meta.index);
    Ok(StateImage(Box::new(state)))
}
