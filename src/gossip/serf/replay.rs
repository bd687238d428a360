//! Reading the snapshot file back: what the last life of this member knew (spec cluster 2.15).
//!
//! Each line replaces what earlier ones said. `leave` clears everything, unless the operator wants a
//! member that left on purpose to go back (`-rejoin`). A line that makes no sense is remarked on and
//! skipped: a torn last line costs that line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::base::NodeName;
use crate::gossip::message::LamportTime;

/// What is known of the last life. The default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Previous {
    /// Members that were alive, by name; perhaps ourselves.
    pub alive: Vec<(NodeName, SocketAddr)>,
    /// The last time said on the clock of intents.
    pub clock: Option<LamportTime>,
    /// Of user events.
    pub event_clock: Option<LamportTime>,
    /// Of queries.
    pub query_clock: Option<LamportTime>,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// It left on purpose, and goes back all the same.
    pub ignored_leave: bool,
    /// What the log should warn of.
    pub remarks: Vec<String>,
}

/// Reads a snapshot file.
#[must_use]
pub fn parse(text: &str, rejoin_after_leave: bool) -> Previous {
    let mut previous = Previous { bytes: text.len() as u64, ..Previous::default() };
    let mut alive: BTreeMap<NodeName, SocketAddr> = BTreeMap::new();
    for line in text.lines() {
        if let Some(member) = line.strip_prefix("alive: ") {
            let parsed = member.rsplit_once(' ').and_then(|(name, addr)| {
                Some((NodeName::from(name), addr.parse::<SocketAddr>().ok()?))
            });
            match parsed {
                Some((name, addr)) => _ = alive.insert(name, addr),
                None => previous.remarks.push(format!("Failed to parse address: {member}")),
            }
        } else if let Some(name) = line.strip_prefix("not-alive: ") {
            alive.remove(&NodeName::from(name));
        } else if let Some(time) = line.strip_prefix("clock: ") {
            previous.note("clock time", time, |previous| &mut previous.clock);
        } else if let Some(time) = line.strip_prefix("event-clock: ") {
            previous.note("event clock time", time, |previous| &mut previous.event_clock);
        } else if let Some(time) = line.strip_prefix("query-clock: ") {
            previous.note("query clock time", time, |previous| &mut previous.query_clock);
        } else if line == "leave" {
            if rejoin_after_leave {
                previous.ignored_leave = true;
            } else {
                alive.clear();
                let Previous { bytes, remarks, .. } = previous;
                previous = Previous { bytes, remarks, ..Previous::default() };
            }
        } else if !line.starts_with("coordinate: ") && !line.starts_with('#') {
            previous.remarks.push(format!("Unrecognized snapshot line: {line}"));
        }
    }
    previous.alive = alive.into_iter().collect();
    previous
}

impl Previous {
    fn note(&mut self, what: &str, text: &str, of: fn(&mut Self) -> &mut Option<LamportTime>) {
        match text.parse() {
            Ok(time) => *of(self) = Some(LamportTime(time)),
            Err(_) => self.remarks.push(format!("Failed to convert {what}: {text}")),
        }
    }
}
