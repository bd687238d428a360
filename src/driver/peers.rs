//! Connections to the other servers: one per lane for Raft, one for forwarded requests, on which each
//! has a stream of its own. Opened when first needed.

use std::collections::BTreeMap;
use std::io;

use tokio::sync::mpsc;

use crate::agent::{self, Failure, Input, Reply};
use crate::base::runtime::Runtime;
use crate::base::{CallId, Duration, ServerAddress};
use crate::raft::{self, CallError, Lane};
use crate::wire;
use crate::wire::multiplex::Purpose;

use super::calls;
use super::link::{self, Decoded, LinkError, Protocol};
use super::mailbox::{Handle, Message};
use super::persist::SnapshotStore;
use super::snapshot_stream;
use super::snapshots;

/// How long a Raft call may stay unanswered (the transport's timeout, spec cluster 4.2).
const RAFT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a forwarded request may, beyond the time it blocks (`rpc_client_timeout`, spec 5.5).
const FORWARD_TIMEOUT: Duration = Duration::from_secs(60);

type Inbox<K, Q> = mpsc::UnboundedSender<(K, Q)>;

pub(super) struct Peers<R: Runtime> {
    runtime: R,
    handle: Handle,
    datacenter: String,
    snapshots: Option<SnapshotStore<R::Disk>>,
    raft: BTreeMap<(ServerAddress, Lane), Inbox<CallId, raft::Request>>,
    forwards: BTreeMap<ServerAddress, Inbox<CallId, agent::Request>>,
}

impl<R: Runtime> Peers<R> {
    /// `snapshots`: where those are that followers may need; none without a disk.
    pub fn new(
        runtime: R,
        handle: Handle,
        datacenter: String,
        snapshots: Option<SnapshotStore<R::Disk>>,
    ) -> Self {
        let (raft, forwards) = (BTreeMap::new(), BTreeMap::new());
        Self { runtime, handle, datacenter, snapshots, raft, forwards }
    }

    /// Sends a Raft request; ends in [`Input::RaftReply`].
    pub fn call(&mut self, call: CallId, to: &ServerAddress, lane: Lane, request: raft::Request) {
        if let raft::Request::InstallSnapshot(request) = request {
            let (runtime, handle) = (self.runtime.clone(), self.handle.clone());
            let (store, to) = (self.snapshots.clone(), to.clone());
            let sending = snapshots::send(runtime, store, to, call, request, handle);
            self.runtime.spawn("snapshot transfer", sending);
            return;
        }
        let key = (to.clone(), lane);
        if !self.raft.contains_key(&key) {
            let (sender, inbox) = mpsc::unbounded_channel();
            let handle = self.handle.clone();
            let done = move |call, result: Result<wire::raft::Answer, LinkError>| {
                let result = result.unwrap_or(Err(CallError::Unreachable));
                handle.post(Message::Input(Input::RaftReply(call, result)));
            };
            let link = link::run(self.runtime.clone(), to.clone(), RaftProtocol, inbox, done);
            self.runtime.spawn("raft link", link);
            self.raft.insert(key.clone(), sender);
        }
        // The link lives as long as this sender.
        if let Some(inbox) = self.raft.get(&key) {
            let _ = inbox.send((call, request));
        }
    }

    /// Asks another server; ends in [`Input::Forwarded`].
    pub fn forward(&mut self, call: CallId, to: &ServerAddress, request: agent::Request) {
        if wire::rpc::Method::of(&request).is_none() {
            self.forward_snapshot(call, to.clone(), request);
            return;
        }
        if !self.forwards.contains_key(to) {
            let (sender, inbox) = mpsc::unbounded_channel();
            let handle = self.handle.clone();
            let done = move |call, result: Result<Result<Reply, Failure>, LinkError>| {
                let result = result.unwrap_or_else(|error| match error {
                    LinkError::NotSent(text) => Err(Failure::NotSent(text)),
                    LinkError::Broken(text) => Err(Failure::Rpc(text)),
                });
                handle.post(Message::Input(Input::Forwarded(call, result)));
            };
            let protocol = RpcProtocol { datacenter: self.datacenter.clone() };
            let link = calls::run(self.runtime.clone(), to.clone(), protocol, inbox, done);
            self.runtime.spawn("rpc link", link);
            self.forwards.insert(to.clone(), sender);
        }
        if let Some(inbox) = self.forwards.get(to) {
            let _ = inbox.send((call, request));
        }
    }
}

impl<R: Runtime> Peers<R> {
    /// A snapshot has a connection of its own.
    fn forward_snapshot(&self, call: CallId, to: ServerAddress, request: agent::Request) {
        let (runtime, handle) = (self.runtime.clone(), self.handle.clone());
        let datacenter = self.datacenter.clone();
        self.runtime.spawn("snapshot call", async move {
            let result = snapshot_stream::call(&runtime, &to, &datacenter, request).await;
            handle.post(Message::Input(Input::Forwarded(call, result)));
        });
    }
}

struct RaftProtocol;

impl Protocol for RaftProtocol {
    type Request = raft::Request;
    type Response = wire::raft::Answer;
    const PURPOSE: Purpose = Purpose::Raft;

    fn encode(&self, _: u64, request: &raft::Request, into: &mut Vec<u8>) {
        wire::raft::encode_request(request, into);
    }

    fn decode(
        &self,
        bytes: &[u8],
        oldest: Option<&raft::Request>,
    ) -> io::Result<Option<Decoded<wire::raft::Answer>>> {
        let Some(request) = oldest else { return Err(invalid("an answer nobody asked for")) };
        let rpc = wire::raft::Rpc::of(request);
        let decoded = wire::raft::decode_response(rpc, bytes).map_err(invalid)?;
        Ok(decoded.map(|(response, used)| Decoded {
            used,
            sequence: None,
            response: response.answer,
        }))
    }

    fn patience(&self, _: &raft::Request) -> Duration {
        RAFT_TIMEOUT
    }
}

struct RpcProtocol {
    datacenter: String,
}

impl Protocol for RpcProtocol {
    type Request = agent::Request;
    type Response = Result<Reply, Failure>;
    const PURPOSE: Purpose = Purpose::Yamux;

    fn encode(&self, sequence: u64, request: &agent::Request, into: &mut Vec<u8>) {
        // Only what has a method comes here.
        let _ = wire::rpc::encode_request(sequence, request, &self.datacenter, into);
    }

    fn decode(
        &self,
        bytes: &[u8],
        _: Option<&agent::Request>,
    ) -> io::Result<Option<Decoded<Self::Response>>> {
        let decoded = wire::rpc::decode_response(bytes).map_err(invalid)?;
        Ok(decoded.map(|(answer, used)| Decoded {
            used,
            sequence: Some(answer.seq),
            response: answer.result,
        }))
    }

    fn patience(&self, request: &agent::Request) -> Duration {
        match request {
            agent::Request::Read { options, .. } if options.min_index > 0 => {
                FORWARD_TIMEOUT + options.max_wait
            }
            _ => FORWARD_TIMEOUT,
        }
    }
}

pub(super) fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
