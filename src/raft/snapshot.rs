//! Snapshots: taking them, compacting the log behind them, sending and installing them (spec cluster
//! 4.11; Raft paper 7; thesis 5).
//!
//! ```text
//!            start            newest snapshot      emitted = commit      last
//!   ░░░░░░░░░░░┼────────────────────┼─────────────────────┼────────────────┤
//!    compacted   trailing entries, for followers     committed since
//!                that are not far behind
//! ```
//!
//! * The core says when, and what it stands for ([`Output::TakeSnapshot`]); the bytes are others'. One is
//!   made at a time. The log goes only behind a snapshot that is durable, and only as far as it is
//!   durable itself.
//! * A follower that needs an entry whose predecessor is gone gets the newest snapshot, one call at a
//!   time, on a lane of its own. Heartbeats go on meanwhile.
//! * A snapshot ahead of the commit index is installed; at or behind it there is nothing to do. The
//!   log is kept if it has the snapshot's last entry, otherwise dropped whole (paper, figure 13, rules 6
//!   and 7). hashicorp/raft keeps a tail that contradicts the snapshot (spec cluster 4.11, hazard).
//! * What a snapshot covers is committed. Requests of a leader about entries that are compacted here
//!   are therefore taken as agreed (see `follower`): to refuse them would send the leader back to the
//!   beginning, which it cannot find either.
//!
//! Why a follower may go on from a snapshot before it is durable here: it is committed, so this is
//! like applying entries before they are on the own disk. Nothing is *acknowledged* before: until
//! the batch is durable no entry behind the snapshot counts as durable ([`RaftLog::reset`]), and a
//! server that is elected had its own vote written after that batch.
//!
//! The other way round, a snapshot that this server took itself may be on disk before the entries in
//! it are, and before their term is: the disk was slow, a quorum of others was not. After a power cut
//! the log then ends before the snapshot, and is dropped ([`Restored::reconcile`]); what was acknowledged
//! of it is in the snapshot.
//!
//! Not here: an operator's restore (`restore`), and where bytes are kept.
//!
//! [`RaftLog::reset`]: crate::raft::log::RaftLog::reset

use crate::base::{CallId, Instant, LogIndex, PersistId, Prng, ReplyToken, Term};
use crate::planted;
use crate::raft::config::SnapshotTuning;
use crate::raft::core::{Raft, State, Waiting};
use crate::raft::event::{Event, StepDown};
use crate::raft::types::{
    Configuration, Install, InstallSnapshot, InstallSnapshotResponse, Lane, Output, Request,
    Response, Restored, SnapshotMeta, SnapshotSource,
};

/// No log of a working cluster gets here: room for what is appended behind a snapshot.
pub(super) const MAX_INDEX: LogIndex = LogIndex(u64::MAX / 2);

/// What a server knows of its snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// The state machine's and the log's beginning. Index 0: none yet.
    newest: SnapshotMeta,
    /// The batch that puts it on disk.
    written_in: PersistId,
    /// One up to here is being made.
    taking: Option<LogIndex>,
    /// When it is looked next whether one is due.
    pub(super) timer: Instant,
    /// Apart from the core's, so that these timers move no election.
    prng: Prng,
}

impl Snapshots {
    pub(super) fn new(newest: SnapshotMeta, prng: Prng, now: Instant) -> Self {
        Self { newest, written_in: PersistId(0), taking: None, timer: now, prng }
    }

    pub(super) fn newest(&self) -> (LogIndex, Term) {
        (self.newest.index, self.newest.term)
    }

    /// The newest, when it ends here.
    pub(super) fn newest_if(&self, index: LogIndex) -> Option<SnapshotMeta> {
        (self.newest.index == index).then(|| self.newest.clone())
    }
}

impl Restored {
    /// Drops a log that does not have the snapshot's last entry and does not begin right after it: a
    /// crash came between an installation and the end of the log that it replaces, or damage took
    /// what lies around it. Returns whether it did; the log on disk must then go as well, before
    /// anything is appended to it.
    pub fn reconcile(&mut self) -> bool {
        let Some(snapshot) = &self.snapshot else { return false };
        let Some(first) = self.entries.first() else { return false };
        let agrees = match snapshot.index.0.checked_sub(first.index.0) {
            None => first.index == snapshot.index.next(),
            Some(at) => self
                .entries
                .get(usize::try_from(at).unwrap_or(usize::MAX))
                .is_some_and(|entry| entry.term == snapshot.term),
        };
        if !agrees {
            self.entries.clear();
        }
        !agrees
    }
}

/// Taking.
impl Raft {
    /// Time to look whether a snapshot is due.
    pub(super) fn snapshot_timer_fired(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.arm_snapshot_timer(now);
        let newest = self.snapshots.newest.index;
        let grown = self.log.last_index().0.saturating_sub(newest.0);
        if self.snapshots.taking.is_some()
            || grown < self.config.snapshot_threshold
            || self.emitted <= newest
        {
            return;
        }
        let (mut configuration, configuration_index) = self.membership.for_snapshot();
        // A set of servers that is not applied yet does not belong into a state of before.
        if configuration_index > self.emitted {
            return;
        }
        // Oracle: state-machine-safety. It stands for entries whose effects it has not.
        let ahead = planted!(self.faults, "snapshot-ahead-of-state");
        let index = if ahead { self.log.last_index() } else { self.emitted };
        // Oracle: liveness. Whoever starts from it knows nobody, and nobody stands for election.
        if planted!(self.faults, "snapshot-loses-configuration") {
            configuration = Configuration::default();
        }
        let term = self.log.term_at(index).expect("what was handed out since the last snapshot");
        let meta = SnapshotMeta { index, term, configuration, configuration_index, size: 0 };
        self.snapshots.taking = Some(index);
        out.push(Output::Event(Event::SnapshotStarted(index)));
        out.push(Output::TakeSnapshot(meta));
    }

    /// Takes other limits for snapshots; a timer that runs runs on.
    pub fn tune_snapshots(&mut self, tuning: SnapshotTuning) {
        self.config.snapshot_interval = tuning.interval;
        self.config.snapshot_threshold = tuning.threshold;
        self.config.trailing_logs = tuning.trailing_logs;
    }

    pub(super) fn arm_snapshot_timer(&mut self, now: Instant) {
        let interval = self.config.snapshot_interval;
        self.snapshots.timer = now + self.snapshots.prng.timeout(interval);
    }

    /// The snapshot that was asked for is on disk.
    pub(super) fn snapshot_saved(&mut self, meta: SnapshotMeta, out: &mut Vec<Output>) {
        if self.snapshots.taking != Some(meta.index) {
            return;
        }
        self.snapshots.taking = None;
        // While it was made, a leader's or an operator's came that goes further. To go back would leave
        // the log without a beginning.
        if meta.index <= self.snapshots.newest.index {
            return;
        }
        out.push(Output::Event(Event::SnapshotTaken(meta.index)));
        self.snapshots.newest = meta;
        self.snapshots.written_in = PersistId(0);
        self.compact(out);
    }

    /// It could not be written: once more when the timer has run again.
    pub(super) fn snapshot_failed(&mut self, index: LogIndex, out: &mut Vec<Output>) {
        if self.snapshots.taking == Some(index) {
            self.snapshots.taking = None;
            out.push(Output::Event(Event::SnapshotFailed(index)));
        }
    }

    /// Lets go of what the newest snapshot covers, but for the trailing entries.
    fn compact(&mut self, out: &mut Vec<Output>) {
        let trailing = self.config.trailing_logs;
        let Some(spare) = self.log.last_index().0.checked_sub(trailing) else { return };
        let to = LogIndex(spare).min(self.snapshots.newest.index).min(self.log.durable_index());
        if to > self.log.start() {
            self.log.compact_to(to);
            self.durability.compact(to);
            out.push(Output::Event(Event::Compacted(to)));
        }
    }
}

/// Sending.
impl Raft {
    /// What this follower needs next is compacted: only the newest snapshot brings it on.
    pub(super) fn send_snapshot(&mut self, peer: usize, out: &mut Vec<Output>) {
        let State::Leader(leadership) = &mut self.state else { return };
        let progress = &mut leadership.peers[peer];
        let to = progress.address.clone();
        if progress.needs_snapshot() {
            out.push(Output::Event(Event::PipelineAborted(to.clone())));
        }
        // An operator's, on its way to the own disk: `restore` goes on when it is there.
        if !self.durability.is_durable(self.snapshots.written_in) {
            return;
        }
        let snapshot = self.snapshots.newest.clone();
        let index = snapshot.index;
        let (term, leader) = (self.term(), self.config.address.clone());
        let request = Request::InstallSnapshot(InstallSnapshot { term, leader, snapshot });
        let waiting = Waiting::Snapshot { peer, index };
        let call = self.call(to.clone(), Lane::Snapshot, request, waiting, out);
        if let State::Leader(leadership) = &mut self.state {
            leadership.peers[peer].snapshot_sent(call);
        }
        out.push(Output::Event(Event::SnapshotSent { peer: to, index }));
    }

    /// A follower has installed a snapshot, or has not, or gave no answer.
    pub(super) fn snapshot_ended(
        &mut self,
        now: Instant,
        peer: usize,
        call: CallId,
        index: LogIndex,
        installed: Option<bool>,
        out: &mut Vec<Output>,
    ) {
        let State::Leader(leadership) = &mut self.state else { return };
        let progress = &mut leadership.peers[peer];
        let current = progress.answered(call);
        if installed.is_some() {
            progress.last_contact = now;
        }
        if installed == Some(true) {
            if progress.succeeded(index, current) {
                let address = progress.address.clone();
                out.push(Output::Event(Event::Pipelining(address)));
            }
            self.advance_commit(now, out);
        } else if current {
            // Oracle: liveness. It waits for ever for the end of what has ended.
            if planted!(self.faults, "snapshot-progress-stuck") {
                return;
            }
            progress.failed(now);
        }
        self.replicate(now, peer, out);
    }
}

/// Installing.
impl Raft {
    /// Answers a leader that sends its snapshot.
    pub(super) fn handle_install(
        &mut self,
        now: Instant,
        token: ReplyToken,
        request: InstallSnapshot,
        out: &mut Vec<Output>,
    ) {
        let InstallSnapshot { term, leader, snapshot } = request;
        let makes_sense = LogIndex(0) < snapshot.index
            && snapshot.index <= MAX_INDEX
            && Term(0) < snapshot.term
            && snapshot.term <= term;
        if term < self.term()
            || !makes_sense
            || self.leads_as_well(&leader, term, out)
            || self.wants_newer_leader(now, &leader, term, out)
        {
            self.reply_after(None, token, self.install_response(false), out);
            return;
        }
        self.become_follower(now, term, Some(leader), StepDown::NewerTerm, out);
        self.last_contact = Some(now);
        // Oracle: commit-monotonic. One that was long under way takes back what came after it.
        let takes_older = planted!(self.faults, "install-older-snapshot");
        let batch = if snapshot.index > self.commit_index || takes_older {
            self.install(token, snapshot, out);
            Some(self.durability.current())
        } else {
            // Committed here already, but perhaps still on its way to the disk.
            self.log.batch_of(snapshot.index)
        };
        self.reply_after(batch, token, self.install_response(true), out);
    }

    pub(super) fn install_response(&self, success: bool) -> Response {
        Response::InstallSnapshot(InstallSnapshotResponse { term: self.term(), success })
    }

    fn install(&mut self, token: ReplyToken, meta: SnapshotMeta, out: &mut Vec<Output>) {
        let source = SnapshotSource::Received(token);
        let own = self.log.term_at(meta.index);
        // Oracle: liveness. The tail contradicts the snapshot, so no append goes with it, and the
        // leader sends the snapshot again and again.
        let keeps_any = planted!(self.faults, "install-keeps-conflicting-tail");
        let keeps_log = own == Some(meta.term) || (keeps_any && own.is_some());
        self.durability.install(Install { meta: meta.clone(), source, keeps_log });
        self.go_on_from(&meta, keeps_log, out);
        let (index, term) = (meta.index, meta.term);
        out.push(Output::Event(Event::SnapshotInstalled { index, term }));
        out.push(Output::Installed { meta, source });
        if keeps_log {
            self.compact(out);
        }
    }

    /// The snapshot is the beginning of everything; this step's batch puts it on disk.
    pub(super) fn go_on_from(
        &mut self,
        meta: &SnapshotMeta,
        keeps_log: bool,
        out: &mut Vec<Output>,
    ) {
        // A set of servers that is not committed goes with the log. What is in force in between is no
        // fact: after a start it may be none.
        let forgotten = !keeps_log && self.membership.truncated(self.commit_index.next());
        if !keeps_log {
            self.log.reset(meta.index, meta.term, self.durability.current());
        }
        if self.membership.installed(meta) || forgotten {
            self.tell_configuration(out);
        }
        self.commit_index = meta.index;
        self.emitted = meta.index;
        self.snapshots.newest = meta.clone();
        self.snapshots.written_in = self.durability.current();
    }
}
