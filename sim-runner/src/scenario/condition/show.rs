//! Conditions as the language writes them, for `expand`. Parentheses stand wherever they could
//! matter; what is read from the text is the same condition.

use super::event::show_event;
use crate::scenario::model::{Comparison, Condition, Number, State, Target};
use crate::scenario::target::{self, Names};

/// A condition as the language writes it.
#[must_use]
pub fn show(condition: &Condition, names: &Names) -> String {
    let inner = |one: &Condition| format!("({})", show(one, names));
    match condition {
        Condition::And(a, b) => format!("{} and {}", inner(a), inner(b)),
        Condition::Or(a, b) => format!("{} or {}", inner(a), inner(b)),
        Condition::Not(one) => format!("not {}", inner(one)),
        Condition::At(one, place) => format!("{} at {}", inner(one), target::show(place, names)),
        Condition::State(state) => show_state(state, names),
        Condition::Compare(number, operator, value) => {
            let sign = match operator {
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Equal => "=",
                Comparison::NotEqual => "!=",
                Comparison::GreaterOrEqual => ">=",
                Comparison::Greater => ">",
            };
            format!("{} {sign} {value}", show_number(number, names))
        }
    }
}

fn show_state(state: &State, names: &Names) -> String {
    let with = |name: &str, target: &Target| format!("{name}({})", target::show(target, names));
    let of = |name: &str, service: &str| format!("{name}({})", quoted(service));
    match state {
        State::OneLeader => "one-leader".to_owned(),
        State::NoLeader => "no-leader".to_owned(),
        State::Writable => "writable".to_owned(),
        State::LogsConverged => "logs-converged".to_owned(),
        State::Leader(target) => with("leader", target),
        State::Up(target) => with("up", target),
        State::Down(target) => with("down", target),
        State::Voter(target) => with("voter", target),
        State::MembersConverged => "members-converged".to_owned(),
        State::Alive(target) => with("alive", target),
        State::Failed(target) => with("failed", target),
        State::Left(target) => with("left", target),
        State::Member(target) => with("member", target),
        State::CatalogConverged => "catalog-converged".to_owned(),
        State::Registered(service) => of("registered", service),
        State::Passing(service) => of("passing", service),
        State::Critical(service) => of("critical", service),
        State::Locked(key) => of("locked", key),
    }
}

fn show_number(number: &Number, names: &Names) -> String {
    let word = match number {
        Number::Count(event) => return format!("count({})", show_event(event, names)),
        Number::Leaders => "leaders",
        Number::LeadersPerTerm => "leaders-per-term",
        Number::Voters => "voters",
        Number::Members => "members",
        Number::Term => "term",
        Number::OkRatio => "ok-ratio",
        Number::UnknownOps => "unknown-ops",
        Number::LongestOutage => "longest-outage",
        Number::Instances(service) => return format!("instances({})", quoted(service)),
        Number::Healthy(service) => return format!("healthy({})", quoted(service)),
    };
    word.to_owned()
}

/// An argument, in quotes where it is more than letters, digits and `_ - .`.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    match text.contains('\'') {
        _ if text.chars().all(plain) => text.to_owned(),
        true => format!("\"{text}\""),
        false => format!("'{text}'"),
    }
}
