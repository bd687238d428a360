//! Events: occurrences, which can be counted, waited for and put in order, but do not last.

use super::token::{Argument, Kind, Token, takes_nothing, tokens};
use crate::scenario::model::{EventPattern, Target};
use crate::scenario::target::{self, Names, Setting, did_you_mean, not_built};
use crate::scenario::values::Fault;
use crate::scenario::words::{EVENTS, NUMBERS, STATES};

/// An event.
///
/// # Errors
/// It is none.
pub fn event(text: &str, names: &Names) -> Result<EventPattern, Fault> {
    let all = 0..text.len();
    match tokens(text)?.as_slice() {
        [token] => match &token.kind {
            Kind::Word { name, argument } => event_of(token, name, argument.as_ref(), names),
            _ => Err(Fault::new(all, "this is not an event")),
        },
        _ => Err(Fault::new(all, "this is not an event")),
    }
}

/// Whether a word names an event.
#[must_use]
pub fn is_event(name: &str) -> bool {
    EVENTS.has(name) || EVENTS.plans(name) || name.starts_with("mark:")
}

/// Events without an argument.
const PLAIN_EVENTS: [(&str, EventPattern); 11] = [
    ("leader-elected", EventPattern::LeaderElected),
    ("leader-lost", EventPattern::LeaderLost),
    ("leader-change", EventPattern::LeaderChange),
    ("election-failed", EventPattern::ElectionFailed),
    ("step-down", EventPattern::StepDown),
    ("snapshot-taken", EventPattern::SnapshotTaken),
    ("snapshot-installed", EventPattern::SnapshotInstalled),
    ("log-truncated", EventPattern::LogTruncated),
    ("stale-read", EventPattern::StaleRead),
    ("forwarded", EventPattern::Forwarded),
    ("recovered-from-peers-json", EventPattern::RecoveredFromPeersJson),
];

/// What makes an event of whom it is about.
type OfTarget = fn(Target) -> EventPattern;

/// Events of a target.
const TARGET_EVENTS: [(&str, OfTarget); 4] = [
    ("member-joined", EventPattern::MemberJoined),
    ("member-failed", EventPattern::MemberFailed),
    ("member-left", EventPattern::MemberLeft),
    ("promoted", EventPattern::Promoted),
];

/// The event that a token names.
///
/// # Errors
/// It names none, or one that is not built.
pub fn event_of(
    token: &Token,
    name: &str,
    argument: Option<&Argument>,
    names: &Names,
) -> Result<EventPattern, Fault> {
    let range = token.range.clone();
    if name == "logged" {
        return match argument {
            Some(argument) if !argument.text.is_empty() => {
                Ok(EventPattern::Logged(argument.text.clone()))
            }
            _ => Err(Fault::new(range, "\"logged\" needs a text")
                .help("for example \"logged('entering leader state')\"")),
        };
    }
    if let Some(mark) = name.strip_prefix("mark:") {
        return match (mark.is_empty(), argument) {
            (true, _) => Err(Fault::new(range, "\"mark:\" needs the name of a coverage mark")),
            (_, Some(argument)) => Err(takes_nothing(name, argument)),
            _ => Ok(EventPattern::Mark(mark.to_owned())),
        };
    }
    if let Some((_, event)) = PLAIN_EVENTS.iter().find(|(word, _)| *word == name) {
        return match argument {
            Some(argument) => Err(takes_nothing(name, argument)),
            None => Ok(event.clone()),
        };
    }
    if let Some((_, of)) = TARGET_EVENTS.iter().find(|(word, _)| *word == name) {
        let Some(argument) = argument else {
            return Err(Fault::new(range, format!("{name:?} needs a target"))
                .help(format!("for example \"{name}(n1)\"")));
        };
        return target::parse(&argument.text, names, Setting::Plain)
            .map(of)
            .map_err(|fault| Fault { range: argument.range.clone(), ..fault });
    }
    if EVENTS.plans(name) {
        return Err(Fault::new(range, not_built("event", name)));
    }
    if STATES.has(name) || NUMBERS.has(name) {
        return Err(Fault::new(range, format!("{name:?} is a condition, not an event")));
    }
    let fault = Fault::new(range, format!("unknown event {name:?}"));
    Err(did_you_mean(fault, name, EVENTS.all()))
}

/// An event as the language writes it.
#[must_use]
pub fn show_event(event: &EventPattern, names: &Names) -> String {
    let with = |name: &str, whom: &Target| format!("{name}({})", target::show(whom, names));
    match event {
        EventPattern::MemberJoined(whom) => with("member-joined", whom),
        EventPattern::MemberFailed(whom) => with("member-failed", whom),
        EventPattern::MemberLeft(whom) => with("member-left", whom),
        EventPattern::Promoted(whom) => with("promoted", whom),
        EventPattern::Logged(text) => {
            let mark = if text.contains('\'') { '"' } else { '\'' };
            format!("logged({mark}{text}{mark})")
        }
        EventPattern::Mark(name) => format!("mark:{name}"),
        plain => {
            let word = PLAIN_EVENTS.iter().find(|(_, event)| event == plain);
            word.map(|(word, _)| (*word).to_owned()).expect("the table lists all other events")
        }
    }
}
