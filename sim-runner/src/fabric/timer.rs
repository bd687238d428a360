//! Timers: a deadline that moves at no cost.
//!
//! A slot has a deadline and at most one *valid* entry in the queue, the one at `queued_ns`. Setting a
//! later deadline only writes it down; the entry, when it comes up, is pushed again for it. Setting
//! an earlier one pushes. So a timeout that is reset for each message costs one queue entry per
//! timeout span, not per message.
//!
//! Deadlines are times of the clock that the timer belongs to, and the queue runs on true time: what
//! is due is asked of the clock each time, so a change of its rate moves every timer of the machine.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proconsul::base::Instant;
use proconsul::base::runtime::Timer;

use super::Fabric;
use super::clock::NodeClock;
use super::queue::Event;
use super::slab::Key;
use super::world::World;

pub(super) struct TimerSlot {
    clock: Arc<NodeClock>,
    /// By `clock`.
    deadline_ns: Option<u64>,
    /// By the fabric's clock.
    queued_ns: Option<u64>,
    waker: Option<Waker>,
}

impl World {
    pub fn timer_set(&mut self, timer: Key, deadline_ns: Option<u64>) {
        let Some(slot) = self.timers.get_mut(timer) else {
            return;
        };
        slot.deadline_ns = deadline_ns;
        let Some(deadline_ns) = deadline_ns else {
            return;
        };
        let at_ns = slot.clock.true_ns(deadline_ns);
        if slot.waker.is_some() && slot.queued_ns.is_none_or(|queued_ns| at_ns < queued_ns) {
            slot.queued_ns = Some(at_ns);
            self.queue.push(at_ns, Event::Timer { timer, at_ns });
        }
    }

    fn timer_poll(&mut self, timer: Key, cx: &mut Context<'_>) -> Poll<()> {
        let now_ns = self.now_ns();
        let Some(slot) = self.timers.get_mut(timer) else {
            return Poll::Pending;
        };
        if slot.deadline_ns.is_some_and(|at_ns| at_ns <= slot.clock.local_ns(now_ns)) {
            slot.deadline_ns = None;
            slot.waker = None;
            return Poll::Ready(());
        }
        if !slot.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        // Timers that nobody waits for are not queued; the first wait is where they are.
        let deadline_ns = slot.deadline_ns;
        self.timer_set(timer, deadline_ns);
        Poll::Pending
    }

    pub fn timer_due(&mut self, timer: Key, at_ns: u64, now_ns: u64) {
        let Some(slot) = self.timers.get_mut(timer) else {
            return;
        };
        if slot.queued_ns != Some(at_ns) {
            return;
        }
        slot.queued_ns = None;
        match slot.deadline_ns {
            Some(deadline_ns) if deadline_ns <= slot.clock.local_ns(now_ns) => {
                if let Some(waker) = &slot.waker {
                    waker.wake_by_ref();
                }
            }
            later => self.timer_set(timer, later),
        }
    }

    /// The rate of this clock has changed: its timers are due at other times.
    pub fn requeue_timers(&mut self, clock: &Arc<NodeClock>) {
        let of_clock = self.timers.iter().filter(|(_, slot)| Arc::ptr_eq(&slot.clock, clock));
        let set: Vec<(Key, Option<u64>)> =
            of_clock.map(|(timer, slot)| (timer, slot.deadline_ns)).collect();
        for (timer, deadline_ns) in set {
            self.timer_set(timer, deadline_ns);
        }
    }
}

/// A [`Timer`] of one process, or of the testbed itself.
pub struct SimTimer {
    fabric: Fabric,
    key: Key,
    /// What its clock showed when the process began to count.
    started_ns: u64,
}

impl SimTimer {
    pub(super) fn new(fabric: &Fabric, clock: Arc<NodeClock>, started_ns: u64) -> Self {
        let slot = TimerSlot { clock, deadline_ns: None, queued_ns: None, waker: None };
        let key = fabric.lock().timers.insert(slot);
        Self { fabric: fabric.clone(), key, started_ns }
    }
}

impl Timer for SimTimer {
    fn set(&mut self, deadline: Option<Instant>) {
        let deadline_ns = deadline.map(|at| at.as_nanos().saturating_add(self.started_ns));
        self.fabric.lock().timer_set(self.key, deadline_ns);
    }

    fn poll_fired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.fabric.lock().timer_poll(self.key, cx)
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        self.fabric.lock().timers.remove(self.key);
    }
}
