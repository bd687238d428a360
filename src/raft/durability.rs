//! What goes to the disk, and what waits for it.
//!
//! Every step fills one batch; what it promises to others is held under the batch's name and
//! released when the disk reports it. A promise may also wait for an *earlier* batch alone (an
//! acknowledgement of entries that arrived twice), so promises carry the name they need, not the
//! newest one.
//!
//! ```text
//!   step ──► batch 7 {hard state, install, truncate, compact, append} ──► Output::Persist
//!        └─► held under 7: vote reply, acknowledgement, "ask for votes"
//!   Persisted(7) ──► released, in the order in which they were held
//! ```

use std::collections::BTreeMap;

use crate::base::{LogIndex, PersistId, ReplyToken, RequestId, ServerAddress, Term};
use crate::raft::types::{Entry, HardState, Install, Persist, Response};

/// Something that may happen only after a batch is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Send this answer.
    Reply { token: ReplyToken, response: Response },
    /// Count the own vote and ask the others, if still a candidate of this term.
    Campaign(Term),
    /// Let the state machine be the operator's snapshot of this index, and send it on.
    Restored { id: RequestId, index: LogIndex },
}

/// The batch of this step and the promises of all batches on their way.
#[derive(Debug)]
pub(super) struct Durability {
    /// Name of the batch that this step fills; used up only when the batch has content.
    current: PersistId,
    /// Newest batch known to be on disk; 0 before the first.
    durable: PersistId,
    /// The batch with the newest hard state.
    hard_state_in: PersistId,
    hard_state_changed: bool,
    install: Option<Box<Install>>,
    truncate_from: Option<LogIndex>,
    compact_to: Option<LogIndex>,
    append: Vec<Entry>,
    healed: bool,
    peers: Option<Vec<ServerAddress>>,
    held: BTreeMap<PersistId, Vec<Promise>>,
}

impl Durability {
    pub(super) fn new() -> Self {
        Self {
            current: PersistId(1),
            durable: PersistId(0),
            hard_state_in: PersistId(0),
            hard_state_changed: false,
            install: None,
            truncate_from: None,
            compact_to: None,
            append: Vec::new(),
            healed: false,
            peers: None,
            held: BTreeMap::new(),
        }
    }

    pub(super) fn current(&self) -> PersistId {
        self.current
    }

    /// The hard state must be written with this step.
    pub(super) fn hard_state_changed(&mut self) {
        self.hard_state_changed = true;
        self.hard_state_in = self.current;
    }

    /// The batch that makes the present hard state durable (perhaps long ago).
    pub(super) fn hard_state_in(&self) -> PersistId {
        self.hard_state_in
    }

    /// The disk writes the snapshot before it touches the log, in this order: install, truncate,
    /// compact, append.
    pub(super) fn install(&mut self, install: Install) {
        crate::invariant!(
            self.truncate_from.is_none() && self.append.is_empty(),
            "a batch installs before it changes the log"
        );
        self.install = Some(Box::new(install));
    }

    pub(super) fn compact(&mut self, to: LogIndex) {
        self.compact_to = Some(to);
    }

    pub(super) fn healed(&mut self) {
        self.healed = true;
    }

    pub(super) fn truncate(&mut self, from: LogIndex) {
        crate::invariant!(self.append.is_empty(), "a batch truncates before it appends");
        self.truncate_from = Some(from);
    }

    pub(super) fn append(&mut self, entries: &[Entry]) {
        self.append.extend_from_slice(entries);
    }

    /// The peers file is written anew with this step; None leaves it.
    pub(super) fn write_peers(&mut self, peers: Option<Vec<ServerAddress>>) {
        self.peers = peers.or(self.peers.take());
    }

    /// Holds a promise until `batch` is durable; gives it back when it already is.
    #[must_use]
    pub(super) fn hold(&mut self, batch: PersistId, promise: Promise) -> Option<Promise> {
        if batch <= self.durable {
            return Some(promise);
        }
        self.held.entry(batch).or_default().push(promise);
        None
    }

    /// Closes this step's batch, if it has content.
    pub(super) fn close(&mut self, hard_state: &HardState) -> Option<Persist> {
        if !self.has_content() {
            return None;
        }
        let id = self.current;
        self.current = id.next();
        let changed = std::mem::take(&mut self.hard_state_changed);
        Some(Persist {
            id,
            hard_state: changed.then(|| hard_state.clone()),
            install: self.install.take(),
            truncate_from: self.truncate_from.take(),
            compact_to: self.compact_to.take(),
            append: std::mem::take(&mut self.append),
            healed: std::mem::take(&mut self.healed),
            peers: self.peers.take(),
        })
    }

    fn has_content(&self) -> bool {
        self.hard_state_changed
            || self.healed
            || !self.append.is_empty()
            || self.truncate_from.is_some()
            || self.compact_to.is_some()
            || self.install.is_some()
            || self.peers.is_some()
    }

    /// Whether this batch is on disk.
    pub(super) fn is_durable(&self, batch: PersistId) -> bool {
        batch <= self.durable
    }

    /// Whether the disk may report this batch: it was closed, and is news.
    pub(super) fn awaits(&self, batch: PersistId) -> bool {
        batch > self.durable && batch < self.current
    }

    /// This batch and all before it are durable: what was promised upon that.
    pub(super) fn persisted(&mut self, batch: PersistId) -> Vec<Promise> {
        self.durable = self.durable.max(batch);
        let later = self.held.split_off(&batch.next());
        std::mem::replace(&mut self.held, later).into_values().flatten().collect()
    }

    /// The disk failed: what was promised and cannot be kept.
    pub(super) fn break_all(&mut self) -> Vec<Promise> {
        std::mem::take(&mut self.held).into_values().flatten().collect()
    }
}
