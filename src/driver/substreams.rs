//! The called side of a yamux session: each stream is one msgpack-RPC connection (spec cluster 5.5).
//!
//! ```text
//!   bytes ─► [ yamux ] ─┬─ stream 1 ─► messages ─► mailbox ─► event loop
//!                       ├─ stream 3 …                             │
//!   bytes ◄─ [ yamux ] ◄┴─ answers, as they are done ◄────────────┘
//! ```
//!
//! One task serves the session. What a peer costs is bounded, as on any connection to this port:
//! * so many streams ([`MAX_SUBSTREAMS`]), and so many requests of all of them that are not answered;
//! * so many bytes of messages that have begun and are not whole;
//! * so many bytes of answers that are encoded and not taken: others wait as what they are, which is
//!   shared with the store;
//! * a message must be whole, and a stream on which an answer is ready must move, within a time.
//!
//! A stream that exceeds one of these, or carries no messagepack, is reset; the others do not notice.
//! A peer that breaks yamux's own rules, reads nothing at all or has long been silent loses the session.
//!
//! Each stream has a name of its own, so that an answer that comes late is never taken for one to a
//! later stream of the same number. A stream that ends takes its questions with it, as Consul's
//! clients mean it: they end a stream by which they no longer want to be answered.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::agent::{Failure, Reply};
use crate::base::runtime::{ByteReader, ByteWriter, Level, Runtime, Timer};
use crate::base::{Instant, RequestId};
use crate::wire;
use crate::wire::yamux::{Event, Session, StreamId};

use super::calls::MAX_SUBSTREAMS;
use super::frames::Frames;
use super::mailbox::{Answers, Asker, Handle, Message, ReplyTo};
use super::movement::{LOOK_EVERY, MESSAGE_TIMEOUT, SILENCE_TIMEOUT};
use super::mux::Mux;
use super::peers::invalid;
use super::server_port::RPC_SLOTS;

/// A request is a header and a body.
const REQUEST_SHAPE: (usize, usize) = (0, 2);
/// Bytes of messages of a session that are not whole.
const MAX_PARTIAL_BYTES: usize = 2 * wire::MAX_MESSAGE;
/// While this many bytes of answers are encoded and not taken, no more are encoded.
const MAX_ENCODED_BYTES: usize = 16 << 20;

type Answer = (ReplyTo, Result<Reply, Failure>);

/// One stream.
struct Substream {
    /// Its name.
    connection: u64,
    incoming: Frames,
    /// Since when there is a message that is not whole.
    began: Option<Instant>,
    /// Requests that are not answered.
    owed: usize,
    /// Answers that are not encoded.
    answers: VecDeque<Answer>,
    /// Where the peer's window kept it from sending more, when it was last looked at.
    stuck_at: Option<u64>,
}

/// What is open on one session.
struct Substreams<'a, R: Runtime> {
    runtime: &'a R,
    from: SocketAddr,
    handle: &'a Handle,
    to_here: Answers,
    streams: BTreeMap<StreamId, Substream>,
    named: BTreeMap<u64, StreamId>,
    /// Streams with answers that are not encoded, each once for every answer.
    ready: VecDeque<StreamId>,
    /// Requests of all streams that are not answered.
    owed: usize,
    /// Bytes of all messages that are not whole.
    partial: usize,
    heard: Instant,
    /// What had been written at the last look, if something was left then.
    stuck_at: Option<u64>,
    look: R::Timer,
}

/// Serves a session to its end.
pub(super) async fn serve<R: Runtime>(
    runtime: &R,
    from: SocketAddr,
    mut reader: impl ByteReader,
    mut writer: impl ByteWriter,
    handle: &Handle,
) -> io::Result<()> {
    let (to_here, mut outbox) = mpsc::unbounded_channel();
    let mut mux = Mux::new(Session::serving(MAX_SUBSTREAMS));
    let mut streams = Substreams::new(runtime, from, handle, to_here);
    let error = poll_fn(|cx| {
        let ended = streams.poll_end(cx, &mut mux, (&mut reader, &mut writer), &mut outbox);
        if ended.is_ready() {
            // What is left may say why; a peer that does not take it at once is not waited for.
            let _ = mux.poll_write(cx, &mut writer);
        }
        ended
    })
    .await;
    for stream in streams.streams.into_values().filter(|stream| stream.owed > 0) {
        handle.post(Message::HungUp { connection: stream.connection });
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(()),
        _ => Err(error),
    }
}

impl<'a, R: Runtime> Substreams<'a, R> {
    fn new(runtime: &'a R, from: SocketAddr, handle: &'a Handle, to_here: Answers) -> Self {
        let mut look = runtime.timer();
        look.set(Some(runtime.now() + LOOK_EVERY));
        Self {
            runtime,
            from,
            handle,
            to_here,
            streams: BTreeMap::new(),
            named: BTreeMap::new(),
            ready: VecDeque::new(),
            owed: 0,
            partial: 0,
            heard: runtime.now(),
            stuck_at: None,
            look,
        }
    }

    /// Moves what can be moved; ready with the reason when the session is over.
    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        mux: &mut Mux,
        (reader, writer): (&mut impl ByteReader, &mut impl ByteWriter),
        outbox: &mut mpsc::UnboundedReceiver<Answer>,
    ) -> Poll<io::Error> {
        let moved = self.poll_read(cx, mux, reader).and_then(|()| {
            while let Poll::Ready(Some(answer)) = outbox.poll_recv(cx) {
                self.queue(answer);
            }
            self.poll_look(cx, &mut mux.session)?;
            // Each answer that could be encoded lets the writer go on, and the other way round.
            loop {
                mux.poll_write(cx, writer)?;
                if !self.encode(&mut mux.session) {
                    return Ok(());
                }
            }
        });
        moved.map_or_else(Poll::Ready, |()| Poll::Pending)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mux: &mut Mux,
        reader: &mut impl ByteReader,
    ) -> io::Result<()> {
        if mux.poll_read(cx, reader, |session, event| self.take(session, event))? {
            self.heard = self.runtime.now();
        }
        Ok(())
    }

    fn take(&mut self, session: &mut Session, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Opened(id) => {
                let connection = self.handle.new_name();
                self.named.insert(connection, id);
                let stream = Substream {
                    connection,
                    incoming: Frames::default(),
                    began: None,
                    owed: 0,
                    answers: VecDeque::new(),
                    stuck_at: None,
                };
                self.streams.insert(id, stream);
            }
            Event::Data(id, bytes) => {
                if let Err(error) = self.take_data(id, bytes) {
                    self.refuse(session, id, &error);
                }
            }
            Event::Finished(id) => {
                self.close(id);
                session.finish(id);
            }
            Event::Reset(id) => self.close(id),
            Event::GoAway(0) => {}
            Event::GoAway(code) => {
                let text = format!("the peer ended the session: code {code}");
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
            }
        }
        Ok(())
    }

    fn take_data(&mut self, id: StreamId, bytes: &[u8]) -> io::Result<()> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        let goes_on = !stream.incoming.is_empty();
        stream.incoming.push(bytes);
        self.partial += bytes.len();
        let taken = self.take_requests(id)?;
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        if stream.incoming.is_empty() {
            stream.began = None;
        } else if taken > 0 || !goes_on {
            stream.began = Some(self.runtime.now());
        }
        if self.partial > MAX_PARTIAL_BYTES {
            return Err(invalid("too much of messages that are not whole"));
        }
        Ok(())
    }

    /// Takes the requests that are whole, and says how many.
    fn take_requests(&mut self, id: StreamId) -> io::Result<usize> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(0) };
        let decode = |bytes: &[u8]| wire::rpc::decode_request(bytes).map_err(invalid);
        let mut taken = 0;
        loop {
            let before = stream.incoming.len();
            let Some(call) = stream.incoming.take(REQUEST_SHAPE, decode)? else { return Ok(taken) };
            self.partial -= before - stream.incoming.len();
            if self.owed >= RPC_SLOTS {
                return Err(invalid("too many requests are not answered"));
            }
            taken += 1;
            self.owed += 1;
            stream.owed += 1;
            let connection = stream.connection;
            let reply = ReplyTo { connection, number: call.seq, method: call.method };
            let asker = Asker::Server { to: self.to_here.clone(), reply };
            match call.request {
                Ok(request) => {
                    let id = RequestId(self.handle.new_name());
                    self.handle.post(Message::Ask { id, request, asker });
                }
                Err(text) => asker.answer(Err(Failure::Remote(text))),
            }
        }
    }

    /// Puts an answer behind the others of its stream.
    fn queue(&mut self, (to, result): Answer) {
        // Of a stream that is gone, nobody waits for it.
        let Some(id) = self.named.get(&to.connection) else { return };
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.answers.push_back((to, result));
        self.ready.push_back(*id);
    }

    /// Encodes answers of streams that have sent what they had; whether there were any.
    fn encode(&mut self, session: &mut Session) -> bool {
        let mut encoded = false;
        for _ in 0..self.ready.len() {
            if session.waiting() >= MAX_ENCODED_BYTES {
                break;
            }
            let Some(id) = self.ready.pop_front() else { break };
            // Of one that is gone, its turns are left.
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if session.pending(id) > 0 {
                self.ready.push_back(id);
                continue;
            }
            let Some((to, result)) = stream.answers.pop_front() else { continue };
            let mut bytes = Vec::new();
            wire::rpc::encode_response(to.number, &to.method, &result, &mut bytes);
            session.send(id, &bytes);
            stream.owed -= 1;
            self.owed -= 1;
            encoded = true;
        }
        encoded
    }

    /// Ends a stream that asks for too much or for nonsense.
    fn refuse(&mut self, session: &mut Session, id: StreamId, why: &io::Error) {
        let from = self.from;
        self.runtime.log(
            Level::Error,
            "agent.server.rpc",
            format_args!("multiplex_v2 conn error: from={from} stream={id} error=\"{why}\""),
        );
        session.reset(id);
        self.close(id);
    }

    fn close(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else { return };
        self.named.remove(&stream.connection);
        self.partial -= stream.incoming.len();
        self.owed -= stream.owed;
        if stream.owed > 0 {
            self.handle.post(Message::HungUp { connection: stream.connection });
        }
    }

    /// Now and then, ends what does not move.
    fn poll_look(&mut self, cx: &mut Context<'_>, session: &mut Session) -> io::Result<()> {
        while self.look.poll_fired(cx).is_ready() {
            let now = self.runtime.now();
            self.look.set(Some(now + LOOK_EVERY));
            if self.owed == 0 && now.since(self.heard) > SILENCE_TIMEOUT {
                return Err(timed_out("nothing was heard for a long time"));
            }
            let (written, left) = (session.written(), !session.outgoing().is_empty());
            if left && self.stuck_at == Some(written) {
                return Err(timed_out("the peer does not read its answers"));
            }
            self.stuck_at = left.then_some(written);
            for (id, why) in self.stuck(now, session) {
                self.refuse(session, id, &timed_out(why));
            }
        }
        Ok(())
    }

    /// Streams that do not move: a message that is not finished, an answer that is not taken.
    fn stuck(&mut self, now: Instant, session: &Session) -> Vec<(StreamId, &'static str)> {
        let mut stuck = Vec::new();
        for (&id, stream) in &mut self.streams {
            let blocked_at = session.blocked_at(id);
            if blocked_at.is_some() && blocked_at == stream.stuck_at {
                stuck.push((id, "the peer does not read its answers"));
            } else if stream.began.is_some_and(|began| now.since(began) > MESSAGE_TIMEOUT) {
                stuck.push((id, "a message was begun and not finished"));
            }
            stream.stuck_at = blocked_at;
        }
        stuck
    }
}

fn timed_out(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
