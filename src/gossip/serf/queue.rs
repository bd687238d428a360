//! What this member still has to pass on, and who waits for that (spec cluster 2.16).
//!
//! Three queues of [`BroadcastQueue`], offered in the order intents, queries, events. What has been sent
//! often enough leaves its queue, and whoever waits for that is told at the next step.
//!
//! Invariant: a queue is no longer than its depth: what would be sent last is given up first.

use crate::base::RequestId;
use crate::gossip::message::SerfMessage;
use crate::gossip::swim::BroadcastQueue;

/// Which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Intent,
    Query,
    Event,
}

/// Who waits for a broadcast to have been sent often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// Our own leave.
    Leave,
    /// A forced leave.
    ForceLeave(RequestId),
}

#[derive(Debug)]
struct Waiting {
    message: SerfMessage,
    bytes: usize,
    notice: Option<Notice>,
}

type Queue = BroadcastQueue<Waiting>;

/// The three queues.
#[derive(Debug, Default)]
pub(super) struct Broadcasts {
    intents: Queue,
    queries: Queue,
    events: Queue,
    finished: Vec<Notice>,
}

impl Broadcasts {
    /// Something to pass on, of so many encoded bytes.
    pub(super) fn push(
        &mut self,
        kind: Kind,
        message: SerfMessage,
        bytes: usize,
        notice: Option<Notice>,
        depth_max: usize,
    ) {
        let queue = match kind {
            Kind::Intent => &mut self.intents,
            Kind::Query => &mut self.queries,
            Kind::Event => &mut self.events,
        };
        // Without names: nothing replaces anything.
        queue.push(None, bytes, Waiting { message, bytes, notice });
        let given_up = if queue.len() > depth_max { queue.pop_last() } else { None };
        self.finished.extend(given_up.and_then(|waiting| waiting.notice));
    }

    /// What fits into `limit_bytes` at `overhead_bytes` a message; counts as one transmission of each.
    pub(super) fn draw(
        &mut self,
        overhead_bytes: usize,
        limit_bytes: usize,
        transmissions_max: u32,
    ) -> Vec<SerfMessage> {
        let mut drawn = Vec::new();
        let mut left = limit_bytes;
        for queue in [&mut self.intents, &mut self.queries, &mut self.events] {
            let mut taken = 0;
            queue.draw(overhead_bytes, left, transmissions_max, |waiting, last| {
                drawn.push(waiting.message.clone());
                taken += overhead_bytes + waiting.bytes;
                self.finished.extend(waiting.notice.filter(|_| last));
            });
            left -= taken;
        }
        drawn
    }

    /// Those whose broadcast was sent often enough, once each.
    pub(super) fn take_finished(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.finished)
    }

    pub(super) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths() == [0; 3]
    }

    /// Lengths: intents, queries, events.
    pub(super) fn lengths(&self) -> [usize; 3] {
        [self.intents.len(), self.queries.len(), self.events.len()]
    }
}
