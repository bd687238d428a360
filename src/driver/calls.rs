//! The calling side of requests that do not wait for each other: each has a stream of its own on one
//! yamux connection to the other server (spec cluster 5.5).
//!
//! ```text
//!   event loop ──(key, request)──► inbox ─► unused stream, or a new one ─► [ yamux ] ─► peer
//!        ▲                                                                    │
//!        └────── done(key, result) ◄── answer on that stream ◄────────────────┘
//! ```
//!
//! Contract, as in [`link`](super::link): every request that goes in comes back exactly once, as a
//! response or as a failure, and nothing is ever sent twice.
//! * Consul answers the requests of one stream one after the other. With one at a time on each, a
//!   blocking query delays nobody.
//! * A request past its deadline, a stream that the peer ends, and an answer that is none end that
//!   request and its stream only. What may have been sent is [`LinkError::Broken`].
//! * While answers are owed and nothing comes, the peer is pinged, and the connection is broken when
//!   that brings nothing either: a peer without power would else be asked again and again. Nothing is
//!   owed, nothing is sent: an idle connection costs nothing until it is closed.
//! * When the connection breaks, a request of which not a byte was written is [`LinkError::NotSent`].
//!   A peer that takes no more streams (GoAway) is on its way out, and its connection is given up.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::base::runtime::{ByteReader, ByteStream, ByteWriter, Runtime, Timer};
use crate::base::{Duration, Instant, ServerAddress};
use crate::wire::yamux::{Event, Session, StreamId};

use super::frames::Frames;
use super::link::{Decoded, Done, IDLE_TIMEOUT, LinkError, Protocol, RESPONSE_SHAPE, connected};
use super::mux::Mux;
use super::peers::invalid;

/// Requests that may be under way to one server, each on its own stream. More are not sent.
pub(super) const MAX_SUBSTREAMS: usize = 1 << 14;
/// Unused streams that are kept for the next requests (servers; spec cluster 5.5).
const MAX_IDLE_STREAMS: usize = 64;
/// While answers are owed: so long without a byte, and the peer is pinged (yamux's keep-alive).
const QUIET_TIMEOUT: Duration = Duration::from_secs(30);
/// And so long without a byte after that, and it is given up (yamux's write timeout).
const PONG_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves the inbox until it is closed.
pub(super) async fn run<R: Runtime, P: Protocol, K: Send + Unpin + 'static>(
    runtime: R,
    to: ServerAddress,
    protocol: P,
    mut inbox: mpsc::UnboundedReceiver<(K, P::Request)>,
    done: impl Done<K, P>,
) {
    while let Some((key, request, stream)) = connected(&runtime, &to, &mut inbox, &done).await {
        let (mut reader, mut writer) = stream.split();
        let mut mux = Mux::new(Session::calling(&[P::PURPOSE.byte()]));
        let mut calls = Calls::new(&runtime, &protocol, &done);
        calls.enqueue(&mut mux.session, key, request);
        let error = poll_fn(|cx| {
            let io = (&mut reader, &mut writer);
            calls.poll_end(cx, &mut mux, io, &mut inbox)
        })
        .await;
        calls.end(&mux.session, &error);
    }
}

struct Call<K, Q> {
    key: K,
    request: Q,
    deadline: Instant,
}

/// One stream, with the request that is on it.
struct Substream<K, Q> {
    call: Option<Call<K, Q>>,
    /// Of the request that is on it, or else of the next.
    sequence: u64,
    incoming: Frames,
}

/// What is under way on one connection.
struct Calls<'a, R: Runtime, P: Protocol, K, D> {
    runtime: &'a R,
    protocol: &'a P,
    done: &'a D,
    streams: BTreeMap<StreamId, Substream<K, P::Request>>,
    /// Streams without a request; the last used is the first used again.
    idle: Vec<StreamId>,
    due: BTreeSet<(Instant, StreamId)>,
    last_used: Instant,
    /// Since when answers are owed and nothing was heard.
    quiet_since: Instant,
    pinged: Option<Instant>,
    pings: u32,
    timer: R::Timer,
    /// What the timer is set to. It is moved only forwards and only when it fires: to move it with
    /// every request would cost more than looking once too often.
    armed: Option<Instant>,
}

impl<'a, R: Runtime, P: Protocol, K: Send + 'static, D: Done<K, P>> Calls<'a, R, P, K, D> {
    fn new(runtime: &'a R, protocol: &'a P, done: &'a D) -> Self {
        let now = runtime.now();
        Self {
            runtime,
            protocol,
            done,
            streams: BTreeMap::new(),
            idle: Vec::new(),
            due: BTreeSet::new(),
            last_used: now,
            quiet_since: now,
            pinged: None,
            pings: 0,
            timer: runtime.timer(),
            armed: None,
        }
    }

    fn enqueue(&mut self, session: &mut Session, key: K, request: P::Request) {
        let Some(id) = self.stream_for_one(session) else {
            let text = "too many requests to this server are under way".to_owned();
            return (self.done)(key, Err(LinkError::NotSent(text)));
        };
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let mut bytes = Vec::new();
        self.protocol.encode(stream.sequence, &request, &mut bytes);
        session.send(id, &bytes);
        self.last_used = self.runtime.now();
        if self.due.is_empty() {
            self.quiet_since = self.last_used;
        }
        let deadline = self.last_used + self.protocol.patience(&request);
        self.due.insert((deadline, id));
        stream.call = Some(Call { key, request, deadline });
    }

    fn stream_for_one(&mut self, session: &mut Session) -> Option<StreamId> {
        if let Some(id) = self.idle.pop() {
            return Some(id);
        }
        // Streams that are closed here and not yet there count as well.
        if session.open_streams() >= MAX_SUBSTREAMS {
            return None;
        }
        let id = session.open()?;
        let stream = Substream { call: None, sequence: 0, incoming: Frames::default() };
        self.streams.insert(id, stream);
        Some(id)
    }

    /// Moves what can be moved; ready with the reason when the connection is over. What is read and
    /// what is due may add to what is to be written, so writing is last.
    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        mux: &mut Mux,
        (reader, writer): (&mut impl ByteReader, &mut impl ByteWriter),
        inbox: &mut mpsc::UnboundedReceiver<(K, P::Request)>,
    ) -> Poll<io::Error> {
        while let Poll::Ready(next) = inbox.poll_recv(cx) {
            match next {
                Some((key, request)) => self.enqueue(&mut mux.session, key, request),
                None => return Poll::Ready(io::Error::other("the agent is shutting down")),
            }
        }
        let moved = self
            .poll_read(cx, mux, reader)
            .and_then(|()| self.poll_deadline(cx, &mut mux.session))
            .and_then(|()| mux.poll_write(cx, writer));
        moved.map_or_else(Poll::Ready, |()| Poll::Pending)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mux: &mut Mux,
        reader: &mut impl ByteReader,
    ) -> io::Result<()> {
        if mux.poll_read(cx, reader, |session, event| self.take(session, event))? {
            self.quiet_since = self.runtime.now();
            self.pinged = None;
        }
        Ok(())
    }

    fn take(&mut self, session: &mut Session, event: Event<'_>) -> io::Result<()> {
        match event {
            // The session refuses those.
            Event::Opened(_) => {}
            Event::Data(id, bytes) => self.take_data(session, id, bytes),
            Event::Finished(id) | Event::Reset(id) => {
                self.close(id, "the peer ended the stream");
                session.finish(id);
            }
            Event::GoAway(code) => {
                let text = format!("the peer ended the session: code {code}");
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
            }
        }
        Ok(())
    }

    fn take_data(&mut self, session: &mut Session, id: StreamId, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.incoming.push(bytes);
        let request = stream.call.as_ref().map(|call| &call.request);
        let protocol = self.protocol;
        let decoded = stream.incoming.take(RESPONSE_SHAPE, |bytes| {
            let decoded = protocol.decode(bytes, request)?;
            Ok(decoded.map(|it| {
                let used = it.used;
                (it, used)
            }))
        });
        let answer = decoded.and_then(|decoded| {
            let Some(Decoded { sequence, response, .. }) = decoded else { return Ok(None) };
            let asked = sequence.is_none_or(|it| it == stream.sequence);
            let call = if asked { stream.call.take() } else { None };
            let call = call.ok_or_else(|| invalid("an answer nobody asked for"))?;
            Ok(Some((call, response)))
        });
        match answer {
            Ok(None) => {}
            Ok(Some((call, response))) => {
                stream.sequence += 1;
                self.last_used = self.runtime.now();
                self.due.remove(&(call.deadline, id));
                if self.idle.len() < MAX_IDLE_STREAMS {
                    self.idle.push(id);
                } else {
                    self.streams.remove(&id);
                    session.finish(id);
                }
                (self.done)(call.key, Ok(response));
            }
            Err(error) => {
                session.reset(id);
                self.close(id, &error.to_string());
            }
        }
    }

    /// Forgets a stream; a request on it may have been served or not.
    fn close(&mut self, id: StreamId, why: &str) {
        let Some(stream) = self.streams.remove(&id) else { return };
        self.idle.retain(|idle| *idle != id);
        if let Some(call) = stream.call {
            self.due.remove(&(call.deadline, id));
            (self.done)(call.key, Err(LinkError::Broken(why.to_owned())));
        }
    }

    /// The connection is over: so is all that is under way.
    fn end(self, session: &Session, error: &io::Error) {
        for (id, stream) in self.streams {
            if let Some(call) = stream.call {
                let why = error.to_string();
                let unsent = !session.has_left(id);
                let error = if unsent { LinkError::NotSent(why) } else { LinkError::Broken(why) };
                (self.done)(call.key, Err(error));
            }
        }
    }

    /// Does what is due, and sets the timer to what will be next.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, session: &mut Session) -> io::Result<()> {
        loop {
            let deadline = self.deadline();
            if self.armed.is_none_or(|armed| deadline < armed) {
                self.timer.set(Some(deadline));
                self.armed = Some(deadline);
            }
            if self.timer.poll_fired(cx).is_pending() {
                return Ok(());
            }
            self.armed = None;
            let now = self.runtime.now();
            if deadline <= now {
                self.pass(now, session)?;
            }
        }
    }

    fn deadline(&self) -> Instant {
        let Some((first, _)) = self.due.first() else { return self.last_used + IDLE_TIMEOUT };
        let sign_of_life = match self.pinged {
            None => self.quiet_since + QUIET_TIMEOUT,
            Some(at) => at + PONG_TIMEOUT,
        };
        sign_of_life.min(*first)
    }

    /// A deadline has passed: the connection's, or a request's.
    fn pass(&mut self, now: Instant, session: &mut Session) -> io::Result<()> {
        let over = || Err(io::ErrorKind::TimedOut.into());
        if self.due.is_empty() {
            return over();
        }
        while let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            session.reset(id);
            self.close(id, "i/o deadline reached");
        }
        match self.pinged {
            Some(at) if at + PONG_TIMEOUT <= now => return over(),
            None if !self.due.is_empty() && self.quiet_since + QUIET_TIMEOUT <= now => {
                self.pinged = Some(now);
                self.pings = self.pings.wrapping_add(1);
                session.ping(self.pings);
            }
            _ => {}
        }
        Ok(())
    }
}
