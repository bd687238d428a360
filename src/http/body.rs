//! Reads a request's body with a limit, so that no sender decides how much memory it takes: not by what
//! one announces, and not by how many send at once.
//!
//! ```text
//!   chunk ─► within the limit? ─► room for it? ─► kept        memory grows as bytes arrive
//!                  └─ no: 413 or 400    └─ no: 503; both are read to their end and thrown away
//! ```
//!
//! | | at most |
//! |---|---|
//! | one body | the limit of its endpoint |
//! | the first bytes of any body | [`FREE_BYTES`], times as many as there are connections |
//! | what goes beyond that, all bodies of an agent together | [`BODIES_BYTES`] |
//! | snapshots that are restored, together | [`ARCHIVES_BYTES`] |
//!
//! A body has its room until its request is answered. Who finds none is refused and not made to wait:
//! senders that stall with half a body would keep one another from ever ending. Small bodies need no
//! room, so that those who write keys and services are served whatever others send. Consul has no such
//! bound; it is reached by hundreds of large bodies at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Body as _;
use hyper::header::EXPECT;

/// What is read and thrown away of a body that is too large, so that its sender finishes writing and
/// then reads the refusal; a connection closed with unread bytes is reset, and the refusal lost.
const DISCARDED_BYTES: u64 = 16 * 1024 * 1024;

/// What every body may hold without asking for room.
const FREE_BYTES: u64 = 16 * 1024;

/// What the bodies of all requests may hold beyond that: 256 values of the largest size.
const BODIES_BYTES: u64 = 128 * 1024 * 1024;

/// The largest snapshot that can be restored, and what all that come at a time may hold.
pub(super) const ARCHIVES_BYTES: u64 = 4 << 30;

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// More than the limit: as many bytes as were announced, or else as were seen.
    TooLarge(u64),
    /// The sender went away or sent nonsense; or others hold all the room, which [`Seat::was_refused`]
    /// tells and the endpoint's own answer does not.
    Broken(String),
}

/// The room that an agent has for bodies; a handle.
#[derive(Clone, Default)]
pub(super) struct BodyRoom(Arc<Held>);

#[derive(Default)]
struct Held {
    bodies: AtomicU64,
    archives: AtomicU64,
}

/// What one request has of it, until it is dropped.
#[derive(Default)]
pub(super) struct Seat {
    room: BodyRoom,
    bodies: AtomicU64,
    archives: AtomicU64,
    refused: AtomicBool,
}

impl BodyRoom {
    /// A seat that holds nothing yet.
    pub(super) fn seat(&self) -> Arc<Seat> {
        let mut seat = Seat::default();
        seat.room = self.clone();
        Arc::new(seat)
    }
}

impl Seat {
    /// Takes so many bytes more; whether there was room for them.
    fn take(&self, bytes: u64, limit: u64) -> bool {
        // Only a restore has a limit beyond what all others share.
        let (held, own, most) = match limit > BODIES_BYTES {
            true => (&self.room.0.archives, &self.archives, ARCHIVES_BYTES),
            false => (&self.room.0.bodies, &self.bodies, BODIES_BYTES),
        };
        let more = |now: u64| now.checked_add(bytes).filter(|sum| *sum <= most);
        let taken = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if taken {
            own.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.refused.store(true, Ordering::Relaxed);
        }
        taken
    }

    /// What it has taken is free again.
    fn give_back(&self) {
        let Held { bodies, archives } = &*self.room.0;
        for (held, own) in [(bodies, &self.bodies), (archives, &self.archives)] {
            held.fetch_sub(own.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Whether its body was thrown away because others held all the room.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// The whole body, of at most `limit` bytes.
pub(super) async fn read_limited(
    mut body: Body,
    headers: &HeaderMap,
    limit: u64,
    seat: &Seat,
) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().exact();
    if let Some(size) = announced.filter(|&size| size > limit) {
        // A sender that waits for "100 Continue" has sent nothing yet and need not.
        if !headers.contains_key(EXPECT) {
            discard(body, 0).await?;
        }
        return Err(BodyError::TooLarge(size));
    }
    let mut joined = Joined { bytes: Vec::new(), most: announced.unwrap_or(limit).min(limit) };
    let mut whole = Bytes::new();
    while let Some(chunk) = next_chunk(&mut body).await? {
        let seen = (joined.bytes.len() + whole.len() + chunk.len()) as u64;
        if seen > limit {
            drop((whole, joined));
            return Err(BodyError::TooLarge(discard(body, seen).await?));
        }
        if seen == chunk.len() as u64 && announced == Some(seen) {
            whole = chunk; // The usual case: one piece, not copied.
        } else if !joined.add(&chunk, limit, seat) {
            drop(joined);
            seat.give_back();
            discard(body, seen).await?;
            return Err(BodyError::Broken(NO_ROOM.to_owned()));
        }
    }
    Ok(if joined.bytes.is_empty() { whole } else { joined.bytes.into() })
}

/// What is said of it.
pub(super) const NO_ROOM: &str = "The bodies of other requests take all the memory that this agent has for \
                                  them: try again, with fewer large ones at a time";

/// The pieces of a body, together. Its memory grows by halves, and only when bytes are there.
struct Joined {
    bytes: Vec<u8>,
    /// It gets no longer.
    most: u64,
}

impl Joined {
    /// Adds a piece; whether there is room for it.
    fn add(&mut self, chunk: &[u8], limit: u64, seat: &Seat) -> bool {
        let (len, old) = (self.bytes.len() + chunk.len(), self.bytes.capacity());
        if len > old {
            let most = usize::try_from(self.most).unwrap_or(usize::MAX);
            let wanted = (old + old / 2).min(most).max(len);
            let priced = |capacity: usize| (capacity as u64).saturating_sub(FREE_BYTES);
            let price = priced(wanted) - priced(old);
            if price > 0 && !seat.take(price, limit) {
                return false;
            }
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        true
    }
}

/// Reads on without keeping; how many bytes were seen in all.
async fn discard(mut body: Body, mut seen: u64) -> Result<u64, BodyError> {
    while seen < DISCARDED_BYTES {
        match next_chunk(&mut body).await? {
            Some(chunk) => seen += chunk.len() as u64,
            None => break,
        }
    }
    Ok(seen)
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Broken(error.to_string())),
            // Frames without data are trailers.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_with_the_seat() {
        let room = BodyRoom::default();
        let (one, other) = (room.seat(), room.seat());
        assert!(one.take(BODIES_BYTES - 10, 100) && other.take(10, 100));
        assert!(!other.take(1, 100) && other.was_refused() && !one.was_refused());
        // A restore is counted for itself.
        assert!(other.take(ARCHIVES_BYTES, ARCHIVES_BYTES));
        assert!(!one.take(1, ARCHIVES_BYTES));
        drop(one);
        assert!(other.take(BODIES_BYTES - 10, 100) && !other.take(1, 100));
        drop(other);
        assert!(room.seat().take(BODIES_BYTES, 100));
    }

    #[test]
    fn memory_follows_what_arrives() {
        let seat = BodyRoom::default().seat();
        let mut joined = Joined { bytes: Vec::new(), most: 100_000 };
        for _ in 0..100 {
            assert!(joined.add(&[1; 1000], 512 * 1024, &seat));
            let (held, paid) = (joined.bytes.capacity(), seat.bodies.load(Ordering::Relaxed));
            assert!(held <= joined.bytes.len() * 3 / 2 + 1000, "{held}");
            assert_eq!(paid, (held as u64).saturating_sub(FREE_BYTES));
        }
        assert_eq!(joined.bytes.capacity(), 100_000);
    }
}
