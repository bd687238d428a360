//! What a package holds is made of what the program says: the manual page and the completions of shells.
//! `UPDATE_GOLDENFILES=1` writes them anew.

use std::path::Path;

use proconsul::cli::{completion_script, manual};

#[track_caller]
fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(file);
    if std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|value| value == "1") {
        std::fs::write(&path, text).expect("the repository can be written to");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "packaging/{file} is old; UPDATE_GOLDENFILES=1 writes it anew");
}

#[test]
fn the_manual_page_is_what_the_commands_say() {
    let page = manual::page();
    compare("proconsul.1", &page);
    assert!(page.starts_with(".TH PROCONSUL 1 "));
    assert!(page.contains("\n.SS kv get\n"));
    // Only our own lines are requests to roff.
    let known = [".TH", ".SH", ".SS", ".B", ".BR", ".PP", ".TP", ".nf", ".fi"];
    for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
        let request = line.split(' ').next().expect("a word");
        assert!(known.contains(&request), "{line}");
    }
}

#[test]
fn completions_are_what_the_program_prints() {
    for (shell, file) in
        [("bash", "proconsul.bash"), ("zsh", "_proconsul"), ("fish", "proconsul.fish")]
    {
        let script = completion_script(shell).expect("known");
        compare(&format!("completions/{file}"), script);
    }
    assert_eq!(completion_script("tcsh"), None);
}
