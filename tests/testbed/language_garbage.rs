//! Nothing that is given for a scenario makes the reader panic, hang, or print without end.

use proptest::prelude::*;
use sim_runner::scenario::model::Seed;
use sim_runner::scenario::{load_text, lower};

const REFERENCE: &str = include_str!("../../scenarios/reference.toml");
const CHAOS: &str = include_str!("../../scenarios/fast/chaos_kill_partition_pause.toml");

/// Reads a text; when it is a scenario after all, lowers it too.
fn survives(text: &str, sets: &[String]) {
    match load_text("test.toml", text, sets) {
        Ok(source) => drop(lower(&source, &Seed::parse("7").expect("a seed"))),
        Err(errors) => {
            let shown = errors.to_string();
            assert!(errors.count() > 0 && shown.len() < 64 * 1024, "{} bytes", shown.len());
            assert!(!shown.contains('\0') && !shown.contains('\x1b'));
        }
    }
}

/// Words and marks of the language, thrown about.
fn shred() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "[[step]]\n",
        "[cluster]\n",
        "[[expect]]\n",
        "[[chaos]]\n",
        "[[workload]]\n",
        "at = ",
        "do = ",
        "after = ",
        "for = ",
        "\"kill\"\n",
        "\"10s..\"\n",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "=",
        "\n",
        "..",
        "not(",
        "(((((",
        "same-as:",
        "logged(\"",
        "{n1",
        "\u{1b}[31m",
        "é",
        "\u{202e}",
        "-1",
        "1e999",
        "0x",
        "99999999999999999999",
        "step.",
        "always = \"",
        "\"\"\"",
        "#",
        "\t",
        "\r\n",
        "\0",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_scenarios(
        chaos in any::<bool>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..20, "\\PC{0,6}"), 1..6),
    ) {
        let mut text: Vec<char> = if chaos { CHAOS } else { REFERENCE }.chars().collect();
        for (at, length, with) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, with.chars());
        }
        survives(&text.into_iter().collect::<String>(), &[]);
    }

    #[test]
    fn values_exchanged(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let mut lines: Vec<String> = REFERENCE.lines().map(str::to_owned).collect();
        let values: Vec<(usize, String)> = lines
            .iter()
            .enumerate()
            .filter_map(|(at, line)| Some((at, line.split_once(" = ")?.1.to_owned())))
            .collect();
        let (at, _) = values[to.index(values.len())].clone();
        let (_, value) = values[from.index(values.len())].clone();
        let key = lines[at].split(" = ").next().unwrap_or_default().to_owned();
        lines[at] = format!("{key} = {value}");
        survives(&lines.join("\n"), &[]);
    }

    #[test]
    fn random_texts(text in "(?s).{0,300}") {
        survives(&text, &[]);
        survives(&format!("title = {text:?}\n[[step]]\ndo = 'note'\ntext = {text:?}\n"), &[]);
        survives(&format!("title = 't'\n[[expect]]\nalways = {text:?}\nof = {text:?}\n"), &[]);
        survives("title = 't'\n", &[text]);
    }

    #[test]
    fn shreds_of_the_language(text in shred(), set in shred()) {
        survives(&text, &[]);
        survives(&format!("title = 't'\n{text}"), &[set.replace('\n', "")]);
    }
}

#[test]
fn deep_nesting_and_long_lines() {
    let deep =
        |open: &str, close: &str| format!("{}x{}", open.repeat(50_000), close.repeat(50_000));
    for (open, close) in
        [("(", ")"), ("not ", ""), ("not(", ")"), ("[", "]"), ("{", "}"), ("{a=", "}")]
    {
        let nested = deep(open, close);
        survives(&format!("title = 't'\n[[expect]]\nalways = \"{nested}\"\n"), &[]);
        survives(&format!("title = 't'\n[[step]]\ndo = 'kill'\ntarget = \"{nested}\"\n"), &[]);
        survives(&format!("title = {nested}\n"), &[]);
        survives("title = 't'\n", &[format!("cluster.config={nested}")]);
    }
    survives(&"[[step]]\n".repeat(50_000), &[]);
    survives(&format!("title = 't'\n{}", "x = 1\n".repeat(100_000)), &[]);
    survives(&"a.".repeat(100_000), &[]);
}
