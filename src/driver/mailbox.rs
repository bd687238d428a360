//! What reaches the event loop, and the handle that front ends hold.

use tokio::sync::{mpsc, oneshot};

use crate::agent::{self, Failure, Reply, Request};
use crate::raft;

/// One message to the event loop.
pub(super) enum Message {
    /// Straight to the core.
    Input(agent::Input),
    /// A peer's Raft request; the answer goes back to its connection under the same number.
    RaftRequest {
        from: mpsc::UnboundedSender<(u64, raft::Response)>,
        number: u64,
        request: raft::Request,
    },
    /// A request, and who waits for the answer.
    Ask { request: Request, asker: Asker },
    /// Stop, and answer what waits.
    Stop,
}

/// Who waits for an answer.
pub(super) enum Asker {
    /// A front end.
    FrontEnd(oneshot::Sender<Result<Reply, Failure>>),
    /// Another server's connection.
    Server { to: mpsc::UnboundedSender<(ReplyTo, Result<Reply, Failure>)>, reply: ReplyTo },
}

impl Asker {
    /// Whether nobody waits any more.
    pub fn is_gone(&self) -> bool {
        match self {
            Asker::FrontEnd(sender) => sender.is_closed(),
            Asker::Server { to, .. } => to.is_closed(),
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

/// Which of a connection's requests an answer is for; both are repeated in it.
pub(super) struct ReplyTo {
    pub number: u64,
    pub method: String,
}

/// A front end's way to the agent.
#[derive(Clone)]
pub struct Handle {
    inbox: mpsc::UnboundedSender<Message>,
}

impl Handle {
    pub(super) fn new(inbox: mpsc::UnboundedSender<Message>) -> Self {
        Self { inbox }
    }

    pub(super) fn post(&self, message: Message) {
        // The loop is gone only when the process is stopping: nothing is owed to anybody then.
        let _ = self.inbox.send(message);
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        let (sender, receiver) = oneshot::channel();
        self.post(Message::Ask { request, asker: Asker::FrontEnd(sender) });
        receiver.await.unwrap_or(Err(Failure::ShuttingDown))
    }
}
