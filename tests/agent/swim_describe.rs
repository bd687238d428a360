//! What members of a pool say and do, in one line each; and how long their messages are supposed to be.

use proconsul::gossip::event::Event;
use proconsul::gossip::swim::{Node, Output, log_line};
use proconsul::gossip::{Accusation, MemberState, Message, SerfMessage};

use crate::swim_cluster::Cluster;

/// About what the real codec needs: keys, names, meta.
pub fn message_len(message: &Message) -> usize {
    let names =
        |accusation: &Accusation| accusation.node.as_str().len() + accusation.from.as_str().len();
    match message {
        Message::Ping(ping) => 70 + 2 * ping.node.as_str().len(),
        Message::IndirectPing(ping) => 90 + 2 * ping.node.as_str().len(),
        Message::Ack { payload, .. } => 20 + payload.as_ref().map_or(0, |payload| payload.len()),
        Message::Nack(_) => 10,
        Message::Suspect(accusation) | Message::Dead(accusation) => 30 + names(accusation),
        Message::Alive(alive) => 70 + alive.node.as_str().len() + alive.meta.len(),
        Message::User(SerfMessage::UserEvent(event)) => 40 + event.name.len(),
        Message::User(_) => 50,
    }
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Alive => "alive",
        MemberState::Suspect => "suspect",
        MemberState::Dead => "dead",
        MemberState::Left => "left",
    }
}

fn text(bytes: &[u8]) -> String {
    if bytes.is_empty() { String::new() } else { format!(" {}", String::from_utf8_lossy(bytes)) }
}

/// A member as one line.
pub fn describe_node(node: &Node) -> String {
    let Node { name, addr, incarnation, .. } = node;
    format!("{name}@{incarnation} {} {addr}{}", state(node.state), text(&node.meta))
}

pub fn describe_message(message: &Message) -> String {
    match message {
        Message::Ping(ping) => format!("ping {} {}", ping.sequence, ping.node),
        Message::IndirectPing(ping) => {
            let nack = if ping.nack { ", nack" } else { "" };
            format!("indirect ping {} {}{nack}", ping.sequence, ping.node)
        }
        Message::Ack { sequence, payload } => {
            format!("ack {sequence}{}", text(payload.as_deref().unwrap_or_default()))
        }
        Message::Nack(sequence) => format!("nack {sequence}"),
        Message::Suspect(it) => format!("suspect {}@{} from {}", it.node, it.incarnation, it.from),
        Message::Dead(it) => format!("dead {}@{} from {}", it.node, it.incarnation, it.from),
        Message::Alive(it) => format!("alive {}@{}{}", it.node, it.incarnation, text(&it.meta)),
        Message::User(message) => describe_user(message),
    }
}

fn describe_user(message: &SerfMessage) -> String {
    match message {
        SerfMessage::UserEvent(event) => format!("event {}", event.name),
        other => format!("{other:?}"),
    }
}

/// None for what says nothing new.
pub fn describe_output(cluster: &Cluster, output: &Output) -> Option<String> {
    Some(match output {
        Output::Packet { to, messages, checksum } => {
            let parts: Vec<String> = messages.iter().map(describe_message).collect();
            let crc = if *checksum { " crc" } else { "" };
            format!("→ {}{crc}: {}", cluster.label(*to), parts.join(", "))
        }
        Output::PushPull { to, state, .. } => {
            let join = if state.join { " to join" } else { "" };
            format!("⇄ {}{join}, {} members", cluster.label(*to), state.nodes.len())
        }
        Output::PushPullReply { state, .. } => format!("⇄ answers, {} members", state.nodes.len()),
        Output::StreamPing { to, ping, patience, .. } => {
            format!("⇒ {}: ping {} within {patience:?}", cluster.label(*to), ping.sequence)
        }
        Output::StreamPong { ack: Some(ack), .. } => format!("⇒ answers ack {ack}"),
        Output::StreamPong { ack: None, .. } => "⇒ closes".to_owned(),
        Output::NodeJoined(node) => format!("joined: {}", describe_node(node)),
        Output::NodeLeft(node) => format!("left: {}", describe_node(node)),
        Output::NodeUpdated(node) => format!("updated: {}", describe_node(node)),
        Output::NodeConflict { existing, other } => {
            format!("conflict: {} and {other}", describe_node(existing))
        }
        Output::UserMessage { message, .. } => format!("hears {}", describe_user(message)),
        Output::RemoteState { .. } => return None,
        Output::ProbeAcked { node, rtt, payload } => {
            let payload = text(payload.as_deref().unwrap_or_default());
            format!("acked by {} after {rtt:?}{payload}", node.name)
        }
        Output::Joined { report, .. } => {
            format!("join ends: {} contacted {:?}", report.contacted, report.errors)
        }
        Output::LeaveHeard | Output::LeaveTimedOut | Output::MetaHeard | Output::MetaTimedOut => {
            format!("{output:?}")
        }
        Output::Event(event) => describe_event(event),
    })
}

fn describe_event(event: &Event) -> String {
    if let Some((level, line)) = log_line(event) {
        return format!("[{level:?}] {line}");
    }
    match event {
        Event::StateChanged { node, from, to, incarnation, .. } => {
            let from = from.map_or("unknown", state);
            format!("{node}@{incarnation}: {from} → {}", state(*to))
        }
        Event::SuspicionStarted { node, by, needed, min, max } => {
            format!("suspicion of {node} by {by}, needs {needed}, {min:?} to {max:?}")
        }
        Event::SuspicionConfirmed { node, by, confirmations } => {
            format!("suspicion of {node} confirmed by {by}, {confirmations}")
        }
        Event::Warning { text, .. } => format!("[Warn] {text}"),
        Event::Information { text, .. } => format!("[Info] {text}"),
        other => format!("{other:?}"),
    }
}
