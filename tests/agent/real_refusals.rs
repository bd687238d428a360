//! What a real agent does not start with: it says what, where and what to do, and exits with 1.

use std::fs;
use std::os::unix::fs::FileExt;

use crate::real_process::{Setup, check_all, command, copy_of, free_port, put};

/// Starts it; it must end by itself with 1. What it wrote.
fn refused(setup: &Setup) -> String {
    let (status, log) = setup.start().exit();
    assert_eq!(status.code(), Some(1), "{log}");
    log
}

#[test]
fn a_damaged_log_is_refused_and_left_alone() {
    let setup = Setup::single();
    let agent = setup.serve();
    let written: Vec<_> =
        (0..20).map(|n| (format!("k{n}"), format!("a value, number {n}"))).collect();
    assert!(written.iter().all(|(key, value)| put(agent.at, key, value)));
    agent.crash();

    let whole = copy_of(&setup.log_file());
    let value = b"a value, number 9";
    let at = whole.windows(value.len()).position(|window| window == value).expect("it is stored");
    let mut damaged = whole.clone();
    damaged[at + 3] ^= 0x40;
    fs::write(setup.log_file(), &damaged).expect("a written file");
    let log = refused(&setup);
    assert!(log.contains("the Raft log is damaged: raft/0000000000000001.wal at byte "), "{log}");
    assert!(log.contains("Restore its data directory from a backup"), "{log}");
    assert!(log.contains(&setup.data().display().to_string()), "{log}");
    assert!(copy_of(&setup.log_file()) == damaged, "the file is as it was");

    // Repaired, it serves again.
    fs::write(setup.log_file(), &whole).expect("a written file");
    check_all(setup.serve().at, &written);
}

#[test]
fn a_torn_last_write_is_cut_off() {
    let setup = Setup::single();
    let agent = setup.serve();
    assert!(put(agent.at, "kept", "yes"));
    agent.crash();
    // The beginning of a group that was never acknowledged: the length is there, the bytes are not.
    // It follows the last group, where zeros have been written ahead.
    let mut before = copy_of(&setup.log_file());
    before.truncate(before.iter().rposition(|byte| *byte != 0).expect("a group") + 1);
    let file = fs::File::options().write(true).open(setup.log_file()).expect("the log");
    file.write_all_at(&[17, 0, 0, 0, 9], before.len() as u64).expect("written");
    drop(file);
    let agent = setup.serve();
    check_all(agent.at, &[("kept".to_owned(), "yes".to_owned())]);
    assert!(copy_of(&setup.log_file()).starts_with(&before));
}

#[test]
fn a_taken_port_is_named() {
    let first = Setup::single();
    let agent = first.serve();
    let members =
        format!(", \"ports\": {{ \"http\": {}, \"server\": {} }}", first.http, free_port());
    let other = Setup::new(1, free_port(), &members, &["-dev"]);
    let log = refused(&other);
    if !log.contains("twice") {
        assert!(log.contains(&format!("listen on {}", agent.at)), "{log}");
        assert!(log.contains("is another agent running here?"), "{log}");
    }
    let same_server_port = Setup::new(1, first.server, "", &["-dev"]);
    let log = refused(&same_server_port);
    assert!(log.contains(&format!(":{}", first.server)), "{log}");
    assert!(log.contains("is another agent running here?"), "{log}");
}

#[test]
fn a_data_folder_has_one_agent() {
    let first = Setup::single();
    let agent = first.serve();
    let data = format!("-data-dir={}", first.data().display());
    let second = Setup::new(2, free_port(), "", &["-server", "-bootstrap", &data]);
    let log = refused(&second);
    assert!(log.contains("is in use by another agent"), "{log}");
    assert!(put(agent.at, "still", "serving"));
    agent.crash();
    // The claim dies with the process.
    second.start().crash();
}

#[test]
fn bad_configuration_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refusal = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a written file");
        let (code, stdout, stderr) =
            command(&["agent", "-dev", &format!("-config-file={}", path.display())], "");
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        stderr
    };
    let text = refusal("misspelt.json", b"{\n  \"sever\": true\n}");
    assert!(
        text.contains("misspelt.json:2: invalid config key sever, did you mean server?"),
        "{text}"
    );
    let text = refusal("type.json", b"{ \"server\": true,\n\n \"node_name\": [7] }");
    assert!(text.contains("type.json:3: node_name"), "{text}");
    assert!(refusal("bytes.json", b"\xff\xfe{}").contains("bytes.json"));
    assert!(refusal("empty.json", b"[1, 2").contains("empty.json:1"));

    let (code, _, stderr) = command(&["agent", "-config-file=/does/not/exist.json"], "");
    assert!(code == 1 && stderr.contains("/does/not/exist.json"), "{stderr}");
    let (code, _, stderr) = command(&["agent", "-no-such-flag"], "");
    assert!(code == 1 && stderr.contains("no-such-flag"), "{stderr}");
    assert_eq!(command(&["no-such-command"], "").0, 127);
}
