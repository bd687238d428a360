//! The cases that are known to differ (`known_differences.txt`), and those that are a matter of chance.
//!
//! One `group/case  # reason` a line. The list is exact: a case on it that passes fails the test as a case
//! does that is not on it and differs. `UPDATE_KNOWN_DIFFERENCES=1` writes it anew, keeping reasons.

use std::collections::BTreeMap;
use std::fs;

use crate::cases::folder;

/// Cases whose outcome is a draw with Consul too, and of what. Each may be run so often until it passes.
pub const DRAWN: [(&str, &str); 1] = [(
    "catalog-deregister/own-node-heals",
    "after its first full sync an agent makes another within 3 s, by a draw; who deregisters its node \
     later than that waits for a minute, and the case waits for 8 s",
)];

/// Attempts at a case that is a draw.
pub const DRAWS: usize = 4;

pub type Known = BTreeMap<String, String>;

const HEAD: &str = "\
# Cases in which this agent answers other than Consul did, one `group/case  # reason` a line.
# The list is exact: a case that is here and passes fails the test, too.
# UPDATE_KNOWN_DIFFERENCES=1 cargo test -p proconsul --test conformance
";

pub fn load() -> Result<Known, String> {
    let path = folder().join("known_differences.txt");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text)
}

pub fn parse(text: &str) -> Result<Known, String> {
    let mut known = Known::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let parts = line.split_once("  # ").filter(|(_, reason)| !reason.trim().is_empty());
        let (name, reason) = parts.ok_or(format!("no reason: {line}"))?;
        if known.insert(name.to_owned(), reason.to_owned()).is_some() {
            return Err(format!("twice: {name}"));
        }
    }
    Ok(known)
}

/// Writes the list anew: what differed, and what was not run and stands there already.
pub fn write(
    known: &Known,
    differing: &BTreeMap<String, Vec<String>>,
    ran: &[String],
) -> Result<(), String> {
    let mut list: Known = known.clone();
    list.retain(|name, _| !ran.contains(name) || differing.contains_key(name));
    for (name, report) in differing {
        let first = report.iter().map(|line| line.trim()).find(|line| !line.starts_with("step "));
        let reason: String = first.unwrap_or("differs").chars().take(100).collect();
        list.entry(name.clone()).or_insert(reason);
    }
    let lines = list.iter().map(|(name, reason)| format!("{name}  # {reason}\n"));
    let text = HEAD.to_owned() + &lines.collect::<String>();
    fs::write(folder().join("known_differences.txt"), text).map_err(|error| error.to_string())
}
