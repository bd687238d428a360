//! The loop: one message in, the core's outputs out. It decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::agent::{AnyAgent, Input, Output, PoolId, Speaker};
use crate::base::runtime::{Either, Runtime, Timer, first_of};
use crate::base::{ReplyToken, RequestId};
use crate::gossip;
use crate::raft::{Install, SnapshotSource};
use crate::wire::gossip::StreamMessage;

use super::definitions::Orders;
use super::disk_task::Work;
use super::figures::Figures;
use super::gossip::GossipPort;
use super::mailbox::{Asker, Handle, Message, RaftAnswers};
use super::observer::Observer;
use super::peers::Peers;
use super::persist::SnapshotStore;
use super::probes::Probes;
use super::snapshots;

/// At most this many messages are taken before the outputs go out, so that one flood does not delay
/// the disk for ever.
const BATCH: usize = 256;

pub(super) struct EventLoop<R: Runtime> {
    pub runtime: R,
    pub agent: AnyAgent,
    pub inbox: mpsc::UnboundedReceiver<Message>,
    pub disk: mpsc::UnboundedSender<Work<R::Disk>>,
    /// None without a disk.
    pub snapshots: Option<SnapshotStore<R::Disk>>,
    pub handle: Handle,
    pub peers: Peers<R>,
    pub lan: GossipPort<R>,
    /// None on clients.
    pub wan: Option<GossipPort<R>>,
    pub probes: Probes<R>,
    pub keeper: Orders,
    pub observer: Arc<dyn Observer>,
    pub speaker: Speaker,
    pub waiting: Waiting,
    pub figures: Figures,
}

/// Who is owed an answer.
#[derive(Default)]
pub(super) struct Waiting {
    askers: BTreeMap<RequestId, Asker>,
    /// Those of them that came over a connection. A session that dies takes thousands with it, one
    /// stream after the other.
    by_connection: BTreeSet<(u64, RequestId)>,
    peers: BTreeMap<ReplyToken, (RaftAnswers, u64)>,
    /// Of these, requests whose snapshot the disk holds ready.
    offered: BTreeSet<ReplyToken>,
}

impl Waiting {
    fn ask(&mut self, id: RequestId, asker: Asker) {
        self.by_connection.extend(asker.connection().map(|connection| (connection, id)));
        self.askers.insert(id, asker);
    }

    fn answered(&mut self, id: RequestId) -> Option<Asker> {
        let asker = self.askers.remove(&id)?;
        if let Some(connection) = asker.connection() {
            self.by_connection.remove(&(connection, id));
        }
        Some(asker)
    }

    fn of_connection(&self, connection: u64) -> Vec<RequestId> {
        let (first, last) = (RequestId(0), RequestId(u64::MAX));
        let ids = self.by_connection.range((connection, first)..=(connection, last));
        ids.map(|(_, id)| *id).collect()
    }
}

/// Why the loop ends.
enum End {
    Told,
    /// The agent has left the cluster.
    Left,
    DiskFailed(String),
}

impl<R: Runtime> EventLoop<R> {
    /// Runs until it is told to stop. Everything that waits has been answered by then.
    ///
    /// Whether it ends because it has left the cluster.
    ///
    /// # Errors
    /// The disk failed: why.
    pub async fn run(mut self, mut out: Vec<Output>) -> Result<bool, String> {
        let mut timer = self.runtime.timer();
        let mut end = self.execute(&mut out);
        let mut deadline = self.agent.deadline();
        while end.is_none() {
            timer.set(deadline);
            let late = poll_fn(|cx| timer.poll_fired(cx));
            match first_of(self.inbox.recv(), late).await {
                Either::First(None) => end = Some(End::Told),
                Either::First(Some(message)) => end = self.take(message, &mut out),
                Either::Second(()) => self.agent.step(self.runtime.now(), Input::Wake, &mut out),
            }
            for _ in 1..BATCH {
                if end.is_some() {
                    break;
                }
                let Ok(message) = self.inbox.try_recv() else { break };
                end = self.take(message, &mut out);
            }
            let now = self.runtime.now();
            deadline = self.agent.deadline();
            if deadline.is_some_and(|at| at <= now) {
                self.agent.step(now, Input::Wake, &mut out);
                deadline = self.agent.deadline();
            }
            // What is executed is no input: it moves no deadline.
            end = self.execute(&mut out).or(end);
            self.figures.look(now, || self.runtime.wall_clock(), &self.agent);
        }
        self.agent.step(self.runtime.now(), Input::Stop, &mut out);
        self.execute(&mut out);
        match end {
            Some(End::DiskFailed(why)) => Err(why),
            Some(End::Left) => Ok(true),
            Some(End::Told) | None => Ok(false),
        }
    }

    /// Hands one message to the core.
    fn take(&mut self, message: Message, out: &mut Vec<Output>) -> Option<End> {
        let now = self.runtime.now();
        match message {
            Message::Input(input) => self.agent.step(now, input, out),
            Message::InstallSnapshot { token, from, number, request, image } => {
                self.waiting.peers.insert(token, (from, number));
                self.waiting.offered.insert(token);
                self.agent.step(now, Input::InstallSnapshot(token, request, image), out);
            }
            Message::RaftRequest { token, from, number, request } => {
                self.waiting.peers.insert(token, (from, number));
                self.agent.step(now, Input::RaftRequest(token, request), out);
            }
            Message::Ask { id, request, asker } => {
                let from_agent = asker.connection().is_some();
                let clocks = || (now, self.runtime.wall_clock());
                self.figures.asked(clocks, id, &request, from_agent);
                self.waiting.ask(id, asker);
                self.agent.step(now, Input::Ask(id, request), out);
            }
            Message::GossipStream { pool, from, exchange, message, reply } => {
                let input = match message {
                    StreamMessage::PushPull(state) => {
                        gossip::Input::PushPull { exchange, from, state }
                    }
                    StreamMessage::Ping(ping) => gossip::Input::StreamPing { exchange, ping },
                    StreamMessage::User(message) => {
                        let messages = vec![gossip::Message::User(message)];
                        gossip::Input::Packet { from, messages }
                    }
                    // Answers to nothing: dropping the way back closes the stream.
                    StreamMessage::Ack { .. } | StreamMessage::Error(_) => return None,
                };
                if let Some(port) = self.port(pool) {
                    port.owe(exchange, reply);
                    self.agent.step(now, Input::Gossip(pool, input), out);
                }
            }
            Message::Forget(id) => self.forget(id, out),
            Message::HungUp { connection } => {
                for id in self.waiting.of_connection(connection) {
                    self.forget(id, out);
                }
            }
            Message::DiskFailed { batch, why } => {
                self.agent.step(now, Input::PersistFailed(batch), out);
                return Some(End::DiskFailed(why));
            }
            Message::Probed(id, result) => {
                if let Some(input) = self.probes.ended(id, result) {
                    self.agent.step(now, input, out);
                }
            }
            Message::Stop => return Some(End::Told),
        }
        None
    }

    fn port(&mut self, pool: PoolId) -> Option<&mut GossipPort<R>> {
        match pool {
            PoolId::Lan => Some(&mut self.lan),
            PoolId::Wan => self.wan.as_mut(),
        }
    }

    fn forget(&mut self, id: RequestId, out: &mut Vec<Output>) {
        if self.waiting.answered(id).is_some() {
            let clocks = || (self.runtime.now(), self.runtime.wall_clock());
            self.figures.answered(clocks, id);
            self.agent.step(self.runtime.now(), Input::Forget(id), out);
        }
    }

    fn execute(&mut self, out: &mut Vec<Output>) -> Option<End> {
        let mut end = None;
        for output in out.drain(..) {
            match output {
                Output::SaveSnapshot(meta, image) => {
                    let (store, disk) = (self.snapshots.clone(), self.disk.clone());
                    let (runtime, handle) = (self.runtime.clone(), self.handle.clone());
                    let saving = snapshots::save(runtime, store, (meta, image), disk, handle);
                    self.runtime.spawn("snapshot", saving);
                }
                Output::Persist(persist, image) => {
                    if let (Some(Install { source, .. }), Some(image)) =
                        (persist.install.as_deref(), image)
                    {
                        let _ = self.disk.send(Work::Restore(*source, image));
                    }
                    if self.disk.send(Work::Persist(persist)).is_err() {
                        // It ends early only by a panic, or after it has said why.
                        let why = "the task that writes the Raft log is gone".to_owned();
                        end = Some(End::DiskFailed(why));
                    }
                }
                Output::RaftCall { call, to, lane, request } => {
                    self.peers.call(call, &to, lane, request);
                }
                Output::RaftReply(token, response) => {
                    if let Some((to, number)) = self.waiting.peers.remove(&token) {
                        // A connection that broke has nobody to answer.
                        let _ = to.send((number, Ok(response)));
                    }
                    if self.waiting.offered.remove(&token) {
                        let source = SnapshotSource::Received(token);
                        let _ = self.disk.send(Work::Withdraw(source));
                    }
                }
                Output::Gossip(pool, output) => {
                    if let Some(port) = self.port(pool) {
                        port.execute(output);
                    }
                }
                Output::Exit => end = Some(End::Left),
                Output::Probe(id, probe) => self.probes.begin(id, probe),
                Output::CancelProbe(id) => self.probes.cancel(id),
                Output::Keep(id, keep) => self.keeper.order(id, keep),
                Output::Forward { call, to, request } => {
                    self.figures.forwarded(self.runtime.wall_clock());
                    self.peers.forward(call, &to, request);
                }
                Output::Answer(id, result) => {
                    let clocks = || (self.runtime.now(), self.runtime.wall_clock());
                    self.figures.answered(clocks, id);
                    if let Some(asker) = self.waiting.answered(id) {
                        asker.answer(result);
                    }
                }
                Output::Event(event) => {
                    self.observer.event(&event);
                    let clocks = || (self.runtime.now(), self.runtime.wall_clock());
                    self.figures.note(clocks, &event);
                    if let Some((level, module, text)) = event.log_line(&self.speaker) {
                        self.runtime.log(level, module, format_args!("{text}"));
                    }
                }
            }
        }
        end
    }
}
