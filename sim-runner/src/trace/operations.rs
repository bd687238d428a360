//! How the users fare: outcomes, and the longest time without a successful write.

use std::collections::BTreeSet;

/// Tallies of the users' operations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Called.
    pub called: u64,
    /// Answered.
    pub ok: u64,
    /// Certainly without effect.
    pub fail: u64,
    /// Unknown outcome.
    pub unknown: u64,
    /// Ids of the writes. The trace does not say what an operation was, the history does.
    writes: BTreeSet<u64>,
    /// The last successful write, or the first call of one.
    last_success: Option<i64>,
    longest_outage: i64,
}

impl Operations {
    /// Says which operations are writes; before they are called.
    pub fn know_writes(&mut self, ids: impl IntoIterator<Item = u64>) {
        self.writes.extend(ids);
    }

    pub(super) fn invoke(&mut self, op: u64, at: i64) {
        self.called += 1;
        if self.writes.contains(&op) {
            self.last_success.get_or_insert(at);
            self.stretch(at);
        }
    }

    pub(super) fn finish(&mut self, op: u64, outcome: &str, at: i64) {
        match outcome {
            "ok" => self.ok += 1,
            "fail" => self.fail += 1,
            _ => self.unknown += 1,
        }
        if self.writes.contains(&op) {
            self.stretch(at);
            if outcome == "ok" {
                self.last_success = Some(at);
            }
        }
    }

    fn stretch(&mut self, at: i64) {
        let since = self.last_success.map_or(0, |last| at - last);
        self.longest_outage = self.longest_outage.max(since);
    }

    /// The longest time, ns, in which users tried to write and none succeeded. It counts while calls
    /// and answers of writes come in, so that the quiet after the last workload is no outage.
    #[must_use]
    pub fn longest_outage_ns(&self) -> u64 {
        self.longest_outage.unsigned_abs()
    }

    /// Operations that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ok + self.fail + self.unknown
    }
}
