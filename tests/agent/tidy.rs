//! The rules of the house that rustc, rustfmt and clippy do not hold, as tests.
//!
//! Each test lists all it finds, one `path:line: what; use X instead` a line. ARCHITECTURE.md says
//! why the rules are these; a new edge between modules is a change of the tables here.

use std::collections::BTreeSet;
use std::path::Path;

use crate::tidy_source::{Source, all, is_name, rust};

/// Modules of the agent, and which others each may import. Imports point downwards; `agent` and
/// `wire` are one layer and know each other: requests between agents have a form on the wire.
const AGENT: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("raft", &["base"]),
    ("gossip", &["base"]),
    ("state", &["base"]),
    ("wire", &["base", "raft", "gossip", "state", "agent"]),
    ("agent", &["base", "raft", "gossip", "state", "wire"]),
    ("http", &["base", "raft", "gossip", "state", "wire", "agent"]),
    ("dns", &["base", "raft", "gossip", "state", "wire", "agent"]),
    ("config", &["base", "raft", "gossip", "state", "wire", "agent", "watch"]),
    ("runtime", &["base"]),
    (
        "driver",
        &[
            "base", "raft", "gossip", "state", "wire", "agent", "http", "dns", "config", "cli",
            "watch",
        ],
    ),
    (
        "cli",
        &[
            "base", "raft", "gossip", "state", "wire", "agent", "http", "dns", "config", "driver",
            "watch",
        ],
    ),
    ("watch", &["base", "http"]),
];

/// What is written down: scenarios, histories, traces, verdicts. Whoever judges sees only this.
const EVIDENCE: &[&str] = &["history", "property", "scenario", "trace"];
/// What is alive: clusters and those who drive them.
const LIVE: &[&str] = &[
    "cluster", "fabric", "history", "nemesis", "property", "scenario", "trace", "workload", "zoo",
];
/// All of the testbed.
const WHOLE: &[&str] = &[
    "checker",
    "cli",
    "cluster",
    "commands",
    "fabric",
    "history",
    "judging",
    "nemesis",
    "property",
    "replay",
    "report",
    "run",
    "scenario",
    "simulation",
    "trace",
    "watchdog",
    "workload",
    "zoo",
];

/// Modules of the testbed, and which others each may import.
const TESTBED: &[(&str, &[&str])] = &[
    ("property", &[]),
    ("zoo", &[]),
    ("fabric", &[]),
    ("history", &[]),
    ("scenario", &["history", "property"]),
    ("trace", EVIDENCE),
    ("checker", EVIDENCE),
    ("report", EVIDENCE),
    ("cluster", LIVE),
    ("nemesis", LIVE),
    ("workload", LIVE),
    ("simulation", LIVE),
    ("run", WHOLE),
    ("judging", WHOLE),
    ("watchdog", WHOLE),
    ("replay", WHOLE),
    ("cli", WHOLE),
    ("commands", WHOLE),
];

const LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 100;

#[track_caller]
fn assert_tidy(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The one file of this path.
fn source(path: &str) -> Source {
    let found = all().into_iter().find(|source| source.path == path);
    found.unwrap_or_else(|| panic!("{path} is part of the repository"))
}

#[test]
fn imports_of_the_agent_point_downwards() {
    assert_tidy(layer_breaks("src/", AGENT));
}

#[test]
fn what_judges_does_not_see_what_is_alive() {
    assert_tidy(layer_breaks("sim-runner/src/", TESTBED));
}

fn layer_breaks(root: &str, table: &[(&str, &[&str])]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in rust().iter().filter(|source| source.path.starts_with(root)) {
        let inner = &source.path[root.len()..];
        let module = inner.split(['/', '.']).next().unwrap_or_default();
        if ["lib", "main"].contains(&module) {
            continue;
        }
        let Some((_, allowed)) = table.iter().find(|(name, _)| *name == module) else {
            let what = format!("module {module} has no layer; add it to the table in tidy.rs");
            complaints.push(source.complain(0, &what));
            continue;
        };
        for (at, name) in imported(source, depth(inner)) {
            let is_module = table.iter().any(|(other, _)| *other == name);
            if is_module && name != module && !allowed.contains(&name.as_str()) {
                let may = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
                let what = format!("{module} imports {name}; use only {may} (the layer table)");
                complaints.push(source.complain(at, &what));
            }
        }
    }
    complaints
}

/// How many `super` lead from a file to the root of its crate.
fn depth(inner: &str) -> usize {
    inner.split('/').filter(|part| *part != "mod.rs").count()
}

/// The names that follow `crate::` (also in braces), or as many `super::` as lead to the root.
fn imported(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for at in source.finds("crate::") {
        let rest = &source.code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            names.extend(first_names(list).into_iter().map(|name| (at, name)));
        } else {
            names.push((at, leading_name(rest)));
        }
    }
    let chain = "super::".repeat(depth);
    for at in source.finds(&chain) {
        names.push((at, leading_name(&source.code[at + chain.len()..])));
    }
    names
}

fn leading_name(text: &str) -> String {
    text.chars().take_while(|char| is_name(*char)).collect()
}

/// The first name of each path in `a, b::{c, d}, e}`.
fn first_names(list: &str) -> Vec<String> {
    let mut open = 0_usize;
    let mut names = Vec::new();
    let mut path = String::new();
    for char in list.chars() {
        match char {
            '{' => open += 1,
            '}' if open == 0 => break,
            '}' => open -= 1,
            ',' if open == 0 => names.push(leading_name(&std::mem::take(&mut path))),
            char if char.is_whitespace() => {}
            char => path.push(char),
        }
    }
    names.push(leading_name(&path));
    names
}

#[test]
fn only_the_runtime_names_the_operating_system() {
    const OURS: &str = "use the trait Runtime of base";
    const WORDS: [&str; 12] = [
        "tokio::net",
        "tokio::time",
        "tokio::fs",
        "tokio::process",
        "tokio::signal",
        "tokio::io",
        "tokio::task",
        "getrandom",
        "std::fs",
        "std::thread",
        "std::process::Command",
        "TcpStream",
    ];
    let shell = |source: &&Source| {
        source.path.starts_with("src/") && !source.is_below(&["src/runtime/", "src/main.rs"])
    };
    let mut complaints = Vec::new();
    for source in rust().iter().filter(shell) {
        for word in WORDS {
            for at in source.finds(word) {
                complaints.push(source.complain(at, &format!("names {word}; {OURS}")));
            }
        }
    }
    assert_tidy(complaints);
}

#[test]
fn only_the_fabric_names_the_simulator() {
    let mut complaints = Vec::new();
    let elsewhere = |source: &&Source| {
        source.is_below(&["src/", "sim-runner/"]) && !source.is_below(&["sim-runner/src/fabric/"])
    };
    for source in rust().iter().filter(elsewhere) {
        for at in source.finds("madsim") {
            if !source.code[..at].ends_with("cfg(not(") {
                complaints.push(source.complain(at, "names madsim; use sim_runner::fabric"));
            }
        }
    }
    assert_tidy(complaints);
}

#[test]
fn every_module_opens_with_an_essay() {
    let bare = |source: &Source| !source.text.starts_with("//!");
    let what = "has no essay; open it with `//!`: contract, invariants, what it does not do";
    let sources = rust();
    assert_tidy(
        sources.iter().filter(|source| bare(source)).map(|s| s.complain(0, what)).collect(),
    );
}

#[test]
fn unfinished_and_silenced_code_is_not_kept() {
    const IN_CODE: [(&str, &str); 7] = [
        ("dbg!", "an event or a log line"),
        ("todo!", "an error, or finish it"),
        ("unimplemented!", "an error, or finish it"),
        ("#[allow(", "#[expect(…, reason = …)]"),
        ("#![allow(", "#[expect(…, reason = …)] where it is needed"),
        ("thread_rng", "a stream of base::Prng"),
        ("#[ignore", "a test that always runs"),
    ];
    // Spelled in two, so that this file does not find itself.
    let in_prose = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut complaints = Vec::new();
    for source in all() {
        if source.path.ends_with(".rs") {
            for (word, instead) in IN_CODE {
                for at in source.finds(word) {
                    complaints.push(source.complain(at, &format!("{word}; use {instead} instead")));
                }
            }
        }
        if source.path.starts_with("LICENSE") {
            continue;
        }
        for word in in_prose {
            for (at, _) in source.text.match_indices(word) {
                let what = format!("{word}; use an issue, or finish it");
                complaints.push(source.complain(at, &what));
            }
        }
    }
    assert_tidy(complaints);
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let written = |source: &&Source| {
        [".rs", ".js", ".css", ".html"].iter().any(|kind| source.path.ends_with(kind))
    };
    let mut complaints = Vec::new();
    for source in all().iter().filter(written) {
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            let what = format!("{lines} lines, at most {LINES_MAX}; use one file per concept");
            complaints.push(source.complain(0, &what));
        }
    }
    assert_tidy(complaints);
}

#[test]
fn functions_can_be_read_on_one_screen_or_two() {
    let mut complaints = Vec::new();
    for source in rust().iter().filter(|source| source.is_below(&["src/", "sim-runner/src/"])) {
        for at in source.finds("fn").into_iter().filter(|at| *at < source.tests_begin()) {
            let lines = function_lines(&source.code[at..]);
            if lines > FUNCTION_LINES_MAX {
                let most = FUNCTION_LINES_MAX;
                let what =
                    format!("a function of {lines} lines, at most {most}; use smaller steps");
                complaints.push(source.complain(at, &what));
            }
        }
    }
    assert_tidy(complaints);
}

/// Lines from `fn` to the brace that closes its body; of a declaration or a type, none.
fn function_lines(code: &str) -> usize {
    let Some(open) = code.find('{').filter(|open| !code[..*open].contains(';')) else { return 0 };
    let mut depth = 0_usize;
    for (at, char) in code[open..].char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return code[..open + at].lines().count();
        }
    }
    0
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Spelled in two, so that this file does not find itself.
    let words = [concat!("/wo", "rk/"), concat!("../sha", "red"), concat!("help", "er-")];
    let mut complaints = Vec::new();
    for source in all() {
        for word in words {
            for (at, _) in source.text.match_indices(word) {
                let what = format!("{word} is of somebody's workplace; use what is in here");
                complaints.push(source.complain(at, &what));
            }
        }
    }
    assert_tidy(complaints);
}

#[test]
fn every_planted_bug_is_in_the_zoo_and_every_animal_is_planted() {
    let mut planted = BTreeSet::new();
    let mut complaints = Vec::new();
    let zoo = source("sim-runner/src/zoo.rs");
    let names: BTreeSet<&str> =
        zoo.text.split("name: \"").skip(1).filter_map(until_quote).collect();
    for source in rust() {
        let in_use = source.is_below(&["src/", "sim-runner/src/"]);
        if !in_use || ["src/base/faults.rs", zoo.path.as_str()].contains(&source.path.as_str()) {
            continue;
        }
        for at in [source.finds("planted!("), source.finds(".planted(")].concat() {
            let Some(name) = source.text[at..].split_once('"').and_then(|(_, it)| until_quote(it))
            else {
                continue;
            };
            if !names.contains(name) {
                let what = format!("plant {name} is unknown; use a name of sim-runner/src/zoo.rs");
                complaints.push(source.complain(at, &what));
            }
            planted.insert(name.to_owned());
        }
    }
    for name in names.iter().filter(|name| !planted.contains(**name)) {
        let what = format!("{name} is planted nowhere; use planted!(faults, {name:?}) in the code");
        let at = zoo.text.find(&format!("name: \"{name}\"")).unwrap_or(0);
        complaints.push(zoo.complain(at, &what));
    }
    assert_tidy(complaints);
}

fn until_quote(text: &str) -> Option<&str> {
    text.split_once('"').map(|(name, _)| name)
}

/// A line of a table of dependencies.
struct Dependency {
    /// The manifest.
    manifest: &'static str,
    line: usize,
    /// As code names it.
    name: String,
    /// Whether it says what it is for, here or where its version stands.
    explained: bool,
    /// Whether it is the table that packages share.
    shared: bool,
}

fn dependencies() -> Vec<Dependency> {
    let mut found = Vec::new();
    for manifest in ["Cargo.toml", "sim-runner/Cargo.toml"] {
        let mut table = "";
        let mut explained = false;
        for (number, line) in source(manifest).text.lines().enumerate() {
            if line.starts_with('[') {
                table = if line.ends_with("dependencies]") { "dependencies" } else { "" };
                if line.starts_with("[workspace") && !table.is_empty() {
                    table = "shared";
                }
            } else if !table.is_empty() && line.starts_with(is_name) {
                let elsewhere = line.contains("workspace = true") || line.contains("path = ");
                let name: String =
                    line.chars().take_while(|char| is_name(*char) || *char == '-').collect();
                found.push(Dependency {
                    manifest,
                    line: number + 1,
                    name: name.replace('-', "_"),
                    explained: explained || elsewhere || line.contains('#'),
                    shared: table == "shared",
                });
            }
            explained = line.starts_with('#');
        }
    }
    found
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let what = "a dependency without a reason; use `# what it is for`";
    let bare = dependencies().into_iter().filter(|dependency| !dependency.explained);
    assert_tidy(bare.map(|it| format!("{}:{}: {what}", it.manifest, it.line)).collect());
}

#[test]
fn every_dependency_is_used() {
    let sources = rust();
    let mut complaints = Vec::new();
    for dependency in dependencies().iter().filter(|dependency| !dependency.shared) {
        let folders: &[&str] = match dependency.manifest {
            "Cargo.toml" => &["src/", "tests/agent/"],
            _ => &["sim-runner/", "tests/testbed"],
        };
        let mut own = sources.iter().filter(|source| source.is_below(folders));
        if !own.any(|source| !source.finds(&dependency.name).is_empty()) {
            let Dependency { manifest, line, name, .. } = dependency;
            complaints.push(format!("{manifest}:{line}: {name} is used nowhere; use fewer"));
        }
    }
    assert_tidy(complaints);
}

#[test]
fn the_documents_name_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut complaints = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(source) {
        let mut at = 0;
        for (part, text) in document.text.split('`').enumerate() {
            // Between the odd and the even backtick; fenced blocks hold line breaks.
            let is_code = part % 2 == 1 && !text.contains(char::is_whitespace);
            let is_path = ["src/", "sim-runner/", "tests/", "scenarios/", ".ci/", ".cargo/"]
                .iter()
                .any(|folder| text.starts_with(folder));
            if is_code && is_path && !text.contains(['*', '{']) && !root.join(text).exists() {
                complaints
                    .push(document.complain(at, &format!("{text} is not there; use its path")));
            }
            at += text.len() + 1;
        }
    }
    assert_tidy(complaints);
}

/// What ships has neither planted bugs nor rare paths: not the function that asks for them, and not
/// their names. A build of the whole workspace turns them on for the testbed, so this runs in
/// `cargo test -p proconsul`.
#[cfg(not(feature = "buggify"))]
#[test]
fn the_shipped_program_has_no_planted_bugs() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_proconsul")).expect("the program was built");
    let zoo = source("sim-runner/src/zoo.rs");
    let plants = zoo.text.split("name: \"").skip(1).filter_map(until_quote);
    // `Faults::planted` as symbols spell it.
    for name in plants.chain(["6Faults7planted"]) {
        let found = program.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(!found, "the shipped program knows of the planted bugs: {name}");
    }
}
