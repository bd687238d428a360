//! Port 8300: the first byte of a connection says what it speaks (spec cluster 5.5).
//!
//! ```text
//!   accept ─► seat ─► first byte ─► reader ──(slots)──► mailbox ─► event loop
//!                                   writer ◄── answers ──────────────┘
//! ```
//!
//! A peer may be slow, silent, gone without a word, or hostile; what it costs is bounded:
//! * so many connections from one address;
//! * so many requests that are not answered, or whose answers are not written: then no more are read;
//! * a message must be whole, and a write must get on, within a time ([`Movement`]);
//! * a connection on which nothing happens for longer than a caller keeps an unused one is closed: its
//!   peer has lost its power or its network.
//!
//! One task per connection holds both directions, so the end of either is the end of both.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::agent::{Failure, Reply};
use crate::base::runtime::{
    self, ByteReader, ByteStream, ByteWriter, Either, Level, Listener, Runtime, first_of,
};
use crate::base::{Duration, ReplyToken, RequestId, Seats};
use crate::raft;
use crate::wire;
use crate::wire::multiplex::Purpose;

use super::frames::Frames;
use super::mailbox::{Asker, Handle, Message, ReplyTo};
use super::movement::Movement;
use super::peers::invalid;
use super::snapshot_stream;
use super::snapshots::Incoming;
use super::substreams;

/// How long a connection may take to say what it speaks (`rpc_handshake_timeout`).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// `rpc_max_conns_per_client`.
const MAX_CONNECTIONS_PER_CLIENT: usize = 100;
/// Raft requests of one connection that are not answered: more than any leader has under way.
const RAFT_SLOTS: usize = 256;
/// Forwarded requests of one connection that are not answered: each may be a blocking query of a
/// client of that server.
pub(super) const RPC_SLOTS: usize = 1 << 16;

/// Accepts for ever.
pub(super) async fn serve<R: Runtime>(
    runtime: R,
    mut listener: R::Listener,
    handle: Handle,
    datacenter: String,
    snapshots: Option<Incoming<R::Disk>>,
) {
    let seats = Seats::new(MAX_CONNECTIONS_PER_CLIENT);
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let Some(seat) = seats.take(stream.peer_addr().ip()) else { continue };
                let (handle, datacenter) = (handle.clone(), datacenter.clone());
                let snapshots = snapshots.clone();
                let connection = connection(runtime.clone(), stream, handle, datacenter, snapshots);
                runtime.spawn("server connection", async move {
                    connection.await;
                    drop(seat);
                });
            }
            Err(error) => {
                runtime.log(
                    Level::Error,
                    "agent.server.rpc",
                    format_args!("failed to accept RPC conn: error=\"{error}\""),
                );
                runtime.sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection<R: Runtime>(
    runtime: R,
    stream: R::Stream,
    handle: Handle,
    datacenter: String,
    snapshots: Option<Incoming<R::Disk>>,
) {
    let from = stream.peer_addr();
    let (mut reader, writer) = stream.split();
    let mut first = [0];
    let handshake = runtime::read_exact(&mut reader, &mut first);
    let result = match runtime.timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(())) => match Purpose::from_byte(first[0]) {
            Some(Purpose::Raft) => {
                raft_connection(&runtime, reader, writer, &handle, snapshots.as_ref()).await
            }
            Some(Purpose::Rpc) => {
                let connection = handle.new_name();
                let ended = rpc_connection(&runtime, connection, reader, writer, &handle).await;
                handle.post(Message::HungUp { connection });
                ended
            }
            Some(Purpose::Yamux) => {
                substreams::serve(&runtime, from, reader, writer, &handle).await
            }
            Some(Purpose::Snapshot) => {
                snapshot_stream::serve(&runtime, reader, writer, &handle, &datacenter).await
            }
            Some(other) => Err(invalid(format!("unsupported RPC connection: {other:?}"))),
            None => Err(invalid(format!("unrecognized RPC byte: byte={}", first[0]))),
        },
        // A connection that never says a word is a probe, not an error.
        Ok(Err(_)) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = result
        && error.kind() == io::ErrorKind::InvalidData
    {
        runtime.log(
            Level::Error,
            "agent.server.rpc",
            format_args!("bad RPC connection: from={from} error=\"{error}\""),
        );
    }
}

/// Serves both directions until one of them ends, or nothing moves any more.
async fn both<R: Runtime>(
    runtime: &R,
    movement: &Movement,
    reads: impl Future<Output = io::Result<()>>,
    writes: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    match first_of(first_of(reads, writes), movement.watch(runtime)).await {
        Either::First(Either::First(ended) | Either::Second(ended)) => ended,
        Either::Second(why) => Err(why),
    }
}

/// Takes the slot of one request; it is free again when its answer is written.
async fn take_slot(slots: &Semaphore) -> io::Result<()> {
    slots.acquire().await.map_err(io::Error::other)?.forget();
    Ok(())
}

/// Raft's requests are pipelined and answered in their order, even where a later one (a refusal) is
/// ready before an earlier one (an append that waits for the disk).
async fn raft_connection<R: Runtime>(
    runtime: &R,
    mut reader: impl ByteReader,
    writer: impl ByteWriter,
    handle: &Handle,
    snapshots: Option<&Incoming<R::Disk>>,
) -> io::Result<()> {
    let (answers, outbox) = mpsc::unbounded_channel();
    let slots = Arc::new(Semaphore::new(RAFT_SLOTS));
    let movement = Movement::new(runtime, RAFT_SLOTS, slots.clone());
    let decode = |bytes: &[u8]| wire::raft::decode_request(bytes).map_err(invalid);
    let heard = |whole: bool| movement.heard(runtime.now(), whole);
    let reads = async {
        let mut frames = Frames::default();
        let mut number = 0;
        while let Some(received) = frames.read(&mut reader, (1, 1), decode, heard).await? {
            take_slot(&slots).await?;
            let (token, from) = (ReplyToken(handle.new_name()), answers.clone());
            match received.request {
                Ok(raft::Request::InstallSnapshot(request)) => {
                    let Some(snapshots) = snapshots else {
                        return Err(invalid("this server has no disk to keep a snapshot on"));
                    };
                    let image =
                        snapshots
                            .receive(token, &request, &mut frames, &mut reader, || heard(true));
                    let image = image.await?;
                    handle.post(Message::InstallSnapshot { token, from, number, request, image });
                }
                Err(text) if received.following > 0 => return Err(invalid(text)),
                Ok(request) => {
                    handle.post(Message::RaftRequest { token, from, number, request });
                }
                // The sender is told; a closed channel means that the connection is gone.
                Err(text) => drop(answers.send((number, Err(text)))),
            }
            number += 1;
        }
        Ok(())
    };
    both(runtime, &movement, reads, write_in_order(runtime, writer, outbox, &movement)).await
}

async fn write_in_order<R: Runtime>(
    runtime: &R,
    mut writer: impl ByteWriter,
    mut outbox: mpsc::UnboundedReceiver<(u64, Result<raft::Response, String>)>,
    movement: &Movement,
) -> io::Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut bytes = Vec::new();
    while let Some((number, response)) = outbox.recv().await {
        early.insert(number, response);
        while let Ok((number, response)) = outbox.try_recv() {
            early.insert(number, response);
        }
        let before = next;
        while let Some(response) = early.remove(&next) {
            match response {
                Ok(response) => wire::raft::encode_response(&response, &mut bytes),
                Err(text) => wire::raft::encode_error(&text, &mut bytes),
            }
            next += 1;
        }
        movement.write(runtime, &mut writer, &mut bytes, (next - before) as usize).await?;
    }
    Ok(())
}

/// Forwarded requests carry a sequence number and are answered as they are done.
async fn rpc_connection<R: Runtime>(
    runtime: &R,
    connection: u64,
    mut reader: impl ByteReader,
    writer: impl ByteWriter,
    handle: &Handle,
) -> io::Result<()> {
    let (answers, outbox) = mpsc::unbounded_channel();
    let slots = Arc::new(Semaphore::new(RPC_SLOTS));
    let movement = Movement::new(runtime, RPC_SLOTS, slots.clone());
    let decode = |bytes: &[u8]| wire::rpc::decode_request(bytes).map_err(invalid);
    let heard = |whole: bool| movement.heard(runtime.now(), whole);
    let reads = async {
        let mut frames = Frames::default();
        while let Some(call) = frames.read(&mut reader, (0, 2), decode, heard).await? {
            take_slot(&slots).await?;
            let reply = ReplyTo { connection, number: call.seq, method: call.method };
            match call.request {
                Ok(request) => {
                    let id = RequestId(handle.new_name());
                    let asker = Asker::Server { to: answers.clone(), reply };
                    handle.post(Message::Ask { id, request, asker });
                }
                // The sender is told; a closed channel means that the connection is gone.
                Err(text) => drop(answers.send((reply, Err(Failure::Remote(text))))),
            }
        }
        Ok(())
    };
    both(runtime, &movement, reads, write_as_done(runtime, writer, outbox, &movement)).await
}

async fn write_as_done<R: Runtime>(
    runtime: &R,
    mut writer: impl ByteWriter,
    mut outbox: mpsc::UnboundedReceiver<(ReplyTo, Result<Reply, Failure>)>,
    movement: &Movement,
) -> io::Result<()> {
    /// Answers are encoded and written in portions of about this size.
    const PORTION_BYTES: usize = 1 << 20;
    let mut bytes = Vec::new();
    while let Some((to, result)) = outbox.recv().await {
        wire::rpc::encode_response(to.number, &to.method, &result, &mut bytes);
        let mut answered = 1;
        while bytes.len() < PORTION_BYTES
            && let Ok((to, result)) = outbox.try_recv()
        {
            wire::rpc::encode_response(to.number, &to.method, &result, &mut bytes);
            answered += 1;
        }
        movement.write(runtime, &mut writer, &mut bytes, answered).await?;
    }
    Ok(())
}
