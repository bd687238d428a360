//! The oracle of sets of servers (`modern`): each server goes by the newest set in its log or its
//! snapshot, and a snapshot carries the set of its last entry (spec cluster 4.8, 4.11). So a
//! server that was away while the set changed, and is caught up by a snapshot, has the right one.

use proconsul::base::LogIndex;
use proconsul::raft::{Configuration, Entry, EntryKind, Event, Output, Suffrage};
use proconsul::wire;

use crate::raft_cluster::{Cluster, Node};
use crate::raft_judge::{Judge, Violation};

/// Whether a server's set may be another after this.
pub fn concerns_set(output: &Output) -> bool {
    matches!(
        output,
        Output::Event(
            Event::Appended(_)
                | Event::Truncated(_)
                | Event::SnapshotInstalled { .. }
                | Event::SnapshotRestored(_)
                | Event::ConfigurationInForce { .. }
                | Event::CommitAdvanced(_)
        )
    )
}

fn set_in(entry: &Entry) -> Option<Configuration> {
    let is_set = entry.kind == EntryKind::Configuration;
    is_set.then(|| wire::raft::decode_configuration(&entry.data).expect("a readable set"))
}

fn differs(who: &Node, what: &str, is: &Configuration, at: LogIndex) -> Result<(), Violation> {
    let detail = format!("{}: {what} is {is:?} of {at}", who.address);
    Err(Violation::new("configuration-safety", detail))
}

impl Judge {
    /// The set as of this index, if anybody has committed it.
    fn committed_set(&self, upto: LogIndex) -> (LogIndex, Configuration) {
        let newest = self.sets.range(..=upto).next_back();
        newest.map_or_else(Default::default, |(&index, set)| (index, set.clone()))
    }

    pub fn set_committed(&mut self, entry: &Entry) {
        if let Some(set) = set_in(entry) {
            self.sets.insert(entry.index, set);
        }
    }

    /// A snapshot is taken, or installed on a server that went by the set of `before`.
    pub fn judge_snapshot_set(
        &mut self,
        who: &Node,
        output: &Output,
        before: &Configuration,
    ) -> Result<(), Violation> {
        let (Output::TakeSnapshot(meta) | Output::Installed { meta, .. }) = output else {
            return Ok(());
        };
        let right = self.committed_set(meta.index);
        if right != (meta.configuration_index, meta.configuration.clone()) {
            let what = format!("the set of snapshot {}", meta.index);
            return differs(who, &what, &meta.configuration, meta.configuration_index);
        }
        let installed = matches!(output, Output::Installed { .. });
        self.sets_installed += usize::from(installed && *before != meta.configuration);
        Ok(())
    }

    pub fn judge_set(&self, node: &Node) -> Result<(), Violation> {
        let Some(raft) = &node.raft else { return Ok(()) };
        let (is, at) = (raft.configuration(), raft.configuration_index());
        let in_log =
            node.log.entries.iter().rev().find_map(|entry| Some((entry.index, set_in(entry)?)));
        let right = in_log.unwrap_or_else(|| self.committed_set(node.log.start()));
        if right != (at, is.clone()) {
            return differs(node, "the set in force", is, at);
        }
        if *is != node.in_force {
            return differs(node, "the set in force, as told,", &node.in_force, at);
        }
        let (set, index) = raft.committed_configuration();
        if index > LogIndex(0) && self.sets.get(&index) != Some(&set) {
            return differs(node, "the committed set", &set, index);
        }
        if index < self.committed_set(raft.commit_index()).0 {
            return differs(node, "the committed set, which is old,", &set, index);
        }
        Ok(())
    }
}

impl Cluster {
    /// Whether each set that may come to count keeps a quorum of servers whose disks are whole, when
    /// this one's no longer is. Otherwise nobody can be elected (`src/raft/abstention.rs`).
    pub fn bears_damage_of(&self, at: usize) -> bool {
        let (newest, committed) = self.judge.committed_set(LogIndex(u64::MAX));
        let logs = self.nodes.iter().flat_map(|node| [&node.log, &node.disk.log]);
        let later = logs.flat_map(|log| &log.entries).filter(|entry| entry.index > newest);
        let mut sets: Vec<Configuration> = later.filter_map(set_in).collect();
        sets.push(if newest == LogIndex(0) { self.shape.configuration() } else { committed });
        sets.iter().all(|set| {
            let is_voter = |node: &Node| {
                let mut servers = set.servers.iter();
                servers.any(|it| it.address == node.address && it.suffrage == Suffrage::Voter)
            };
            let voters = self.nodes.iter().enumerate().filter(|(_, node)| is_voter(node));
            let (mut all, mut whole) = (0, 0);
            for (number, node) in voters {
                all += 1;
                whole += usize::from(number != at && !node.disk.abstains);
            }
            whole * 2 > all
        })
    }
}
