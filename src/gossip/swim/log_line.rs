//! memberlist's log lines for what happens in the core: the texts that people search for.

use crate::base::runtime::Level;
use crate::gossip::event::Event;
use crate::gossip::message::MemberState;

/// memberlist's line for this event (module `memberlist`); none for events that it does not mention,
/// and for those that carry their text.
#[must_use]
pub fn log_line(event: &Event) -> Option<(Level, String)> {
    let line = match event {
        Event::ProbeFailed { node, .. } => {
            (Level::Info, format!("Suspect {node} has failed, no acks received"))
        }
        Event::MarkedFailed { node, confirmations } => (
            Level::Info,
            format!(
                "Marking {node} as failed, suspect timeout reached ({confirmations} peer \
                 confirmations)"
            ),
        ),
        Event::Refuted { by, claimed: MemberState::Suspect, .. } => {
            (Level::Warn, format!("Refuting a suspect message (from: {by})"))
        }
        Event::Refuted { by, .. } => (Level::Warn, format!("Refuting a dead message (from: {by})")),
        _ => return None,
    };
    Some(line)
}
