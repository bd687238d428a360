//! What clocks, disks, links and files can suffer, and commands: the parts of a [`Plan`] that the
//! verbs of language section 6 with keys of their own stand for.
//!
//! [`Plan`]: super::model::Plan

use proconsul::base::{Duration, Ratio};
use serde_json::Value;

use super::model::{Span, Target};

/// The slowest clock: a tenth of true time.
pub const SLOWEST_PPM: i64 = -900_000;
/// The fastest clock: ten times true time.
pub const FASTEST_PPM: i64 = 9_000_000;

/// A half-open range of whole numbers; `low == high` for a fixed one. Nanoseconds, or parts per
/// million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignedSpan {
    /// Least.
    pub low: i64,
    /// Greatest, exclusive (but the value itself when equal).
    pub high: i64,
}

/// `[disk]`, of every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// Per call.
    pub fsync: Span,
    /// Per call.
    pub read: Span,
    /// Per call.
    pub write: Span,
    /// Bytes of all files of a node.
    pub capacity: Option<u64>,
}

impl Default for DiskPlan {
    fn default() -> Self {
        let nothing = Span { low: Duration::ZERO, high: Duration::ZERO };
        Self {
            fsync: Span { low: Duration::from_micros(200), high: Duration::from_millis(2) },
            read: nothing,
            write: nothing,
            capacity: None,
        }
    }
}

/// `[clock]`; each node draws once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockPlan {
    /// How far the wall clock is off, ns.
    pub skew_ns: SignedSpan,
    /// By how much both clocks run fast or slow.
    pub drift_ppm: SignedSpan,
}

/// `skew`, `drift`, `jump`, `strobe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// The wall clock is off by this, ns, whatever it was before.
    Skew(i64),
    /// Both clocks run at (10⁶ + this) / 10⁶ of their rate.
    Drift(i64),
    /// The wall clock jumps by this, ns.
    Jump(i64),
    /// The wall clock jumps by this and back, ns, again and again.
    Strobe {
        /// How far.
        by_ns: i64,
        /// How long it stays.
        every: Duration,
    },
}

/// What befalls a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the language, section 6")]
pub enum DiskFault {
    SlowFsync {
        by: Span,
    },
    FsyncLies,
    DiskFull {
        /// After so many further bytes.
        after: u64,
    },
    IoError {
        read: bool,
        write: bool,
        fsync: bool,
        which: Which,
    },
    TornWrite,
    LoseUnsynced,
    BitRot {
        path: String,
        count: u64,
    },
    Misdirect {
        path: String,
        count: u64,
    },
}

/// `nth` or `ratio` of `io-error`; neither means every operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Which {
    Every,
    Nth(u64),
    Ratio(Ratio),
}

/// `file`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileStep {
    /// On which nodes.
    pub target: Target,
    /// Below the data directory.
    pub path: String,
    /// What is done with it.
    pub act: FileAct,
}

/// What a `file` step does.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the language, section 6")]
pub enum FileAct {
    Write(String),
    Delete,
    /// To this length, bytes.
    Truncate(u64),
    /// So many drawn bits flip.
    Corrupt(u64),
    Expect(FileExpect),
}

/// `expect` of `file`; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileExpect {
    /// The whole content.
    pub content: Option<String>,
    /// Parts of it.
    pub contains: Vec<String>,
    /// Not parts of it.
    pub excludes: Vec<String>,
    /// `json."0.KEY"`: path in the parsed content, and the value there.
    pub json: Vec<(String, Value)>,
    /// Whether there is no such file.
    pub absent: Option<bool>,
}

/// `cli`.
#[derive(Clone, Debug, PartialEq)]
pub struct CliStep {
    /// On which node.
    pub via: Target,
    /// The command line, without the program's name.
    pub run: String,
    /// What must come of it.
    pub expect: CliExpect,
    /// Whether `within` was given: then it is repeated until it is as expected.
    pub retry: bool,
}

/// `expect` of `cli`; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CliExpect {
    /// The exit code.
    pub exit: Option<i64>,
    /// Parts of the output (both streams).
    pub contains: Vec<String>,
    /// Not parts of it.
    pub excludes: Vec<String>,
    /// A pattern that the whole output matches.
    pub matches: Option<String>,
}

/// Which links a fault is on.
#[derive(Clone, Debug, PartialEq)]
pub enum Links {
    /// All links of these nodes.
    Of(Target),
    /// `"A -> B"`, or both ways: `"A <-> B"`.
    Between {
        /// Who sends.
        from: Target,
        /// Who receives.
        to: Target,
        /// And the other way.
        both: bool,
    },
}

/// `proto` of a fault of links; neither means both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Proto {
    Tcp,
    Udp,
}

/// What befalls the messages of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the language, section 6")]
pub enum LinkFault {
    Slow(Span),
    Lose(Ratio),
    Duplicate(Ratio),
    Reorder(Ratio),
    Corrupt(Ratio),
    /// Bytes per second.
    Throttle(u64),
    /// Nothing leaves until it is undone; then all of it does.
    Clog,
    /// Connections are reset, and so are new ones.
    Reset,
    /// New connections are refused; those that are open go on.
    Refuse,
    /// Messages vanish.
    Blackhole,
}
