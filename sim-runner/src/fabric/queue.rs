//! The one event queue, ordered by (time, sequence), and the one pump that runs it.
//!
//! ```text
//!   push(at, event) ──► heap ──► pump task: run what is due, then ONE madsim `Sleep`, reset to the
//!        │                                  time of the head
//!        └── wakes the pump only when `at` is before the time at which it would run anyway
//! ```
//!
//! Why not a madsim sleep per timer: each new one lasts at least 1 ms, a dropped one stays queued for
//! its whole span, and each poll of a pending one queues another entry. `Sleep::reset` has no floor.
//!
//! Events are never removed; what they refer to is (see [`slab`](super::slab)).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, Weak};
use std::task::{Context, Poll, Waker};

use madsim::time::{Duration, Instant, TimeHandle};

use super::slab::Key;
use super::udp::Datagram;
use super::world::{World, locked};

/// What the fabric will do at a later time. `lane` and `end` are 0 for the connecting side.
pub(super) enum Event {
    /// A timer may be due.
    Timer { timer: Key, at_ns: u64 },
    /// A SYN arrives.
    Syn { conn: Key },
    /// The answer to a SYN has not come: send it again, or give up.
    SynRetry { conn: Key, attempt: u8 },
    /// A SYN's positive answer arrives.
    SynAck { conn: Key },
    /// A SYN's negative answer arrives.
    Refused { conn: Key },
    /// The oldest segment of a lane arrives, unless the lane has been stalled since.
    Segment { conn: Key, lane: u8, round: u32 },
    /// A stalled lane sends again.
    Retransmit { conn: Key, lane: u8 },
    /// A lane whose window update could not pass tries to pass it.
    WindowProbe { conn: Key, lane: u8, tries: u8 },
    /// A reset arrives at this end.
    Reset { conn: Key, end: u8 },
    /// A datagram arrives.
    Datagram(Box<Datagram>),
}

struct Entry {
    at_ns: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at_ns, self.sequence).cmp(&(other.at_ns, other.sequence))
    }
}

/// Future events, soonest first; those of one time in the order of their pushes.
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    next_sequence: u64,
    pump: Option<Waker>,
    /// The pump is sure to run no later than this.
    pump_runs_at_ns: u64,
}

impl Queue {
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), next_sequence: 0, pump: None, pump_runs_at_ns: u64::MAX }
    }

    pub fn push(&mut self, at_ns: u64, event: Event) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.heap.push(Reverse(Entry { at_ns, sequence, event }));
        if at_ns < self.pump_runs_at_ns {
            self.pump_runs_at_ns = at_ns;
            if let Some(pump) = &self.pump {
                pump.wake_by_ref();
            }
        }
    }

    pub fn pop_due(&mut self, now_ns: u64) -> Option<Event> {
        if self.next_at_ns()? > now_ns {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.event)
    }

    pub fn clear(&mut self) {
        self.heap.clear();
    }

    fn next_at_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at_ns)
    }

    fn enter_pump(&mut self, waker: &Waker) {
        if !self.pump.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.pump = Some(waker.clone());
        }
        // Nothing that is pushed while the pump runs has to wake it: it looks again before it sleeps.
        self.pump_runs_at_ns = 0;
    }
}

/// Runs a world's events until the world is gone.
pub(super) async fn pump(world: Weak<Mutex<World>>, time: TimeHandle) {
    let started: Instant = time.now_instant() - time.elapsed();
    let mut sleep = pin!(time.sleep_until(started));
    // The earliest madsim timer that is set and has not fired yet.
    let mut set_for_ns = u64::MAX;
    poll_fn(move |cx: &mut Context<'_>| {
        let Some(world) = world.upgrade() else {
            return Poll::Ready(());
        };
        let mut world = locked(&world);
        world.queue.enter_pump(cx.waker());
        loop {
            let now_ns = world.run_due();
            if set_for_ns <= now_ns {
                set_for_ns = u64::MAX;
            }
            let head_ns = world.queue.next_at_ns().unwrap_or(u64::MAX);
            if head_ns < set_for_ns {
                sleep.as_mut().reset(started + Duration::from_nanos(head_ns));
                if sleep.as_mut().poll(cx).is_ready() {
                    continue;
                }
                set_for_ns = head_ns;
            }
            world.queue.pump_runs_at_ns = set_for_ns;
            return Poll::Pending;
        }
    })
    .await;
}
