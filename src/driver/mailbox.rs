//! What reaches the event loop, and the handle that front ends hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::agent::{self, Failure, PoolId, ProbeId, ProbeResult, Reply, Request, StateImage};
use crate::base::{PersistId, ReplyToken, RequestId};
use crate::gossip::ExchangeId;
use crate::raft;
use crate::wire::gossip::StreamMessage;

use super::gossip::StreamReply;

/// The way back of a connection's Raft answers, each with the number of its request: a response, or the
/// text of an error.
pub(super) type RaftAnswers = mpsc::UnboundedSender<(u64, Result<raft::Response, String>)>;

/// The way back of answers to other servers, each with what it is for.
pub(super) type Answers = mpsc::UnboundedSender<(ReplyTo, Result<Reply, Failure>)>;

/// One message to the event loop.
pub(super) enum Message {
    /// Straight to the core.
    Input(agent::Input),
    /// A peer's Raft request; the answer goes back to its connection under the same number.
    RaftRequest { token: ReplyToken, from: RaftAnswers, number: u64, request: raft::Request },
    /// A leader's snapshot: it was offered to the disk under this token, and is this state.
    InstallSnapshot {
        token: ReplyToken,
        from: RaftAnswers,
        number: u64,
        request: raft::InstallSnapshot,
        image: StateImage,
    },
    /// What somebody says over a stream to a gossip pool, and the way back.
    GossipStream {
        pool: PoolId,
        from: SocketAddr,
        exchange: ExchangeId,
        message: StreamMessage,
        reply: StreamReply,
    },
    /// A request, and who waits for the answer.
    Ask { id: RequestId, request: Request, asker: Asker },
    /// Nobody waits for this answer any more.
    Forget(RequestId),
    /// Another server's connection, or one stream of it, has ended: nobody waits for its answers any more.
    HungUp { connection: u64 },
    /// The disk refused a batch, with this text: the end of this process.
    DiskFailed { batch: PersistId, why: String },
    /// A probe of a check has ended.
    Probed(ProbeId, ProbeResult),
    /// Stop, and answer what waits.
    Stop,
}

/// Who waits for an answer.
pub(super) enum Asker {
    /// A front end.
    FrontEnd(oneshot::Sender<Result<Reply, Failure>>),
    /// Another server's connection.
    Server { to: Answers, reply: ReplyTo },
}

impl Asker {
    /// The connection that the answer is for; none for a front end.
    pub fn connection(&self) -> Option<u64> {
        match self {
            Asker::FrontEnd(_) => None,
            Asker::Server { reply, .. } => Some(reply.connection),
        }
    }

    /// Delivers; an asker that is gone needs nothing.
    pub fn answer(self, result: Result<Reply, Failure>) {
        match self {
            Asker::FrontEnd(sender) => drop(sender.send(result)),
            Asker::Server { to, reply } => drop(to.send((reply, result))),
        }
    }
}

/// Which of a connection's requests an answer is for; number and method are repeated in it.
pub(super) struct ReplyTo {
    /// A stream of a yamux session has a name of its own: its number may be used again.
    pub connection: u64,
    pub number: u64,
    pub method: String,
}

/// A front end's way to the agent.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::UnboundedSender<Message>,
    /// Names for requests and connections, each used once.
    next_name: Arc<AtomicU64>,
}

impl Handle {
    pub(super) fn new(inbox: mpsc::UnboundedSender<Message>) -> Self {
        Self { inbox, next_name: Arc::default() }
    }

    pub(super) fn post(&self, message: Message) {
        // The loop is gone only when the process is stopping: nothing is owed to anybody then.
        let _ = self.inbox.send(message);
    }

    /// A number that no request and no connection has had.
    pub(super) fn new_name(&self) -> u64 {
        self.next_name.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks, and waits for the answer. Dropping the future withdraws the question: a blocking query
    /// whose client has gone would else stay for its whole wait.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        let (sender, receiver) = oneshot::channel();
        let id = RequestId(self.new_name());
        self.post(Message::Ask { id, request, asker: Asker::FrontEnd(sender) });
        let mut question = Question { handle: self, id, open: true };
        let answer = receiver.await;
        question.open = false;
        answer.unwrap_or(Err(Failure::ShuttingDown))
    }
}

/// A question that is withdrawn when it is dropped open.
struct Question<'a> {
    handle: &'a Handle,
    id: RequestId,
    open: bool,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.open {
            self.handle.post(Message::Forget(self.id));
        }
    }
}
