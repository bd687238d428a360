//! The first event in which two traces differ: what `sim-runner diff` shows, and what a run that is
//! not deterministic ends in.

use std::fmt;

use super::event::{Header, TraceEvent};
use super::json::Lines;
use super::record::Recording;

/// How many equal events before the difference are shown.
const CONTEXT: usize = 5;

/// Where two traces part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// Index of the event.
    pub index: usize,
    /// The event of the first trace; none when it has ended.
    pub left: Option<TraceEvent>,
    /// The event of the second, in the time of the first.
    pub right: Option<TraceEvent>,
    /// The last equal events before it.
    pub context: Vec<TraceEvent>,
    left_header: Header,
    right_header: Header,
}

/// Compares events, not headers (two runs of one scenario may be titled differently); none when all
/// are equal.
///
/// Time zero is the end of the boot. When two boots part, every event before that would differ by its
/// time alone, so both traces are compared in the time since their first event.
#[must_use]
pub fn diff(left: &Recording, right: &Recording) -> Option<FirstDifference> {
    if left.events == right.events {
        return None;
    }
    let start = |recording: &Recording| recording.events.first().map_or(0, |event| event.at);
    let shift = start(left).saturating_sub(start(right));
    let shifted =
        |event: &TraceEvent| TraceEvent { at: event.at.saturating_add(shift), ..event.clone() };
    let both = left.events.iter().zip(&right.events);
    let mut equal = both.take_while(|(a, b)| **a == shifted(b)).count();
    let (mut a, mut b) = (left.events.get(equal).cloned(), right.events.get(equal).map(shifted));
    if a.is_none() && b.is_none() {
        // They differ in nothing but where time zero lies.
        equal = 0;
        (a, b) = (left.events.first().cloned(), right.events.first().cloned());
    }
    Some(FirstDifference {
        index: equal,
        left: a,
        right: b,
        context: left.events[equal.saturating_sub(CONTEXT)..equal].to_vec(),
        left_header: left.header.clone(),
        right_header: right.header.clone(),
    })
}

impl FirstDifference {
    /// When they part, virtual ns: the earlier of the two events.
    #[must_use]
    pub fn at(&self) -> i64 {
        self.left.iter().chain(&self.right).map(|event| event.at).min().unwrap_or(0)
    }
}

impl fmt::Display for FirstDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the traces differ from event {} on:", self.index)?;
        let left = Lines::new(&self.left_header);
        let right = Lines::new(&self.right_header);
        for event in &self.context {
            writeln!(f, "        {}", left.write(event))?;
        }
        let side = |lines: &Lines<'_>, event: &Option<TraceEvent>| match event {
            Some(event) => lines.write(event),
            None => "(the trace ends here)".to_owned(),
        };
        writeln!(f, "  left  {}", side(&left, &self.left))?;
        write!(f, "  right {}", side(&right, &self.right))
    }
}
