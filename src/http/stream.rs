//! A [`ByteStream`] as hyper wants it.
//!
//! hyper reads into memory that only unsafe code may fill in place, so bytes pass through a small
//! buffer here, one per connection. Flushing is free: what a `ByteStream` takes is on its way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::base::runtime::ByteStream;

const SCRATCH_BYTES: usize = 8 * 1024;

/// What the holder of a connection wants to know about its stream, which hyper owns.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Bytes handed to the stream.
    pub(super) written: AtomicU64,
    /// A byte has arrived since the flag was last cleared.
    pub(super) heard: AtomicBool,
}

/// The adapter.
pub(super) struct HyperStream<S> {
    stream: S,
    scratch: Box<[u8]>,
    traffic: Arc<Traffic>,
}

impl<S: ByteStream> HyperStream<S> {
    pub(super) fn new(stream: S) -> Self {
        let scratch = vec![0; SCRATCH_BYTES].into_boxed_slice();
        Self { stream, scratch, traffic: Arc::default() }
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
        let taken = ready!(self.stream.poll_write(cx, bytes))?;
        self.traffic.written.fetch_add(taken as u64, Ordering::Relaxed);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}
