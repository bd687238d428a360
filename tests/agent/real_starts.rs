//! More of what a real agent does not start with: ports that are taken, data that is somebody else's, folders
//! that cannot be written, settings that contradict each other. It says what, where and what to do, exits
//! with 1, and leaves everything as it was.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use crate::real_process::{Setup, command, copy_of, free_port, loopback, put};

/// Starts it; it must end by itself with 1. What it wrote.
fn refused(setup: &Setup) -> String {
    let (status, log) = setup.start().exit();
    assert_eq!(status.code(), Some(1), "{log}");
    log
}

/// Every file below, and what it holds.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.insert(path.clone(), copy_of(&path));
        }
    }
    all
}

/// The file is there while the agent runs; one that cannot be written ends the start.
#[test]
fn a_pid_file_names_the_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("agent.pid");
    fs::write(&path, "12345678901234567890").expect("what an earlier agent left");
    let setup = Setup::single().with_flag(&format!("-pid-file={}", path.display()));
    let agent = setup.serve();
    assert_eq!(fs::read_to_string(&path).expect("the file"), agent.pid().to_string());
    agent.signal("-TERM");
    let (_, log) = agent.exit();
    assert!(!path.exists(), "{log}");

    let nowhere = format!("-pid-file={}/none/agent.pid", folder.path().display());
    let (status, log) = Setup::single().with_flag(&nowhere).start().exit();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("cannot write pid_file: "), "{log}");
    assert!(log.contains("/none/agent.pid"), "{log}");
}

/// With one port taken by somebody else, one after the other.
#[test]
fn a_taken_port_is_named_with_its_key() {
    for (key, is_datagram) in
        [("http", false), ("server", false), ("serf_lan", true), ("serf_wan", true)]
    {
        let port = free_port();
        let at = (loopback(1), port);
        let taken = (
            (!is_datagram).then(|| TcpListener::bind(at).expect("a free port")),
            is_datagram.then(|| UdpSocket::bind(at).expect("a free port")),
        );
        let ports: Vec<String> = ["http", "server", "serf_lan", "serf_wan"]
            .map(|name| format!("\"{name}\": {}", if name == key { port } else { free_port() }))
            .into();
        let members = format!(", \"ports\": {{ {} }}", ports.join(", "));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("agent.json");
        let text = format!("{{ \"bind_addr\": \"127.0.0.1\"{members} }}");
        fs::write(&file, text).expect("a written file");
        let (code, _, log) =
            command(&["agent", "-dev", &format!("-config-file={}", file.display())], "");
        assert_eq!(code, 1, "{log}");
        assert!(log.contains(&format!("Error starting agent: ports.{key}: ")), "{log}");
        assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");
        assert!(log.contains("is another agent running here? Stop that one"), "{log}");
        drop(taken);
    }
}

#[test]
fn data_of_somebody_else_is_left_alone() {
    let setup = Setup::single();
    let agent = setup.serve();
    assert!(put(agent.at, "a", "kept"));
    agent.crash();
    let before = contents(&setup.data());
    let id = String::from_utf8(copy_of(&setup.data().join("node-id"))).expect("text");

    // Another node's.
    let other = "11111111-2222-3333-4444-555555555555";
    let setup = setup.with_flag(&format!("-node-id={other}"));
    let log = refused(&setup);
    assert!(
        log.contains(&format!("holds the Raft log of node {id}, and this is node {other}")),
        "{log}"
    );
    assert!(log.contains(&setup.data().display().to_string()), "{log}");
    let setup = setup.without("-node-id");

    // Of another version, and of Consul itself.
    let log_file = setup.log_file();
    let whole = copy_of(&log_file);
    let mut later = whole.clone();
    later[8] = 9;
    later[12..16].fill(0);
    let sum = crc32c::crc32c(&later[..48]);
    later[12..16].copy_from_slice(&sum.to_le_bytes());
    fs::write(&log_file, &later).expect("a written file");
    let log = refused(&setup);
    assert!(log.contains("is of another version of this program (format 9)"), "{log}");
    assert!(copy_of(&log_file) == later, "it is as it was");
    fs::write(&log_file, &whole).expect("a written file");
    let consuls = setup.data().join("raft/raft.db");
    fs::write(&consuls, b"bolt").expect("a written file");
    let log = refused(&setup);
    assert!(log.contains("raft/raft.db is the Raft log of HashiCorp's Consul"), "{log}");
    assert!(log.contains("consul snapshot save"), "{log}");
    fs::remove_file(&consuls).expect("it was there");

    assert!(contents(&setup.data()) == before, "nothing was lost");
    let agent = setup.serve();
    assert_eq!(crate::real_process::get(agent.at, "a", "stale").as_deref(), Some("kept"));
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, b"not a folder").expect("a written file");
    for data in [file.join("data"), file.clone(), PathBuf::from("/proc/no-such-folder")] {
        let flag = format!("-data-dir={}", data.display());
        let (code, _, stderr) = command(&["agent", "-server", "-bind=127.0.0.1", &flag], "");
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains(&data.display().to_string()), "{stderr}");
    }
    assert_eq!(copy_of(&file), b"not a folder");
}

#[test]
fn settings_that_contradict_each_other_are_refused_in_consuls_words() {
    for (flags, wanted) in [
        (&[][..], "data_dir cannot be empty"),
        (&["-server"], "data_dir cannot be empty"),
        (&["-bootstrap", "-data-dir=/x"], "'bootstrap = true' requires 'server = true'"),
        (
            &["-bootstrap-expect=3", "-data-dir=/x"],
            "'bootstrap_expect > 0' requires 'server = true'",
        ),
        (
            &["-server", "-bootstrap", "-bootstrap-expect=3", "-data-dir=/x"],
            "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive",
        ),
        (&["-dev", "-bootstrap-expect=3"], "'bootstrap_expect > 0' not allowed in dev mode"),
        (
            &["-server", "-bootstrap-expect=-1", "-data-dir=/x"],
            "bootstrap_expect cannot be -1. Must be greater than or equal to zero",
        ),
        (
            &["-dev", "-datacenter=no spaces"],
            "can only contain lowercase alphanumeric, - or _ characters",
        ),
        (&["-dev", "-log-level=loud"], "Invalid log level: LOUD"),
        (&["-dev", "-syslog"], "enable_syslog is not supported"),
        (
            &["-dev", "-log-file=/no/such/folder/consul.log"],
            "Failed to setup logging: /no/such/folder",
        ),
    ] {
        let (code, stdout, stderr) = command(&[&["agent"], flags].concat(), "");
        assert_eq!((code, stdout.as_str()), (1, ""), "{flags:?}: {stderr}");
        assert!(stderr.contains(wanted), "{flags:?}: {stderr}");
    }
}
