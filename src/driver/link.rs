//! The calling side of a connection to another server, for any protocol on port 8300.
//!
//! ```text
//!   event loop ──(key, request)──► inbox ─► [ connect ─ first byte ─ write … ] ─► peer
//!        ▲                                  [ read … ─ decode ]               ◄─
//!        └────────── done(key, result) ─────────┘
//! ```
//!
//! Contract: every request that goes in comes back exactly once, as a response or as a failure.
//! Requests are written without waiting for answers. Any error, and a request that stays unanswered
//! past its deadline, breaks the connection; all that is outstanding then fails, because nobody can
//! know what the peer did with it. The next request connects anew. Nothing is ever sent twice.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use tokio::sync::mpsc;

use crate::base::runtime::{
    self, ByteReader, ByteStream, ByteWriter, Either, Runtime, Timer, first_of,
};
use crate::base::{Duration, Instant, ServerAddress};
use crate::wire::multiplex::Purpose;

/// How long connecting may take (the transport's I/O timeout, spec cluster 4.2).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_CHUNK_BYTES: usize = 16 * 1024;

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
        context: Option<&Self::Request>,
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

/// Takes the outcome of one request.
pub(super) trait Done<K, P: Protocol>:
    Fn(K, Result<P::Response, String>) + Send + 'static
{
}
impl<K, P: Protocol, F: Fn(K, Result<P::Response, String>) + Send + 'static> Done<K, P> for F {}

struct Outstanding<K, Q> {
    key: K,
    request: Q,
    deadline: Instant,
}

/// Serves the inbox until it is closed.
pub(super) async fn run<R: Runtime, P: Protocol, K: Send + 'static>(
    runtime: R,
    to: ServerAddress,
    protocol: P,
    mut inbox: mpsc::UnboundedReceiver<(K, P::Request)>,
    done: impl Done<K, P>,
) {
    while let Some((key, request)) = inbox.recv().await {
        match runtime.timeout(CONNECT_TIMEOUT, connect(&runtime, &to)).await.and_then(|c| c) {
            Ok(stream) => {
                let mut session = Session {
                    runtime: &runtime,
                    protocol: &protocol,
                    outstanding: BTreeMap::new(),
                    next_sequence: 0,
                    written: Vec::new(),
                    received: Vec::new(),
                };
                let error = session.run(stream, (key, request), &mut inbox, &done).await;
                for (_, outstanding) in session.outstanding {
                    done(outstanding.key, Err(error.to_string()));
                }
            }
            Err(error) => {
                // What queued up meanwhile would only wait for the same failure again.
                done(key, Err(error.to_string()));
                while let Ok((key, _)) = inbox.try_recv() {
                    done(key, Err(error.to_string()));
                }
            }
        }
    }
}

/// Opens a connection to `host:port`.
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

struct Session<'a, R, P: Protocol, K> {
    runtime: &'a R,
    protocol: &'a P,
    outstanding: BTreeMap<u64, Outstanding<K, P::Request>>,
    next_sequence: u64,
    written: Vec<u8>,
    received: Vec<u8>,
}

impl<R: Runtime, P: Protocol, K: Send + 'static> Session<'_, R, P, K> {
    /// Returns why the connection ended.
    async fn run(
        &mut self,
        stream: R::Stream,
        first: (K, P::Request),
        inbox: &mut mpsc::UnboundedReceiver<(K, P::Request)>,
        done: &impl Done<K, P>,
    ) -> io::Error {
        let (mut reader, mut writer) = stream.split();
        let mut timer = self.runtime.timer();
        self.written.push(P::PURPOSE.byte());
        self.enqueue(first.0, first.1);
        let mut chunk = vec![0; READ_CHUNK_BYTES];
        loop {
            while let Ok((key, request)) = inbox.try_recv() {
                self.enqueue(key, request);
            }
            if let Err(error) = self.flush(&mut writer).await {
                return error;
            }
            timer.set(self.outstanding.values().map(|waiting| waiting.deadline).min());
            let read = runtime::read(&mut reader, &mut chunk);
            let late = std::future::poll_fn(|cx| timer.poll_fired(cx));
            match first_of(read, first_of(inbox.recv(), late)).await {
                Either::First(Ok(0)) => return io::ErrorKind::UnexpectedEof.into(),
                Either::First(Err(error)) => return error,
                Either::First(Ok(count)) => {
                    if let Err(error) = self.receive(&chunk[..count], done) {
                        return error;
                    }
                }
                Either::Second(Either::First(Some((key, request)))) => self.enqueue(key, request),
                Either::Second(Either::First(None)) => {
                    return io::Error::other("the agent is shutting down");
                }
                Either::Second(Either::Second(())) => return io::ErrorKind::TimedOut.into(),
            }
        }
    }

    fn enqueue(&mut self, key: K, request: P::Request) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.protocol.encode(sequence, &request, &mut self.written);
        let deadline = self.runtime.now() + self.protocol.patience(&request);
        self.outstanding.insert(sequence, Outstanding { key, request, deadline });
    }

    async fn flush(&mut self, writer: &mut impl ByteWriter) -> io::Result<()> {
        if !self.written.is_empty() {
            let write = runtime::write_all(writer, &self.written);
            self.runtime.timeout(CONNECT_TIMEOUT, write).await??;
            self.written.clear();
        }
        Ok(())
    }

    fn receive(&mut self, bytes: &[u8], done: &impl Done<K, P>) -> io::Result<()> {
        self.received.extend_from_slice(bytes);
        let mut used = 0;
        while used < self.received.len() {
            let oldest = self.outstanding.values().next().map(|waiting| &waiting.request);
            let Some(decoded) = self.protocol.decode(&self.received[used..], oldest)? else {
                break;
            };
            used += decoded.used;
            let sequence = decoded.sequence.or_else(|| self.outstanding.keys().next().copied());
            let answered = sequence.and_then(|sequence| self.outstanding.remove(&sequence));
            let unasked =
                || io::Error::new(io::ErrorKind::InvalidData, "an answer nobody asked for");
            done(answered.ok_or_else(unasked)?.key, Ok(decoded.response));
        }
        self.received.drain(..used);
        Ok(())
    }
}

/// Reads until one more whole message is at the front of `buffer`; `None` at a clean end.
pub(super) async fn read_message<T>(
    reader: &mut impl ByteReader,
    buffer: &mut Vec<u8>,
    mut decode: impl FnMut(&[u8]) -> io::Result<Option<(T, usize)>>,
) -> io::Result<Option<T>> {
    let mut chunk = [0; 4096];
    loop {
        if !buffer.is_empty()
            && let Some((message, used)) = decode(buffer)?
        {
            buffer.drain(..used);
            return Ok(Some(message));
        }
        match runtime::read(reader, &mut chunk).await? {
            0 if buffer.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => buffer.extend_from_slice(&chunk[..count]),
        }
    }
}
