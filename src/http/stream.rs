//! A [`ByteStream`] as hyper wants it.
//!
//! hyper reads into memory that only unsafe code may fill in place, so bytes pass through a small
//! buffer here, one per connection. Flushing is free: what a `ByteStream` takes is on its way.
//!
//! A head that is no HTTP is refused by hyper itself, without a word. What it writes then is replaced by
//! what Go's server says: the status as a text. It is known by its form, which no answer of a handler has,
//! since those bear a date, and by the time: a head has begun, and no handler is at work.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::base::runtime::ByteStream;

const SCRATCH_BYTES: usize = 8 * 1024;

/// What the holder of a connection wants to know about its stream, which hyper owns.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Bytes handed to the stream.
    pub(super) written: AtomicU64,
    /// Bytes that have arrived.
    pub(super) read: AtomicU64,
    /// A byte has arrived since the flag was last cleared.
    pub(super) heard: AtomicBool,
    /// A handler is at work on a request.
    pub(super) busy: AtomicBool,
    /// It waits for more of the body.
    pub(super) awaits_body: AtomicBool,
}

impl Traffic {
    /// Bytes have come, but not yet a whole head.
    pub(super) fn is_partial(&self) -> bool {
        !self.busy.load(Ordering::Relaxed) && self.heard.load(Ordering::Relaxed)
    }
}

/// The adapter.
pub(super) struct HyperStream<S> {
    stream: S,
    scratch: Box<[u8]>,
    traffic: Arc<Traffic>,
    /// What is written in place of hyper's refusal, and how much of it is.
    refusal: Option<(Vec<u8>, usize)>,
}

impl<S: ByteStream> HyperStream<S> {
    pub(super) fn new(stream: S) -> Self {
        let scratch = vec![0; SCRATCH_BYTES].into_boxed_slice();
        Self { stream, scratch, traffic: Arc::default(), refusal: None }
    }

    pub(super) fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }
}

impl<S: ByteStream> Read for HyperStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = into.remaining().min(this.scratch.len());
        let taken = ready!(this.stream.poll_read(cx, &mut this.scratch[..most]))?;
        if taken > 0 {
            this.traffic.heard.store(true, Ordering::Relaxed);
            this.traffic.read.fetch_add(taken as u64, Ordering::Relaxed);
            into.put_slice(&this.scratch[..taken]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: ByteStream> Write for HyperStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.refusal.is_none() && this.traffic.is_partial() {
            this.refusal = in_words(bytes).map(|text| (text, 0));
        }
        if let Some((text, done)) = &mut this.refusal {
            while *done < text.len() {
                *done += ready!(this.stream.poll_write(cx, &text[*done..]))?.max(1);
            }
            this.refusal = None;
            return Poll::Ready(Ok(bytes.len()));
        }
        let taken = ready!(this.stream.poll_write(cx, bytes))?;
        this.traffic.written.fetch_add(taken as u64, Ordering::Relaxed);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

/// hyper's refusal with Go's headers and text; none when the bytes are anything else.
fn in_words(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?;
    let known = ["connection: close", "content-length: 0"];
    if !status.starts_with('4') || !lines.all(|it| known.iter().any(|k| it.eq_ignore_ascii_case(k)))
    {
        return None;
    }
    let headers = "Content-Type: text/plain; charset=utf-8\r\nConnection: close";
    Some(format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n{status}").into_bytes())
}

/// A request's body that tells whether somebody waits for it.
pub(super) struct WatchedBody {
    body: Incoming,
    traffic: Arc<Traffic>,
}

impl WatchedBody {
    pub(super) fn new(body: Incoming, traffic: Arc<Traffic>) -> Self {
        Self { body, traffic }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.traffic.awaits_body.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.traffic.awaits_body.store(false, Ordering::Relaxed);
    }
}
