//! What a process can say of the machine that it runs on, and of itself.

use std::collections::BTreeMap;

/// This process, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tasks that have not ended.
    pub tasks: u64,
    /// Memory that it holds, bytes.
    pub memory_bytes: u64,
    /// Processors that it may use.
    pub processors: u64,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Its name.
    pub hostname: String,
    /// Distribution: `debian`; its family and version.
    pub platform: [String; 3],
    /// Of the kernel.
    pub kernel_version: String,
    /// Since the start, seconds.
    pub uptime_s: u64,
    /// When it started: seconds since the Unix epoch.
    pub booted_s: u64,
    /// How many processes run.
    pub processes: u64,
    /// The kernel's words and bytes: `MemTotal`, `MemAvailable` …
    pub memory: BTreeMap<String, u64>,
    /// The processors, each in the kernel's words: `model name`, `cpu MHz` …
    pub processors: Vec<BTreeMap<String, String>>,
    /// The root's file system.
    pub disk: DiskSpace,
    /// What could not be found out.
    pub errors: Vec<String>,
}

/// A file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// What kind.
    pub fstype: String,
    /// Bytes.
    pub total: u64,
    /// Bytes that a user may still take.
    pub free: u64,
    /// Bytes.
    pub used: u64,
    /// Files that there may be.
    pub inodes_total: u64,
    /// Files that there may still be.
    pub inodes_free: u64,
}
