//! Events of the scenario language (section 7) as they occur.
//!
//! Some are one event of the trace (`step-down`), some only show against what was before it
//! (`leader-lost`): the [`View`] says those when it applies the event. What occurred
//! before time zero belongs to the boot and is not counted.
//!
//! Deliberately not here: `stale-read`, which needs the users' history to tell an acknowledged write
//! from one in flight; the checker finds it after the run and feeds it with [`Tally::add`].

use crate::scenario::model::{EventPattern, Target};
use crate::scenario::{Names, show_target};

use super::event::{Change, Host, TraceEvent, What};
use super::members::host_of;
use super::resolve::resolve;
use super::view::View;

/// What an event meant beyond itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// An election was won.
    pub elected: bool,
    /// A leader leads no longer: it stepped down, or its process ended.
    pub lost: bool,
    /// The election was won by another server than the one before.
    pub changed: bool,
}

/// What an agent logs when it has taken its peers from `raft/peers.json` (spec cluster 4.14).
pub(crate) const RECOVERED: &str = "found peers.json file, recovering Raft configuration";
/// And the mark it reaches where nothing is logged: the `legacy` discipline (spec cluster 4.15).
const RECOVERY_MARK: &str = "recovered-from-peers-json";

/// Whether the event is an occurrence of the pattern; `view`: right after it.
#[must_use]
pub fn matches(
    pattern: &EventPattern,
    event: &TraceEvent,
    happened: Happened,
    view: &View,
) -> bool {
    let of = |target: &Target, host: Option<Host>| {
        host.is_some_and(|host| resolve(target, view).hosts.contains(&host))
    };
    event.at >= 0
        && match (pattern, &event.what) {
            (EventPattern::LeaderElected, _) => happened.elected,
            (EventPattern::LeaderLost, _) => happened.lost,
            (EventPattern::LeaderChange, _) => happened.changed,
            (EventPattern::ElectionFailed, What::ElectionFailed { .. })
            | (EventPattern::StepDown, What::StepDown { .. })
            | (EventPattern::LogTruncated, What::Truncate { .. })
            | (EventPattern::SnapshotTaken, What::SnapshotTaken { .. })
            | (EventPattern::SnapshotInstalled, What::SnapshotInstalled { .. })
            | (EventPattern::Forwarded, What::Forwarded { .. }) => true,
            (
                EventPattern::MemberJoined(target)
                | EventPattern::MemberFailed(target)
                | EventPattern::MemberLeft(target),
                What::Member { pool, about, change, .. },
            ) => change_of(pattern) == Some(*change) && of(target, host_of(view, *pool, about)),
            (EventPattern::Promoted(target), What::Configuration { .. }) => {
                view.promoted().iter().any(|host| of(target, Some(*host)))
            }
            (EventPattern::RecoveredFromPeersJson, What::Log { text, .. }) => {
                text.contains(RECOVERED)
            }
            (EventPattern::RecoveredFromPeersJson, What::Mark { name }) => name == RECOVERY_MARK,
            (EventPattern::Logged(text), What::Log { level, module, text: line }) => {
                line.contains(text) || whole_line(level, module, line).contains(text)
            }
            (EventPattern::Mark(name), What::Mark { name: mark }) => mark == name,
            _ => false,
        }
}

/// The line as users grep it, without its time: `[WARN] raft: Heartbeat timeout reached`.
fn whole_line(level: &str, module: &str, text: &str) -> String {
    format!("[{level}] {module}: {text}")
}

/// The change among members that a pattern waits for.
fn change_of(pattern: &EventPattern) -> Option<Change> {
    match pattern {
        EventPattern::MemberJoined(_) => Some(Change::Joined),
        EventPattern::MemberFailed(_) => Some(Change::Failed),
        EventPattern::MemberLeft(_) => Some(Change::Left),
        _ => None,
    }
}

/// The event's name as users write it.
#[must_use]
pub fn name(pattern: &EventPattern) -> String {
    let with =
        |name: &str, target: &Target| format!("{name}({})", show_target(target, &Names::default()));
    match pattern {
        EventPattern::LeaderElected => "leader-elected".to_owned(),
        EventPattern::LeaderLost => "leader-lost".to_owned(),
        EventPattern::LeaderChange => "leader-change".to_owned(),
        EventPattern::ElectionFailed => "election-failed".to_owned(),
        EventPattern::StepDown => "step-down".to_owned(),
        EventPattern::LogTruncated => "log-truncated".to_owned(),
        EventPattern::SnapshotTaken => "snapshot-taken".to_owned(),
        EventPattern::SnapshotInstalled => "snapshot-installed".to_owned(),
        EventPattern::StaleRead => "stale-read".to_owned(),
        EventPattern::Forwarded => "forwarded".to_owned(),
        EventPattern::RecoveredFromPeersJson => "recovered-from-peers-json".to_owned(),
        EventPattern::MemberJoined(target) => with("member-joined", target),
        EventPattern::MemberFailed(target) => with("member-failed", target),
        EventPattern::MemberLeft(target) => with("member-left", target),
        EventPattern::Promoted(target) => with("promoted", target),
        EventPattern::Logged(text) => format!("logged({text:?})"),
        EventPattern::Mark(name) => format!("mark:{name}"),
    }
}

/// The event that only the checker can see.
pub const STALE_READ: EventPattern = EventPattern::StaleRead;

/// Events without an argument, whose occurrence every verdict lists under `seen`.
pub const PLAIN: &[EventPattern] = &[
    EventPattern::LeaderElected,
    EventPattern::LeaderLost,
    EventPattern::LeaderChange,
    EventPattern::ElectionFailed,
    EventPattern::StepDown,
    EventPattern::SnapshotTaken,
    EventPattern::SnapshotInstalled,
    EventPattern::LogTruncated,
    EventPattern::StaleRead,
    EventPattern::Forwarded,
    EventPattern::RecoveredFromPeersJson,
];

/// How often a pattern occurred, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// What is counted.
    pub pattern: EventPattern,
    /// How often.
    pub count: u64,
    /// The first time, virtual ns.
    pub first: Option<i64>,
    /// The last time.
    pub last: Option<i64>,
}

impl Tally {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(pattern: EventPattern) -> Self {
        Self { pattern, count: 0, first: None, last: None }
    }

    /// Counts the event when it is an occurrence, and says whether it was.
    pub fn observe(&mut self, event: &TraceEvent, happened: Happened, view: &View) -> bool {
        let occurred = matches(&self.pattern, event, happened, view);
        if occurred {
            self.add(event.at);
        }
        occurred
    }

    /// Counts one occurrence.
    pub fn add(&mut self, at: i64) {
        self.count += 1;
        self.first.get_or_insert(at);
        self.last = Some(at);
    }
}

/// Several tallies, one for each pattern that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    tallies: Vec<Tally>,
}

impl Tallies {
    /// Counts these patterns.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a EventPattern>) -> Self {
        let mut tallies = Self::default();
        patterns.into_iter().for_each(|pattern| tallies.watch(pattern));
        tallies
    }

    /// Counts this pattern too, from now on.
    pub fn watch(&mut self, pattern: &EventPattern) {
        if self.get(pattern).is_none() {
            self.tallies.push(Tally::new(pattern.clone()));
        }
    }

    /// Counts an event, and says whether any pattern matched.
    pub fn observe(&mut self, event: &TraceEvent, happened: Happened, view: &View) -> bool {
        let mut any = false;
        for tally in &mut self.tallies {
            any |= tally.observe(event, happened, view);
        }
        any
    }

    /// Counts an occurrence that no single event shows.
    pub fn add(&mut self, pattern: &EventPattern, at: i64) {
        self.tallies.iter_mut().filter(|t| t.pattern == *pattern).for_each(|t| t.add(at));
    }

    /// The tally of a pattern, if it is counted.
    #[must_use]
    pub fn get(&self, pattern: &EventPattern) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.pattern == *pattern)
    }
}
