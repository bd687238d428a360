//! Where a normalised answer differs from the recorded one: one readable line for each place.
//!
//! Everything must be equal, with one exception: an `X-Consul-Index` without `!` may be coarser than
//! Consul's (move when Consul's stays), never smaller than the body's, stuck, or 1 where Consul's is not.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::variables::regex;

static INDEX: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^idx(?<strict>!?)(?<one>=1)? body(?<body>\S+) prev:(?<before>\S+)$"));

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 300;

pub fn differences(want: &Value, got: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare(want, got, "", &mut lines);
    lines
}

fn compare(want: &Value, got: &Value, at: &str, lines: &mut Vec<String>) {
    match (want, got) {
        (Value::String(wanted), Value::String(gotten)) if same_index(wanted, gotten) => {}
        (Value::Object(wanted), Value::Object(gotten)) => {
            let below =
                |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
            for (key, want) in wanted {
                match gotten.get(key) {
                    Some(got) => compare(want, got, &below(key), lines),
                    None => lines.push(missing(&below(key), want)),
                }
            }
            for (key, got) in gotten.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
                lines.push(unexpected(&below(key), got));
            }
        }
        (Value::Array(wanted), Value::Array(gotten)) => {
            for number in 0..wanted.len().max(gotten.len()) {
                let place = format!("{at}[{number}]");
                match (wanted.get(number), gotten.get(number)) {
                    (Some(want), Some(got)) => compare(want, got, &place, lines),
                    (Some(want), None) => lines.push(missing(&place, want)),
                    (None, Some(got)) => lines.push(unexpected(&place, got)),
                    (None, None) => {}
                }
            }
        }
        _ if want == got => {}
        _ => lines.push(format!("{at}: want {} got {}", short(want), short(got))),
    }
}

/// Whether these are two index relations of which the second is as good as the first.
fn same_index(want: &str, got: &str) -> bool {
    let (Some(want_parts), Some(got_parts)) = (INDEX.captures(want), INDEX.captures(got)) else {
        return want == got;
    };
    if !want_parts["strict"].is_empty() {
        return want == got;
    }
    if got_parts.name("one").is_some() && want_parts.name("one").is_none() {
        return false;
    }
    let (want_body, got_body) = (&want_parts["body"], &got_parts["body"]);
    if (want_body == "none") != (got_body == "none") || (want_body != "<" && got_body == "<") {
        return false;
    }
    let (before, after) = (&want_parts["before"], &got_parts["before"]);
    match before {
        "same" => after == "same" || after == "up",
        "down" => true,
        _ => before == after,
    }
}

fn missing(at: &str, want: &Value) -> String {
    format!("{at}: missing, want {}", short(want))
}

fn unexpected(at: &str, got: &Value) -> String {
    format!("{at}: unexpected {}", short(got))
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let more = text.chars().count().saturating_sub(SHOWN_MAX);
    if more == 0 {
        return text;
    }
    format!("{}…({more} more)", text.chars().take(SHOWN_MAX).collect::<String>())
}
