//! What the local state is told at construction.

use std::collections::BTreeMap;

use crate::base::Duration;

use super::types::Definitions;

/// The node that an agent speaks for, and how it treats what is registered with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalConfig {
    /// A UUID.
    pub node_id: String,
    /// Its name.
    pub node_name: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Where it is reached.
    pub address: String,
    /// By network: `lan`, `wan`, `lan_ipv4` …
    pub tagged_addresses: BTreeMap<String, String>,
    /// What its operators say of it, and `consul-network-segment`.
    pub node_meta: BTreeMap<String, String>,
    /// A check's output that changes alone is pushed so late (`check_update_interval`, 5 min); zero: at
    /// once.
    pub check_update_interval: Duration,
    /// Outputs of checks are dropped (`discard_check_output`).
    pub discard_check_output: bool,
    /// At most so much of an output is kept, bytes (`check_output_max_size`, 4096).
    pub check_output_max_size: u64,
    /// Scripts run, whoever registers them (`enable_script_checks`).
    pub enable_script_checks: bool,
    /// Scripts of configuration files run (`enable_local_script_checks`, or the above).
    pub enable_local_script_checks: bool,
    /// Whether what users register outlives the process; not in dev mode.
    pub keeps_definitions: bool,
    /// What it starts with.
    pub definitions: Definitions,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self {
            node_id: String::new(),
            node_name: String::new(),
            datacenter: String::new(),
            address: String::new(),
            tagged_addresses: BTreeMap::new(),
            node_meta: BTreeMap::new(),
            check_update_interval: Duration::from_secs(300),
            discard_check_output: false,
            check_output_max_size: 4096,
            enable_script_checks: false,
            enable_local_script_checks: false,
            keeps_definitions: false,
            definitions: Definitions::default(),
        }
    }
}
