//! The autopilot's configuration, which all servers share (spec cluster 6.6).

use crate::base::Duration;
use crate::state::index::AUTOPILOT;
use crate::state::{Answer, Change, CommandResult, Rows};

/// How the leader looks after the set of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutopilotConfiguration {
    /// Servers that are gone are removed.
    pub cleanup_dead_servers: bool,
    /// A server is unhealthy when it has not heard from the leader for longer.
    pub last_contact_threshold: Duration,
    /// Or when its log is further behind, in entries.
    pub max_trailing_logs: u64,
    /// Servers that are gone are not removed below this many voters.
    pub min_quorum: u64,
    /// So long a server must be healthy before it gets a vote.
    pub server_stabilization_time: Duration,
    /// Enterprise; kept, not interpreted.
    pub redundancy_zone_tag: String,
    /// Enterprise; kept, not interpreted.
    pub disable_upgrade_migration: bool,
    /// Enterprise; kept, not interpreted.
    pub upgrade_version_tag: String,
    /// Index of the entry that created it; 0 for the default that no entry carries.
    pub create_index: u64,
    /// Index of the entry that last changed it.
    pub modify_index: u64,
}

impl Default for AutopilotConfiguration {
    fn default() -> Self {
        Self {
            cleanup_dead_servers: true,
            last_contact_threshold: Duration::from_millis(200),
            max_trailing_logs: 250,
            min_quorum: 0,
            server_stabilization_time: Duration::from_secs(10),
            redundancy_zone_tag: String::new(),
            disable_upgrade_migration: false,
            upgrade_version_tag: String::new(),
            create_index: 0,
            modify_index: 0,
        }
    }
}

/// Write the configuration (Consul's message type 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutopilotCommand {
    /// What is to be; of its indexes only `modify_index` counts, and only with `cas`.
    pub configuration: AutopilotConfiguration,
    /// Only if the stored one's `ModifyIndex` is this one's.
    pub cas: bool,
}

/// The one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AutopilotTable(pub Option<AutopilotConfiguration>);

impl AutopilotTable {
    pub(super) fn apply(
        &mut self,
        index: u64,
        command: &AutopilotCommand,
    ) -> (CommandResult, Vec<Change>) {
        let stored = self.0.as_ref();
        let expected = command.configuration.modify_index;
        // As in Consul, there is nothing to compare with before the first write.
        if command.cas && stored.is_none_or(|stored| stored.modify_index != expected) {
            return (CommandResult::Flag(false), Vec::new());
        }
        let create_index = stored.map_or(index, |stored| stored.create_index);
        let configuration = AutopilotConfiguration {
            create_index,
            modify_index: index,
            ..command.configuration.clone()
        };
        self.0 = Some(configuration);
        (CommandResult::Flag(true), vec![Change::Index(AUTOPILOT.to_owned())])
    }

    pub(super) fn query(&self) -> Answer {
        let index = self.0.as_ref().map_or(0, |stored| stored.modify_index);
        Answer { index, rows: Rows::Autopilot(self.0.clone()) }
    }

    pub(super) fn check(&self, applied: u64) {
        let Some(stored) = &self.0 else { return };
        crate::invariant!(
            0 < stored.create_index
                && stored.create_index <= stored.modify_index
                && stored.modify_index <= applied,
            "autopilot configuration {} {} with {applied} applied",
            stored.create_index,
            stored.modify_index
        );
    }
}
