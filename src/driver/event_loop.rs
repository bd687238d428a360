//! The loop: one message in, the core's outputs out. It decides nothing.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::agent::{Agent, Input, Output};
use crate::base::runtime::{Either, Runtime, Timer, first_of};
use crate::base::{ReplyToken, RequestId, ServerAddress};
use crate::raft::{Persist, Response};

use super::mailbox::{Asker, Message};
use super::observer::Observer;
use super::peers::Peers;

/// At most this many messages are taken before the outputs go out, so that one flood does not delay
/// the disk for ever.
const BATCH: usize = 256;

pub(super) struct EventLoop<R: Runtime> {
    pub runtime: R,
    pub agent: Agent,
    pub inbox: mpsc::UnboundedReceiver<Message>,
    pub disk: mpsc::UnboundedSender<Persist>,
    pub peers: Peers<R>,
    pub observer: Arc<dyn Observer>,
    pub me: ServerAddress,
    pub waiting: Waiting,
}

/// Who is owed an answer.
#[derive(Default)]
pub(super) struct Waiting {
    askers: BTreeMap<RequestId, Asker>,
    peers: BTreeMap<ReplyToken, (mpsc::UnboundedSender<(u64, Response)>, u64)>,
    next_request: u64,
    next_token: u64,
}

impl<R: Runtime> EventLoop<R> {
    /// Runs until it is told to stop.
    pub async fn run(mut self, mut out: Vec<Output>) {
        let mut timer = self.runtime.timer();
        self.execute(&mut out);
        loop {
            timer.set(self.agent.deadline());
            let late = poll_fn(|cx| timer.poll_fired(cx));
            let first = match first_of(self.inbox.recv(), late).await {
                Either::First(None) => return,
                Either::First(Some(message)) => Some(message),
                Either::Second(()) => None,
            };
            let now = self.runtime.now();
            let mut stop = false;
            match first {
                None => self.agent.step(now, Input::Wake, &mut out),
                Some(message) => stop |= self.take(message, &mut out),
            }
            for _ in 1..BATCH {
                let Ok(message) = self.inbox.try_recv() else { break };
                stop |= self.take(message, &mut out);
            }
            if self.agent.deadline().is_some_and(|at| at <= now) {
                self.agent.step(now, Input::Wake, &mut out);
            }
            self.execute(&mut out);
            if stop {
                return;
            }
        }
    }

    /// Whether to stop.
    fn take(&mut self, message: Message, out: &mut Vec<Output>) -> bool {
        let now = self.runtime.now();
        match message {
            Message::Input(input) => self.agent.step(now, input, out),
            Message::RaftRequest { from, number, request } => {
                let token = ReplyToken(self.waiting.next_token);
                self.waiting.next_token += 1;
                self.waiting.peers.insert(token, (from, number));
                self.agent.step(now, Input::RaftRequest(token, request), out);
            }
            Message::Ask { request, asker } => {
                let id = RequestId(self.waiting.next_request);
                self.waiting.next_request += 1;
                self.waiting.askers.insert(id, asker);
                self.forget_the_gone(id, out);
                self.agent.step(now, Input::Ask(id, request), out);
            }
            Message::Stop => {
                self.agent.step(now, Input::Stop, out);
                return true;
            }
        }
        false
    }

    /// Now and then lets go of requests whose askers have hung up: blocking queries would otherwise
    /// stay for their whole wait.
    fn forget_the_gone(&mut self, newest: RequestId, out: &mut Vec<Output>) {
        if newest.0 % 64 != 63 {
            return;
        }
        let now = self.runtime.now();
        let askers = self.waiting.askers.iter();
        let gone: Vec<RequestId> =
            askers.filter(|(_, asker)| asker.is_gone()).map(|(id, _)| *id).collect();
        for id in gone {
            self.waiting.askers.remove(&id);
            self.agent.step(now, Input::Forget(id), out);
        }
    }

    fn execute(&mut self, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            match output {
                // The disk task is gone only when the node is stopping.
                Output::Persist(persist) => drop(self.disk.send(persist)),
                Output::RaftCall { call, to, lane, request } => {
                    self.peers.call(call, &to, lane, request);
                }
                Output::RaftReply(token, response) => {
                    if let Some((to, number)) = self.waiting.peers.remove(&token) {
                        // A connection that broke has nobody to answer.
                        let _ = to.send((number, response));
                    }
                }
                Output::Forward { call, to, request } => self.peers.forward(call, &to, request),
                Output::Answer(id, result) => {
                    if let Some(asker) = self.waiting.askers.remove(&id) {
                        asker.answer(result);
                    }
                }
                Output::Event(event) => {
                    self.observer.event(&event);
                    if let Some((level, module, text)) = event.log_line(&self.me) {
                        self.runtime.log(level, module, format_args!("{text}"));
                    }
                }
            }
        }
    }
}
