//! Whether anything still moves on a connection that others have opened.
//!
//! A peer that lost its power or its network says nothing, ever; one that means ill says a little, now
//! and then. Either would hold memory and a descriptor for ever, so a connection is given up when
//! * a message has begun and is not whole after [`MESSAGE_TIMEOUT`];
//! * bytes have been offered to it and none were taken for [`WRITE_TIMEOUT`];
//! * nothing was heard for [`SILENCE_TIMEOUT`], and nothing is owed to it.
//!
//! Looked at only every few seconds, so that what moves pays next to nothing.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::base::runtime::{ByteWriter, Runtime};
use crate::base::{Duration, Instant};

pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than callers keep a connection that they do not use (see `link`).
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_secs(180);
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Stands for "nothing is under way".
const NEVER: u64 = u64::MAX;
/// A buffer that one large answer made larger than this is given back.
const KEPT_BUFFER: usize = 1 << 20;

/// When things last moved, in nanoseconds of the node's clock.
pub(super) struct Movement {
    heard: AtomicU64,
    message_began: AtomicU64,
    write_began: AtomicU64,
    /// Free for requests; all of them when nothing is owed.
    slots: Arc<Semaphore>,
    all_slots: usize,
}

impl Movement {
    pub fn new<R: Runtime>(runtime: &R, all_slots: usize, slots: Arc<Semaphore>) -> Self {
        Self {
            heard: AtomicU64::new(runtime.now().as_nanos()),
            message_began: AtomicU64::new(NEVER),
            write_began: AtomicU64::new(NEVER),
            slots,
            all_slots,
        }
    }

    /// Something came, and whether it made a message whole.
    pub fn heard(&self, now: Instant, whole: bool) {
        let now = now.as_nanos();
        self.heard.store(now, Ordering::Relaxed);
        if whole {
            self.message_began.store(NEVER, Ordering::Relaxed);
        } else if self.message_began.load(Ordering::Relaxed) == NEVER {
            self.message_began.store(now, Ordering::Relaxed);
        }
    }

    /// Writes all of it, empties the buffer, and frees the slots of the answers in it.
    pub async fn write<R: Runtime>(
        &self,
        runtime: &R,
        writer: &mut impl ByteWriter,
        bytes: &mut Vec<u8>,
        answers: usize,
    ) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            self.write_began.store(runtime.now().as_nanos(), Ordering::Relaxed);
            match poll_fn(|cx| writer.poll_write(cx, &bytes[written..])).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => written += taken,
            }
        }
        self.write_began.store(NEVER, Ordering::Relaxed);
        bytes.clear();
        bytes.shrink_to(KEPT_BUFFER);
        self.slots.add_permits(answers);
        Ok(())
    }

    /// Ends when the connection is to be given up.
    pub async fn watch<R: Runtime>(&self, runtime: &R) -> io::Error {
        loop {
            runtime.sleep(LOOK_EVERY).await;
            if let Some(why) = self.stuck(runtime.now()) {
                return io::Error::new(io::ErrorKind::TimedOut, why);
            }
        }
    }

    fn stuck(&self, now: Instant) -> Option<&'static str> {
        let passed = |since: &AtomicU64, limit: Duration| {
            let since = since.load(Ordering::Relaxed);
            since != NEVER && now.since(Instant::from_nanos(since)) > limit
        };
        if passed(&self.message_began, MESSAGE_TIMEOUT) {
            Some("a message was begun and not finished")
        } else if passed(&self.write_began, WRITE_TIMEOUT) {
            Some("the peer does not read its answers")
        } else if passed(&self.heard, SILENCE_TIMEOUT)
            && self.slots.available_permits() == self.all_slots
        {
            Some("nothing was heard for a long time")
        } else {
            None
        }
    }
}
