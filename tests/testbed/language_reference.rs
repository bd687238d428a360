//! `scenarios/reference.toml` shows every word of the language that works.
//!
//! A word counts where the reader would meet it: in a key or a value, not in prose. A line that a
//! scenario could not hold beside the others may be commented out: `# violates = "linearizable"`.

use std::collections::BTreeSet;

use sim_runner::scenario::words::{self, Words};

const REFERENCE: &str = include_str!("../../scenarios/reference.toml");

/// What is left of a line without prose.
fn code(line: &str) -> &str {
    let line = line.trim_start();
    let line = match line.strip_prefix("# ") {
        Some(silent) if silent.contains(" = ") => silent,
        _ => line,
    };
    line.split_once('#').map_or(line, |(code, _)| code)
}

fn shown() -> BTreeSet<&'static str> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || "-_:".contains(c);
    REFERENCE.lines().flat_map(|line| code(line).split(move |c| !of_word(c))).collect()
}

#[test]
fn the_reference_shows_every_word() {
    let kinds: &[Words] = &[
        words::TOP,
        words::CLUSTER,
        words::BOOT,
        words::PROFILE,
        words::NETWORK,
        words::DISK_TABLE,
        words::CLOCK,
        words::TIME,
        words::WORKLOAD_KINDS,
        words::EVENT,
        words::KV,
        words::LOCK,
        words::SESSION,
        words::CATALOG,
        words::HEALTH,
        words::WATCH,
        words::TXN,
        words::BEHAVIORS,
        words::WATCHED,
        words::KV_MIX,
        words::CONSISTENCY,
        words::VERBS,
        words::SHAPES,
        words::DISK,
        words::SIGNAL,
        words::CHAOS,
        words::FAULTS,
        words::TARGETS,
        words::STATES,
        words::NUMBERS,
        words::EVENTS,
    ];
    let shown = shown();
    let mut missing: Vec<String> = kinds
        .iter()
        .flat_map(|words| words.built.iter().map(|word| format!("{} {word}", words.kind)))
        .chain(words::RULES.iter().chain(words::MODIFIERS).map(|word| format!("key {word}")))
        .chain(words::STEP_COMMON.iter().map(|word| format!("key {word}")))
        .collect();
    for verb in words::VERBS.built {
        missing.extend(words::verb_keys(verb).iter().map(|key| format!("key {key}")));
    }
    missing.retain(|word| !shown.contains(word.rsplit(' ').next().unwrap_or_default()));
    assert!(missing.is_empty(), "scenarios/reference.toml lacks {missing:?}");
}

#[test]
fn prose_shows_nothing() {
    assert_eq!(code("do = \"kill\"   # a leave"), "do = \"kill\"   ");
    assert_eq!(code("# all that leave"), "");
    assert_eq!(code("# boot = \"manual\"  # none"), "boot = \"manual\"  ");
}
