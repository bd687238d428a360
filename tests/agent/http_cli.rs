//! The commands, over an agent in memory: output and exit codes as Consul's (recorded from 1.9.8).

use std::collections::BTreeMap;

use proconsul::cli::{NodeRunner, Terminal, run};
use proconsul::config::AgentConfig;
use proconsul::http::{Identity, router};

use crate::http_pipe::World;
use crate::http_store::StoreBackend;

struct NoNode;

impl NodeRunner<World> for NoNode {
    async fn run(&self, _: World, config: AgentConfig) -> i32 {
        assert!(config.node_id.is_some());
        42
    }
}

/// Exit code, standard output, standard error.
pub fn shell(world: &World, line: &[&str], stdin: &str) -> (i32, String, String) {
    shell_with(world, &[], line, stdin)
}

/// Likewise, with these variables in the environment.
pub fn shell_with(
    world: &World,
    env: &[(&str, &str)],
    line: &[&str],
    stdin: &str,
) -> (i32, String, String) {
    let (mut stdin, mut out, mut err) = (stdin.as_bytes(), Vec::new(), Vec::new());
    let args: Vec<String> = line.iter().map(|arg| (*arg).to_owned()).collect();
    let env: BTreeMap<String, String> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut terminal = Terminal {
        stdin: &mut stdin,
        stdout: &mut out,
        stderr: &mut err,
        env,
        watched: false,
        program: "/usr/bin/proconsul".to_owned(),
    };
    let code = world.run(run(world.clone(), &args, &mut terminal, &NoNode));
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}

#[test]
fn kv_commands_print_what_consul_prints() {
    let world = World::default();
    world.serve(router(&StoreBackend::new(Identity::server("n1"))));
    world.put_file("value.txt", "from file\n");
    for (line, stdin, code, out, err) in [
        (&["kv", "put", "a/1", "one"][..], "", 0, "Success! Data written to: a/1\n", ""),
        (
            &["kv", "put", "-flags=42", "/a/b/2", "-"],
            "two",
            0,
            "Success! Data written to: a/b/2\n",
            "",
        ),
        (&["kv", "get", "a/b/2"], "", 0, "two\n", ""),
        (&["kv", "get", "-keys", "a"], "", 0, "a/\n", ""),
        (&["kv", "get", "-keys", "-separator="], "", 0, "a/1\na/b/2\n", ""),
        (&["kv", "get", "-recurse", "a"], "", 0, "a/1:one\na/b/2:two\n", ""),
        (&["kv", "get", "-base64", "a/1"], "", 0, "b25l\n", ""),
        (&["kv", "get", "none"], "", 1, "", "Error! No key exists at: none\n"),
        (&["kv", "get"], "", 1, "", "Error! Missing KEY argument\n"),
        (&["kv", "get", "a", "b"], "", 1, "", "Too many arguments (expected 1, got 2)\n"),
        (&["kv", "put", "f", "@value.txt"], "", 0, "Success! Data written to: f\n", ""),
        (
            &["kv", "put", "f", "@no"],
            "",
            1,
            "",
            "Error! Failed to read file: open no: no such file or directory\n",
        ),
        (
            &["kv", "put", "-cas", "a/1", "x"],
            "",
            1,
            "",
            "Error! Did not write to a/1: CAS performed with index=0 and key already exists.\n",
        ),
        (
            &["kv", "delete", "-cas", "a/1"],
            "",
            1,
            "",
            "Cannot delete a key that does not exist. Provide a -modify-index greater than than 0.\n",
        ),
        (
            &["kv", "delete", "-cas", "-modify-index=1", "a/1"],
            "",
            1,
            "",
            "Error! Did not delete key a/1: CAS failed\n",
        ),
        (&["kv", "delete", "-recurse", "a"], "", 0, "Success! Deleted keys with prefix: a\n", ""),
        (&["kv", "get", "-keys", "a"], "", 0, "", ""),
    ] {
        let got = shell(&world, line, stdin);
        assert_eq!(got, (code, out.to_owned(), err.to_owned()), "{line:?}");
    }
}

#[test]
fn values_and_keys_are_read_as_consul_reads_them() {
    let world = World::default();
    world.serve(router(&StoreBackend::new(Identity::server("n1"))));
    let no_slash = "Invalid key. Key must not begin with a '/': /y\n";
    for (line, stdin, code, out, err) in [
        // Line ends in base 64 are skipped.
        (
            &["kv", "put", "-base64", "a", "-"][..],
            "aGVs\nbG8=\n",
            0,
            "Success! Data written to: a\n",
            String::new(),
        ),
        (&["kv", "get", "a"], "", 0, "hello\n", String::new()),
        (
            &["kv", "put", "-base64", "a", "aGVsbG8"],
            "",
            0,
            "Success! Data written to: a\n",
            "Error! Cannot base 64 decode data: illegal base64 data at input byte 4\n".to_owned(),
        ),
        (
            &["kv", "import", r#"[{"key":"a","value":"?"}]"#],
            "",
            1,
            "",
            "Error base 64 decoding value for key a: illegal base64 data at input byte 0\n"
                .to_owned(),
        ),
        (&["kv", "put", "//y", "1"], "", 1, "", format!("Error! Failed writing data: {no_slash}")),
        (
            &["kv", "import", r#"[{"key":"/y","value":""}]"#],
            "",
            1,
            "",
            format!("Error! Failed writing data for key /y: {no_slash}"),
        ),
        (&["kv", "get", "//a"], "", 0, "\n", String::new()),
        (&["kv", "delete", "//a"], "", 0, "Success! Deleted key: /a\n", String::new()),
        (
            &["kv", "get", "-token-file=none", "a"],
            "",
            1,
            "",
            "Error connecting to Consul agent: Error loading token file: open none: no such file \
             or directory\n"
                .to_owned(),
        ),
    ] {
        assert_eq!(shell(&world, line, stdin), (code, out.to_owned(), err), "{line:?}");
    }
}

#[test]
fn an_address_that_refuses_is_named_as_consul_names_it() {
    let world = World::default();
    for (line, url) in [
        (&["kv", "put", "a", "b"][..], "Put \"http://127.0.0.1:8500/v1/kv/a\""),
        (
            &["kv", "put", "-flags=4", "-cas", "-datacenter=x", "a", "b"],
            "Put \"http://127.0.0.1:8500/v1/kv/a?cas=0&dc=x&flags=4\"",
        ),
        (
            &["kv", "get", "-stale", "-recurse", "-datacenter=x", "a"],
            "Get \"http://127.0.0.1:8500/v1/kv/a?dc=x&recurse=&stale=\"",
        ),
    ] {
        let (code, out, err) = shell(&world, line, "");
        assert_eq!((code, out.as_str()), (1, ""), "{line:?}");
        let why = "dial tcp 127.0.0.1:8500: connect: connection refused\n";
        assert!(err.ends_with(&format!("{url}: {why}")), "{err}");
    }
}

#[test]
fn refusals_have_their_exit_codes() {
    let world = World::default();
    assert_eq!(shell(&world, &["frobnicate"], "").0, 127);
    assert_eq!(shell(&world, &[], "").0, 127);
    let (code, out, err) = shell(&world, &["kv", "put", "-flags=x", "a", "b"], "");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("invalid value \"x\" for flag -flags: parse error\n"), "{err}");
    let (code, _, err) = shell(&world, &["kv", "get", "a"], "");
    assert_eq!(code, 1);
    assert!(err.contains("dial tcp 127.0.0.1:8500: connect: connection refused"), "{err}");
    let (code, out, err) = shell(&world, &["leave", "now"], "");
    assert_eq!((code, err.as_str()), (1, "Error found unexpected args: [now]\n"));
    assert!(out.starts_with("Usage: consul leave [options]\n"), "{out}");
    let version = shell(&world, &["version"], "").1;
    assert!(version.starts_with("Consul v1.9.8\nProtocol 2 spoken by default, "), "{version}");
    assert_eq!(version.lines().count(), 2, "{version}");
}

#[test]
fn the_agent_shows_its_banner_and_keeps_its_node_id() {
    let world = World::default();
    let line = ["agent", "-server", "-bootstrap", "-bind=127.0.0.1", "-node=n1", "-data-dir=d"];
    let (code, out, err) = shell(&world, &line, "");
    assert_eq!((code, err.as_str()), (42, ""));
    assert!(
        out.starts_with("==> Starting Consul agent...\n           Version: '1.9.8'\n"),
        "{out}"
    );
    let kept = world.file("d/node-id").expect("kept");
    assert!(out.contains(&format!("Node ID: '{}'", String::from_utf8_lossy(&kept))));
    assert_eq!(shell(&world, &line, "").1, out);
    assert!(world.log_lines()[0].contains("do not enable unless necessary"));
    let (code, _, err) = shell(&world, &["agent", "-server"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("==> "), "{err}");
}
