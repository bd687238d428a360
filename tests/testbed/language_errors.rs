//! What people see when a scenario is wrong: exact texts, in `golden/language/*.txt`.
//!
//! A case is a scenario (lines that begin with `$ --set` are overrides), a line `---`, and the
//! diagnostics. `UPDATE_GOLDENFILES=1 cargo test` writes the files anew; read the difference.

use std::path::{Path, PathBuf};

use sim_runner::scenario::model::Seed;
use sim_runner::scenario::{load, load_text, lower};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testbed/golden/language")
}

/// Scenarios of a golden file: what stands before each `---`.
fn cases(golden: &str) -> Vec<String> {
    let mut cases = Vec::new();
    let mut case = String::new();
    let mut in_case = true;
    for line in golden.lines() {
        match line {
            "---" => {
                cases.push(std::mem::take(&mut case));
                in_case = false;
            }
            "===" => in_case = true,
            line if in_case => case.push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    cases
}

fn answer(case: &str) -> String {
    let (sets, lines): (Vec<&str>, Vec<&str>) =
        case.lines().partition(|line| line.starts_with("$ --set "));
    let sets: Vec<String> = sets.iter().map(|line| line["$ --set ".len()..].to_owned()).collect();
    match load_text("test.toml", &lines.join("\n"), &sets) {
        Ok(_) => "no error".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn diagnostics_are_as_recorded() {
    let update = std::env::var_os("UPDATE_GOLDENFILES").is_some();
    let mut files: Vec<_> = std::fs::read_dir(folder()).expect("golden files").flatten().collect();
    files.sort_by_key(|file| file.path());
    assert!(!files.is_empty());
    for file in files {
        let golden = std::fs::read_to_string(file.path()).expect("a golden file");
        let answers: Vec<String> =
            cases(&golden).iter().map(|case| format!("{case}---\n{}\n", answer(case))).collect();
        let found = answers.join("===\n");
        if update {
            std::fs::write(file.path(), &found).expect("a golden file");
        } else {
            assert_eq!(found, golden, "{}", file.path().display());
        }
        assert!(!found.contains("\nno error\n"), "{}: a case is no error", file.path().display());
    }
}

#[test]
fn files_that_are_no_scenarios() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("written");
        let path = folder.path().join(name);
        let errors = load(&path, &[]).expect_err("it is no scenario").to_string();
        errors.replace(&path.display().to_string(), name)
    };
    assert_eq!(
        write("empty.toml", b""),
        "empty.toml: the file is empty; a scenario begins with a `title`"
    );
    assert_eq!(
        write("latin1.toml", b"title = \"t\"\nstory = \"caf\xe9\"\n"),
        "latin1.toml:2:13: not UTF-8: byte 0xe9 at offset 24"
    );
    let garbage: Vec<u8> =
        (0..10_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(write("big.toml", &garbage), "big.toml: is larger than 1 MB; that is no scenario");
    let nul = write("nul.toml", &[0; 1000]);
    assert!(nul.starts_with("nul.toml:1:1: "), "{nul}");

    let errors = |path: &Path| load(path, &[]).expect_err("it is no scenario").to_string();
    let missing = errors(&folder.path().join("emty.toml"));
    assert!(missing.contains("emty.toml: no such file; did you mean "), "{missing}");
    assert!(missing.ends_with("empty.toml?"), "{missing}");
    let dir = errors(folder.path());
    assert!(dir.contains(": is a folder; name a scenario file in it, such as "), "{dir}");
}

#[test]
fn chaos_without_end_is_refused() {
    let text =
        "title = 't'\n[[chaos]]\nbetween = '0s..20h'\nevery = '1ms'\nfaults = { kill = 1 }\n";
    let source = load_text("test.toml", text, &[]).expect("every word is right");
    let seed = Seed::parse("1").expect("a seed");
    let errors = lower(&source, &seed).expect_err("it is too much").to_string();
    assert!(errors.contains("more than 10000 steps"), "{errors}");
}

/// Every word of the language that is not built says so, and is not taken for a mistake.
#[test]
fn words_that_are_not_built_say_so() {
    let verbs = "upgrade";
    let targets = "dc:dc2";
    let mut texts = Vec::new();
    texts.extend(verbs.split_whitespace().map(|w| format!("[[step]]\ndo = '{w}'")));
    let kill = |w| format!("[[step]]\ndo = 'kill'\ntarget = '{w}'");
    texts.extend(targets.split_whitespace().map(kill));
    for text in texts {
        let errors = answer(&format!("title = 't'\n{text}\n"));
        assert!(errors.contains("part of the language, but not built"), "{text}\n{errors}");
        assert!(!errors.contains("\n\n"), "one error is enough:\n{errors}");
    }
}
