//! One pass over the events for all oracles that read the trace.

use crate::property::Judgement;
use crate::trace::event::{Host, TraceEvent, What};
use crate::trace::json::seconds;
use crate::trace::view::View;

use super::evidence::Evidence;

/// An event and the state right after it.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Index in the trace.
    pub index: u64,
    /// The event; its host is in the header.
    pub event: &'a TraceEvent,
    /// The state after it.
    pub view: &'a View,
}

impl<'a> Seen<'a> {
    /// The name of the event's host.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.name_of(self.event.host)
    }

    /// A host's name.
    #[must_use]
    pub fn name_of(self, host: Host) -> &'a str {
        &self.view.node(host).name
    }

    /// When, in seconds: `12.345`.
    #[must_use]
    pub fn time(self) -> String {
        time(self.event.at)
    }
}

/// A time for sentences: seconds to the millisecond.
#[must_use]
pub fn time(ns: i64) -> String {
    let exact = seconds(ns);
    format!("{} s", &exact[..exact.len() - 6])
}

/// Judges one property from the trace.
pub trait Oracle {
    /// Takes in one event. Messages and their losses are left out: no oracle reads them.
    fn observe(&mut self, seen: Seen<'_>);

    /// The judgement; `view` is the state at the end.
    fn finish(self: Box<Self>, evidence: &Evidence, view: &View) -> Judgement;
}

/// Shows every event to every oracle, and collects their judgements.
#[must_use]
pub fn pass(evidence: &Evidence, mut oracles: Vec<Box<dyn Oracle>>) -> Vec<Judgement> {
    let mut view = View::new(&evidence.header, []);
    let hosts = evidence.header.hosts.len();
    for (index, event) in (0..).zip(&evidence.events) {
        let traffic = matches!(event.what, What::Deliver { .. } | What::Drop { .. });
        if traffic || usize::from(event.host.0) >= hosts {
            continue;
        }
        view.apply(event);
        for oracle in &mut oracles {
            oracle.observe(Seen { index, event, view: &view });
        }
    }
    oracles.into_iter().map(|oracle| oracle.finish(evidence, &view)).collect()
}
