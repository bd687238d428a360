//! Port 8300: the first byte of a connection says what it speaks (spec cluster 5.5).

use std::collections::BTreeMap;
use std::io;

use tokio::sync::mpsc;

use crate::agent::{Failure, Reply};
use crate::base::Duration;
use crate::base::runtime::{self, ByteReader, ByteStream, ByteWriter, Level, Listener, Runtime};
use crate::raft;
use crate::wire;
use crate::wire::multiplex::Purpose;

use super::link::read_message;
use super::mailbox::{Asker, Handle, Message, ReplyTo};
use super::peers::invalid;

/// How long a connection may take to say what it speaks (`rpc_handshake_timeout`).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Accepts for ever.
pub(super) async fn serve<R: Runtime>(runtime: R, mut listener: R::Listener, handle: Handle) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let connection = connection(runtime.clone(), stream, handle.clone());
                runtime.spawn("server connection", connection);
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

async fn connection<R: Runtime>(runtime: R, stream: R::Stream, handle: Handle) {
    let from = stream.peer_addr();
    let (mut reader, writer) = stream.split();
    let mut first = [0];
    let handshake = runtime::read_exact(&mut reader, &mut first);
    let result = match runtime.timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(())) => match Purpose::from_byte(first[0]) {
            Some(Purpose::Raft) => raft_connection(&runtime, reader, writer, handle).await,
            Some(Purpose::Rpc) => rpc_connection(&runtime, reader, writer, handle).await,
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

/// Raft's requests are pipelined and answered in their order, even where a later one (a refusal) is
/// ready before an earlier one (an append that waits for the disk).
async fn raft_connection<R: Runtime>(
    runtime: &R,
    mut reader: impl ByteReader,
    writer: impl ByteWriter,
    handle: Handle,
) -> io::Result<()> {
    let (answers, outbox) = mpsc::unbounded_channel();
    runtime.spawn("raft answers", write_in_order(writer, outbox));
    let mut buffer = Vec::new();
    let mut number = 0;
    let decode = |bytes: &[u8]| wire::raft::decode_request(bytes).map_err(invalid);
    while let Some(request) = read_message(&mut reader, &mut buffer, decode).await? {
        handle.post(Message::RaftRequest { from: answers.clone(), number, request });
        number += 1;
    }
    Ok(())
}

async fn write_in_order(
    mut writer: impl ByteWriter,
    mut outbox: mpsc::UnboundedReceiver<(u64, raft::Response)>,
) {
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut bytes = Vec::new();
    while let Some((number, response)) = outbox.recv().await {
        early.insert(number, response);
        while let Ok((number, response)) = outbox.try_recv() {
            early.insert(number, response);
        }
        while let Some(response) = early.remove(&next) {
            wire::raft::encode_response(&response, &mut bytes);
            next += 1;
        }
        if runtime::write_all(&mut writer, &bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

/// Forwarded requests carry a sequence number and are answered as they are done.
async fn rpc_connection<R: Runtime>(
    runtime: &R,
    mut reader: impl ByteReader,
    writer: impl ByteWriter,
    handle: Handle,
) -> io::Result<()> {
    let (answers, outbox) = mpsc::unbounded_channel();
    runtime.spawn("rpc answers", write_as_done(writer, outbox));
    let mut buffer = Vec::new();
    let decode = |bytes: &[u8]| wire::rpc::decode_request(bytes).map_err(invalid);
    while let Some(call) = read_message(&mut reader, &mut buffer, decode).await? {
        let reply = ReplyTo { number: call.seq, method: call.method };
        match call.request {
            Ok(request) => {
                let asker = Asker::Server { to: answers.clone(), reply };
                handle.post(Message::Ask { request, asker });
            }
            // The sender is told; a closed channel means that the connection is gone.
            Err(text) => drop(answers.send((reply, Err(Failure::Remote(text))))),
        }
    }
    Ok(())
}

async fn write_as_done(
    mut writer: impl ByteWriter,
    mut outbox: mpsc::UnboundedReceiver<(ReplyTo, Result<Reply, Failure>)>,
) {
    let mut bytes = Vec::new();
    while let Some((to, result)) = outbox.recv().await {
        wire::rpc::encode_response(to.number, &to.method, &result, &mut bytes);
        while let Ok((to, result)) = outbox.try_recv() {
            wire::rpc::encode_response(to.number, &to.method, &result, &mut bytes);
        }
        if runtime::write_all(&mut writer, &bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}
