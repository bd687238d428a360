//! Serf's log lines for what happens to members: the texts that people search for (spec cluster 2.6).

use crate::base::runtime::Level;
use crate::gossip::event::Event;
use crate::gossip::io::MemberEventKind;

/// Serf's line for this event (module `serf`); none for events that it does not mention, and for those
/// that carry their text.
#[must_use]
pub fn log_line(event: &Event) -> Option<(Level, String)> {
    let Event::Member { kind, forced, node, addr, .. } = event else { return None };
    let what = match kind {
        MemberEventKind::Join => "EventMemberJoin",
        MemberEventKind::Leave => "EventMemberLeave",
        MemberEventKind::Failed => "EventMemberFailed",
        MemberEventKind::Update => "EventMemberUpdate",
        MemberEventKind::Reap => "EventMemberReap",
    };
    let how = if *forced { " (forced)" } else { "" };
    let names_address = *forced || !matches!(kind, MemberEventKind::Update | MemberEventKind::Reap);
    let line = if names_address {
        format!("{what}{how}: {node} {}", addr.ip())
    } else {
        format!("{what}{how}: {node}")
    };
    Some((Level::Info, line))
}
