//! A gossip pool's sockets: one port, datagrams and streams (spec cluster 1.4 to 1.7).
//!
//! ```text
//!   datagrams ─► open, unpack ─► mailbox ─► event loop ─► outbox ─► pack, seal ─► datagrams
//!   streams in ─► whole message ─► mailbox ──────┘  └──► reply ─► the same stream
//!   streams out: a task for each exchange; its end goes into the mailbox
//! ```
//!
//! Whatever cannot be read is dropped and logged, once for each peer and cause, with the peer's address:
//! a hostile sender fills neither the log nor the memory. A stream has a time for each direction, and no
//! more than so many are read at once. Nothing here knows what a message means.

mod datagrams;
mod keys;
mod secrets;
mod snapshot_file;
mod streams;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::agent::{Input, PoolId};
use crate::base::Duration;
use crate::base::runtime::{Disk, Runtime};
use crate::gossip::{self, ExchangeId};
use crate::wire::gossip::{KeyAction, StreamMessage};

use super::mailbox::{Handle, Message};
use keys::{KeyQuery, answer_key_queries};
use streams::Broken;

pub(super) use keys::{KeyKeeper, read_keyring, write_keyring};
pub(super) use secrets::Secrets;
pub(super) use snapshot_file::{previous, write_snapshots};

/// What one side of a stream waits for the other, by pool (memberlist's `TCPTimeout`).
fn stream_timeout(pool: PoolId) -> Duration {
    match pool {
        PoolId::Lan => Duration::from_secs(10),
        PoolId::Wan => Duration::from_secs(30),
    }
}

/// The way back to a stream that somebody opened; none: it is closed without an answer.
pub(super) type StreamReply = oneshot::Sender<Option<StreamMessage>>;

/// One pool's way out.
pub(super) struct GossipPort<R: Runtime> {
    runtime: R,
    pool: PoolId,
    secrets: Arc<Secrets>,
    keeper: KeyKeeper<R::Disk>,
    /// The task that answers for the keys, once somebody has asked about them.
    key_queries: Option<mpsc::UnboundedSender<KeyQuery>>,
    handle: Handle,
    outbox: mpsc::UnboundedSender<(SocketAddr, Vec<u8>)>,
    snapshots: Option<mpsc::UnboundedSender<gossip::SnapshotWrite>>,
    replies: BTreeMap<ExchangeId, StreamReply>,
}

/// Both sockets of a pool, bound.
pub(super) struct Sockets<R: Runtime> {
    pub datagrams: R::Datagrams,
    pub listener: R::Listener,
}

impl<R: Runtime> GossipPort<R> {
    /// Begins to serve a pool's sockets. `snapshots`: where Serf's snapshot file is written; none
    /// without a disk.
    pub fn serve(
        runtime: R,
        keeper: KeyKeeper<R::Disk>,
        sockets: Sockets<R>,
        secrets: Arc<Secrets>,
        snapshots: Option<mpsc::UnboundedSender<gossip::SnapshotWrite>>,
        handle: Handle,
    ) -> Self {
        let pool = keeper.pool;
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let socket = Arc::new(sockets.datagrams);
        let receiving = datagrams::receive(
            runtime.clone(),
            socket.clone(),
            pool,
            secrets.clone(),
            handle.clone(),
        );
        runtime.spawn("gossip in", receiving);
        runtime.spawn("gossip out", datagrams::send(socket, outgoing));
        let accepting = streams::accept(
            runtime.clone(),
            sockets.listener,
            pool,
            secrets.clone(),
            handle.clone(),
        );
        runtime.spawn("gossip streams", accepting);
        let (key_queries, replies) = (None, BTreeMap::new());
        Self { runtime, pool, secrets, keeper, key_queries, handle, outbox, snapshots, replies }
    }

    /// Somebody's stream waits for what the core says under this name.
    pub fn owe(&mut self, exchange: ExchangeId, reply: StreamReply) {
        self.replies.insert(exchange, reply);
    }

    /// Does what the core of the pool asks for.
    pub fn execute(&mut self, output: gossip::Output) {
        match output {
            gossip::Output::Packet { to, messages, checksum } => {
                let bytes = self.secrets.pack(&self.runtime, &messages, checksum);
                // The task ends with the process.
                let _ = self.outbox.send((to, bytes));
            }
            gossip::Output::PushPull { exchange, to, state } => {
                let message = StreamMessage::PushPull(state);
                let (runtime, secrets) = (self.runtime.clone(), self.secrets.clone());
                let (pool, handle) = (self.pool, self.handle.clone());
                self.runtime.spawn("gossip exchange", async move {
                    let patience = stream_timeout(pool);
                    let asked = streams::exchange(&runtime, &secrets, to, &message, patience).await;
                    let result = asked.map_err(Broken::text).and_then(|answer| match answer {
                        StreamMessage::PushPull(state) => Ok(state),
                        StreamMessage::Error(text) => Err(format!("remote error: {text}")),
                        _ => Err("unexpected answer to a push/pull".to_owned()),
                    });
                    let input = gossip::Input::PushPulled { exchange, result };
                    handle.post(Message::Input(Input::Gossip(pool, input)));
                });
            }
            gossip::Output::StreamPing { exchange, to, ping, patience } => {
                let expected = ping.sequence;
                let message = StreamMessage::Ping(ping);
                let (runtime, secrets) = (self.runtime.clone(), self.secrets.clone());
                let (pool, handle) = (self.pool, self.handle.clone());
                self.runtime.spawn("gossip ping", async move {
                    let asked = streams::exchange(&runtime, &secrets, to, &message, patience).await;
                    let asked = asked.map_err(|broken| match broken {
                        // That a dead member cannot be reached is no news.
                        Broken::NotConnected(_) => String::new(),
                        Broken::Failed(why) => why,
                    });
                    let result = asked.and_then(|answer| match answer {
                        StreamMessage::Ack { sequence, .. } if sequence == expected => Ok(()),
                        StreamMessage::Ack { .. } => Err("sequence number from ack doesn't match \
                                                          ping"
                            .to_owned()),
                        _ => Err("unexpected answer to a ping".to_owned()),
                    });
                    let input = gossip::Input::StreamPinged { exchange, result };
                    handle.post(Message::Input(Input::Gossip(pool, input)));
                });
            }
            gossip::Output::PushPullReply { exchange, state } => {
                self.reply(exchange, Some(StreamMessage::PushPull(state)));
            }
            gossip::Output::StreamPong { exchange, ack } => {
                let answer = ack.map(|sequence| StreamMessage::Ack { sequence, payload: None });
                self.reply(exchange, answer);
            }
            gossip::Output::Snapshot(write) => {
                if let Some(snapshots) = &self.snapshots {
                    let _ = snapshots.send(write);
                }
            }
            gossip::Output::Query { query, name, payload, .. } => {
                if let Some(action) = KeyAction::of_query(&name) {
                    self.ask_about_keys(KeyQuery { query, action, payload });
                }
            }
            // Kept by the agent.
            gossip::Output::Joined { .. }
            | gossip::Output::Left
            | gossip::Output::Done { .. }
            | gossip::Output::Member(_)
            | gossip::Output::UserEvent(_)
            | gossip::Output::QueryAnswer { .. }
            | gossip::Output::Event(_) => {}
        }
    }

    fn ask_about_keys(&mut self, query: KeyQuery) {
        let queries = self.key_queries.get_or_insert_with(|| {
            let (sender, queries) = mpsc::unbounded_channel();
            let (runtime, keeper) = (self.runtime.clone(), self.keeper.clone());
            let (secrets, handle) = (self.secrets.clone(), self.handle.clone());
            let answering = answer_key_queries(runtime, keeper, secrets, queries, handle);
            self.runtime.spawn("gossip keys", answering);
            sender
        });
        // The task ends with the process.
        let _ = queries.send(query);
    }

    fn reply(&mut self, exchange: ExchangeId, answer: Option<StreamMessage>) {
        if let Some(reply) = self.replies.remove(&exchange) {
            // The other end may have hung up.
            let _ = reply.send(answer);
        }
    }
}

/// Where Serf keeps what it knows, in the data folder.
pub(super) fn snapshot_path(pool: PoolId) -> &'static str {
    match pool {
        PoolId::Lan => "serf/local.snapshot",
        PoolId::Wan => "serf/remote.snapshot",
    }
}

/// A disk to keep Serf's snapshots on, and the task that writes them.
pub(super) fn keep_snapshots<R: Runtime>(
    runtime: &R,
    disk: R::Disk,
    pool: PoolId,
) -> mpsc::UnboundedSender<gossip::SnapshotWrite>
where
    R::Disk: Disk,
{
    let (sender, writes) = mpsc::unbounded_channel();
    runtime.spawn(
        "serf snapshot",
        write_snapshots(runtime.clone(), disk, snapshot_path(pool), writes),
    );
    sender
}
