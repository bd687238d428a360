//! The calling side of a connection to another server on which requests are answered in their order:
//! Raft's. Requests that wait for each other's answers no longer than they must are `calls`'.
//!
//! ```text
//!   event loop ──(key, request)──► inbox ─► [ connect ─ first byte ─ write … ] ─► peer
//!        ▲                                  [ read … ─ decode ]               ◄─
//!        └────────── done(key, result) ─────────┘
//! ```
//!
//! Contract: every request that goes in comes back exactly once, as a response or as a failure.
//! Requests are written without waiting for answers, and answers are read while requests are written:
//! a peer that will not read before it has been read from stops nothing. Any error, and a request
//! that stays unanswered past its deadline, breaks the connection; all that is outstanding then
//! fails, because nobody can know what the peer did with it. The next request connects anew.
//! Nothing is ever sent twice. A connection that nobody has used for a while is closed from this
//! side, the one that knows that no request is about to be on it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::base::runtime::{ByteReader, ByteStream, ByteWriter, Runtime, Timer};
use crate::base::{Duration, Instant, ServerAddress};
use crate::wire::multiplex::Purpose;

use super::frames::{Frames, READ_CHUNK_BYTES};

/// How long connecting may take (the transport's I/O timeout, spec cluster 4.2).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection is kept (spec cluster 5.5).
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Both protocols answer with two values: a header or an error, and a body.
pub(super) const RESPONSE_SHAPE: (usize, usize) = (0, 2);

/// A protocol of requests and responses on one connection.
pub(super) trait Protocol: Send + 'static {
    /// What is asked.
    type Request: Send + 'static;
    /// What is answered.
    type Response: Send + 'static;
    /// What the connection is announced as (spec cluster 5.5).
    const PURPOSE: Purpose;
    /// Encodes a request; `sequence` is 0, 1, 2 … on this connection.
    fn encode(&self, sequence: u64, request: &Self::Request, into: &mut Vec<u8>);
    /// Decodes one whole response off the front: bytes used, the sequence it answers (none: the
    /// oldest), and what it says. `None` when it is not all there yet.
    fn decode(
        &self,
        bytes: &[u8],
        oldest: Option<&Self::Request>,
    ) -> io::Result<Option<Decoded<Self::Response>>>;
    /// How long an answer may take.
    fn patience(&self, request: &Self::Request) -> Duration;
}

/// One response off the front of the buffer.
pub(super) struct Decoded<T> {
    pub used: usize,
    pub sequence: Option<u64>,
    pub response: T,
}

/// Why a request has no response.
pub(super) enum LinkError {
    /// Not a byte of it left this server: certainly without effect.
    NotSent(String),
    /// The connection broke, or the peer is silent: nobody knows what it did.
    Broken(String),
}

/// Takes the outcome of one request.
pub(super) trait Done<K, P: Protocol>:
    Fn(K, Result<P::Response, LinkError>) + Send + 'static
{
}
impl<K, P: Protocol, F: Fn(K, Result<P::Response, LinkError>) + Send + 'static> Done<K, P> for F {}

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
        let mut session = Session::new(&runtime, &protocol, &done);
        session.enqueue(key, request);
        let error = poll_fn(|cx| session.poll_end(cx, &mut reader, &mut writer, &mut inbox)).await;
        for (_, outstanding) in session.outstanding {
            done(outstanding.key, Err(LinkError::Broken(error.to_string())));
        }
    }
}

/// Waits for a request and connects for it; none when the inbox is closed. Requests for which there
/// is no connection are told so.
pub(super) async fn connected<R: Runtime, P: Protocol, K>(
    runtime: &R,
    to: &ServerAddress,
    inbox: &mut mpsc::UnboundedReceiver<(K, P::Request)>,
    done: &impl Done<K, P>,
) -> Option<(K, P::Request, R::Stream)> {
    loop {
        let (key, request) = inbox.recv().await?;
        match connect_in_time(runtime, to).await {
            Ok(stream) => return Some((key, request, stream)),
            Err(error) => {
                // What queued up meanwhile would only wait for the same failure again.
                done(key, Err(LinkError::NotSent(error.to_string())));
                while let Ok((key, _)) = inbox.try_recv() {
                    done(key, Err(LinkError::NotSent(error.to_string())));
                }
            }
        }
    }
}

/// Opens a connection to `host:port`, or gives up.
pub(super) async fn connect_in_time<R: Runtime>(
    runtime: &R,
    to: &ServerAddress,
) -> io::Result<R::Stream> {
    runtime.timeout(CONNECT_TIMEOUT, connect(runtime, to)).await?
}

async fn connect<R: Runtime>(runtime: &R, to: &ServerAddress) -> io::Result<R::Stream> {
    if let Ok(address) = to.as_str().parse::<SocketAddr>() {
        return runtime.connect(address).await;
    }
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("bad address {to}"));
    let (host, port) = to.as_str().rsplit_once(':').ok_or_else(invalid)?;
    let port = port.parse().map_err(|_| invalid())?;
    let ip = runtime.resolve(host).await?.into_iter().next().ok_or_else(invalid)?;
    runtime.connect(SocketAddr::new(ip, port)).await
}

struct Outstanding<K, Q> {
    key: K,
    request: Q,
    deadline: Instant,
}

/// One connection's life.
struct Session<'a, R: Runtime, P: Protocol, K, D> {
    runtime: &'a R,
    protocol: &'a P,
    done: &'a D,
    outstanding: BTreeMap<u64, Outstanding<K, P::Request>>,
    due: BTreeSet<(Instant, u64)>,
    next_sequence: u64,
    /// Encoded, of which so many bytes are written.
    outgoing: Vec<u8>,
    written: usize,
    incoming: Frames,
    chunk: Vec<u8>,
    last_used: Instant,
    timer: R::Timer,
    /// What the timer is set to. It is moved only forwards and only when it fires: to move it with
    /// every request would cost more than looking once too often.
    armed: Option<Instant>,
}

impl<'a, R: Runtime, P: Protocol, K: Send + 'static, D: Done<K, P>> Session<'a, R, P, K, D> {
    fn new(runtime: &'a R, protocol: &'a P, done: &'a D) -> Self {
        Self {
            runtime,
            protocol,
            done,
            outstanding: BTreeMap::new(),
            due: BTreeSet::new(),
            next_sequence: 0,
            outgoing: vec![P::PURPOSE.byte()],
            written: 0,
            incoming: Frames::default(),
            chunk: vec![0; READ_CHUNK_BYTES],
            last_used: runtime.now(),
            timer: runtime.timer(),
            armed: None,
        }
    }

    fn enqueue(&mut self, key: K, request: P::Request) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.protocol.encode(sequence, &request, &mut self.outgoing);
        self.last_used = self.runtime.now();
        let deadline = self.last_used + self.protocol.patience(&request);
        self.due.insert((deadline, sequence));
        self.outstanding.insert(sequence, Outstanding { key, request, deadline });
    }

    /// Moves what can be moved; ready with the reason when the connection is over.
    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut impl ByteReader,
        writer: &mut impl ByteWriter,
        inbox: &mut mpsc::UnboundedReceiver<(K, P::Request)>,
    ) -> Poll<io::Error> {
        while let Poll::Ready(next) = inbox.poll_recv(cx) {
            match next {
                Some((key, request)) => self.enqueue(key, request),
                None => return Poll::Ready(io::Error::other("the agent is shutting down")),
            }
        }
        let moved = self.poll_write(cx, writer).and_then(|()| self.poll_read(cx, reader));
        if let Err(error) = moved {
            return Poll::Ready(error);
        }
        self.poll_deadline(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, writer: &mut impl ByteWriter) -> io::Result<()> {
        while self.written < self.outgoing.len() {
            match writer.poll_write(cx, &self.outgoing[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.written += written?,
                Poll::Pending => return Ok(()),
            }
        }
        self.outgoing.clear();
        self.outgoing.shrink_to(READ_CHUNK_BYTES);
        self.written = 0;
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, reader: &mut impl ByteReader) -> io::Result<()> {
        while let Poll::Ready(count) = reader.poll_read(cx, &mut self.chunk) {
            match count? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.incoming.push(&self.chunk[..count]),
            }
            self.take_answers()?;
        }
        Ok(())
    }

    fn take_answers(&mut self) -> io::Result<()> {
        loop {
            let oldest = self.outstanding.values().next().map(|waiting| &waiting.request);
            let protocol = self.protocol;
            let decoded = self.incoming.take(RESPONSE_SHAPE, |bytes| {
                let decoded = protocol.decode(bytes, oldest)?;
                Ok(decoded.map(|decoded| {
                    let used = decoded.used;
                    (decoded, used)
                }))
            })?;
            let Some(Decoded { sequence, response, .. }) = decoded else { return Ok(()) };
            let sequence = sequence.or_else(|| self.outstanding.keys().next().copied());
            let answered =
                sequence.and_then(|sequence| Some((sequence, self.outstanding.remove(&sequence)?)));
            let Some((sequence, answered)) = answered else {
                let text = "an answer nobody asked for";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            };
            self.due.remove(&(answered.deadline, sequence));
            (self.done)(answered.key, Ok(response));
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let soonest = self.due.first().map(|(at, _)| *at);
            let deadline = soonest.unwrap_or(self.last_used + IDLE_TIMEOUT);
            if self.armed.is_none_or(|armed| deadline < armed) {
                self.timer.set(Some(deadline));
                self.armed = Some(deadline);
            }
            if self.timer.poll_fired(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = None;
            if deadline <= self.runtime.now() {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
        }
    }
}
