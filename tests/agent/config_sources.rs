//! Configuration from files and folders on a disk: order, languages, and what cannot be read.

use std::fs;
use std::path::{Path, PathBuf};

use proconsul::base::WebUi;
use proconsul::base::runtime::Level;
use proconsul::config::flags::parse;
use proconsul::config::{AGENT_FLAGS, AgentConfig, ConfigError};
use proconsul::runtime::TokioRuntime;
use tempfile::TempDir;

use crate::real_process::command;

/// A folder with these files; a name may have folders in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, text).expect("written");
    }
    folder
}

/// `@` in an argument is the folder.
fn load(folder: &Path, args: &[&str]) -> Result<AgentConfig, ConfigError> {
    let folder = folder.display().to_string();
    let args: Vec<String> = args.iter().map(|arg| arg.replace('@', &folder)).collect();
    let flags = parse(AGENT_FLAGS, &args).expect("valid flags");
    TokioRuntime::run(Level::Error, |runtime| async move {
        AgentConfig::load(&runtime, &flags, "host1").await
    })
    .expect("an executor")
}

/// What `validate` ends with, writes and complains; the folder is `@` again.
fn validate(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let name = folder.display().to_string();
    let args: Vec<String> = args.iter().map(|arg| arg.replace('@', &name)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = command(&[&["validate"], &args[..]].concat(), "");
    // The host's name is not ours to choose.
    let lines = stderr.lines().filter(|line| !line.starts_with("Node name "));
    let stderr: String = lines.map(|line| format!("{line}\n").replace(&name, "@")).collect();
    (code, stdout.replace(&name, "@"), stderr)
}

#[test]
fn sources_are_merged_in_consuls_order() {
    let folder = folder(&[
        (
            "conf.d/1.json",
            r#"{"node_name": "j", "retry_join": ["10.0.0.3"], "ports": {"http": 1}}"#,
        ),
        (
            "conf.d/2.hcl",
            "node_name = \"h\"\nretry_join = [\"10.0.0.4\"]\nports { https = -1, dns = 2 }",
        ),
        ("conf.d/3.json", " \n"),
        ("conf.d/notes.txt", "no configuration"),
        ("conf.d/sub/9.json", r#"{"node_name": "never read"}"#),
        ("last.conf.json", r#"{"log_level": "WARN", "node_meta": {"a": "1", "b": "2"}}"#),
        ("first.hcl", "log_level = \"ERR\" node_meta { a = 0 }\ndata_dir = \"d\""),
    ]);
    let config = load(
        folder.path(),
        &[
            "-config-file=@/first.hcl",
            "-retry-join=10.0.0.2",
            "-config-dir=@/conf.d",
            "-server",
            "-hcl=ports { http = 9 } retry_join = [\"10.0.0.5\"]",
            "-bind=10.0.0.1",
            "-config-file=@/last.conf.json",
            "-http-port=8",
            "-node=f",
        ],
    );
    let config = config.expect("valid");
    assert_eq!(config.node_name, "f");
    assert_eq!(config.lan_join.retry, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"]);
    assert_eq!((config.ports.http, config.ports.dns, config.ports.https), (Some(9), Some(2), None));
    assert_eq!(config.log_level, Level::Warn);
    assert_eq!(config.node_meta.values().collect::<Vec<_>>(), ["1", "2"]);
    let skipped = format!(
        "skipping file {}/conf.d/notes.txt, extension must be .hcl or .json, or config format must be set",
        folder.path().display()
    );
    assert_eq!(config.warnings, [skipped]);
}

#[test]
fn a_format_that_is_given_holds_for_all_files() {
    let folder = folder(&[("conf.d/a", "server = true"), ("conf.d/b.json", "node_name = \"b\"")]);
    let args = ["-config-dir=@/conf.d", "-config-format=hcl", "-data-dir=d", "-bind=10.0.0.1"];
    let config = load(folder.path(), &args).expect("valid");
    assert!(config.server && config.node_name == "b" && config.warnings.is_empty());
    let error = load(folder.path(), &["-dev", "-config-format=toml"]).expect_err("refused");
    assert_eq!(error.to_string(), "config: -config-format must be either 'hcl' or 'json'");
}

#[test]
fn definitions_in_hcl_are_those_in_json() {
    let hcl = r#"
service {
  name = "web"
  port = 80
  tags = ["a", "b"]
  meta { v = 1 }
  check { ttl = "30s" }
  check { http = "http://127.0.0.1/", interval = "10s", header { Accept = "x" } }
}
service { Name = "queue", ID = "q1", EnableTagOverride = "true", weights { passing = "7" } }
checks = [{ name = "mem", args = ["/bin/true"], interval = "1s" }]
check { name = "job", ttl = "1m" }
"#;
    let json = r#"{
"services": [
  {"name": "web", "port": 80, "tags": ["a", "b"], "meta": {"v": "1"}, "checks": [{"ttl": "30s"},
    {"http": "http://127.0.0.1/", "interval": "10s", "header": {"Accept": ["x"]}}]},
  {"name": "queue", "id": "q1", "enable_tag_override": true, "weights": {"passing": 7}}],
"checks": [{"name": "mem", "args": ["/bin/true"], "interval": "1s"}, {"name": "job", "ttl": "1m"}]}"#;
    let args = vec!["-dev".to_owned(), "-enable-local-script-checks".to_owned()];
    let flags = parse(AGENT_FLAGS, &args).expect("valid flags");
    // Where it was read is another thing than what it says.
    let of = |name, text| {
        let config = AgentConfig::from_parts(&[(name, text)], &flags, "h").expect("valid");
        AgentConfig { read_from: Default::default(), ..config }
    };
    assert_eq!(of("a.hcl", hcl), of("a.json", json));
    assert_eq!(of("a.hcl", json), of("a.json", json), "JSON under HCL's name");
}

#[test]
fn what_cannot_be_read_ends_the_start() {
    let folder = folder(&[("a.conf", "{}"), ("file", "x"), ("ok.json", r#"{"data_dir": "d"}"#)]);
    let at = folder.path();
    fs::write(at.join("bytes.json"), b"{\n\n\xff}").expect("written");
    let large = fs::File::create(at.join("large.hcl")).expect("created");
    large.set_len((16 << 20) + 1).expect("a large file");
    fs::create_dir(at.join("links")).expect("created");
    std::os::unix::fs::symlink("/nowhere/at/all", at.join("links/a.json")).expect("linked");
    for (args, text) in [
        (
            &["-config-file=@/none.json"][..],
            "config: Open failed on @/none.json. open @/none.json: no such file or directory",
        ),
        (
            &["-config-dir=@/none"],
            "config: Open failed on @/none. open @/none: no such file or directory",
        ),
        (&["-config-dir=@/links"], "config: failed to read @/links/a.json: @/links/a.json: "),
        (&["-config-file=@/a.conf"], "@/a.conf: config: the file must end in .json or .hcl, or "),
        (&["-config-file=@/bytes.json"], "@/bytes.json:3: not valid UTF-8"),
        (
            &["-config-file=@/large.hcl"],
            "config: failed to read @/large.hcl: @/large.hcl: it holds more",
        ),
        (
            &["-hcl=server ="],
            "flags-0.hcl:1:9: not valid HCL: expected a value, found the end of the file",
        ),
        (
            &["-server", "-bind=10.0.0.1", "-data-dir=@/file"],
            "data_dir \"@/file\" is not a directory",
        ),
        (
            &["-server", "-bind=10.0.0.1", "-data-dir=@/file/x"],
            "data_dir \"@/file/x\" is not a directory",
        ),
    ] {
        let error = load(at, args).expect_err(text).to_string();
        let error = error.replace(&at.display().to_string(), "@");
        assert!(error.starts_with(text), "{args:?}: {error}");
    }
    let error = load(at, &["-dev", "-max-query-time=soon"]).expect_err("refused");
    assert!(error.to_string().starts_with("-max-query-time: max_query_time: invalid duration"));
    // Either flag takes either.
    assert!(load(at, &["-config-dir=@/ok.json", "-bind=10.0.0.1"]).is_ok());
}

#[test]
fn validate_says_what_consul_says() {
    let folder = folder(&[
        ("bad.json", "{nope"),
        ("bad.hcl", "ports {\n  http = x\n}"),
        ("unknown.json", r#"{"no_such_key": 1, "data_dir": "d"}"#),
        ("port.json", r#"{"ports": {"http": "x"}}"#),
        ("service.json", r#"{"data_dir": "d", "service": {"port": 1}}"#),
        (
            "script.hcl",
            "data_dir = \"d\"\ncheck { name = \"a\", args = [\"b\"], interval = \"1s\" }",
        ),
        (
            "later.hcl",
            "data_dir = \"d\"\nservice { name = \"a\", check {} }\ncheck { name = \"b\" }\nwatches = [{ type = \"key\" }]",
        ),
        ("meta.hcl", "data_dir = \"d\"\nservice { name = \"a\", weights { passing = 0 } }"),
        ("warned.hcl", "data_dir = \"d\"\nui = true\nconnect { enabled = true }"),
        ("conf.d/1.json", r#"{"data_dir": "d"}"#),
        ("conf.d/2.hcl", "service { name = \"a\" }\nservice { name = \"a\" }"),
        ("plain", "server = true"),
    ]);
    let at = folder.path();
    let valid = "Configuration is valid!\n";
    for (args, code, stdout, stderr) in [
        (
            &["@/bad.json"][..],
            1,
            "",
            "Config validation failed: failed to parse @/bad.json: line 1, column 2: not valid JSON: expected a string, found 'n'\n",
        ),
        (
            &["@/bad.hcl"],
            1,
            "",
            "Config validation failed: failed to parse @/bad.hcl: line 2, column 10: not valid HCL: expected a value (text stands in quotes), found the word x\n",
        ),
        (
            &["@/unknown.json"],
            1,
            "",
            "Config validation failed: failed to parse @/unknown.json: line 1: invalid config key no_such_key\n",
        ),
        (
            &["@/port.json"],
            1,
            "",
            "Config validation failed: failed to parse @/port.json: line 1: ports.http: expected a whole number, found a string\n",
        ),
        (&["@/service.json"], 0, valid, ""),
        (&["@/script.hcl"], 0, valid, ""),
        (&["@/later.hcl"], 0, valid, ""),
        (
            &["@/meta.hcl"],
            1,
            "",
            "Config validation failed: failed to parse @/meta.hcl: line 2: service \"a\": Invalid Weights: Passing must be greater than 0\n",
        ),
        (
            &["@/warned.hcl"],
            0,
            valid,
            "The 'ui' field is deprecated. Use the 'ui_config.enabled' field instead.\nconnect.enabled: the service mesh is not built, it has no effect\n",
        ),
        (&["-quiet", "@/warned.hcl"], 0, "", ""),
        (&["@/conf.d"], 0, valid, "service \"a\" is defined 2 times: the last one counts\n"),
        (
            &["@/conf.d", "@/bad.json"],
            1,
            "",
            "Config validation failed: failed to parse @/bad.json: line 1, column 2: not valid JSON: expected a string, found 'n'\n",
        ),
        (
            &["-config-format=hcl", "@/plain"],
            1,
            "",
            "Config validation failed: data_dir cannot be empty\n",
        ),
        (
            &["-config-format=yaml", "@/plain"],
            1,
            "",
            "-config-format must be either 'hcl' or 'json\n",
        ),
        (&[], 1, "", "Must specify at least one config file or directory\n"),
    ] {
        assert_eq!(validate(at, args), (code, stdout.to_owned(), stderr.to_owned()), "{args:?}");
    }
    // What an agent needs is more.
    let error = load(at, &["-config-file=@/service.json", "-bind=10.0.0.1"]).expect_err("refused");
    assert!(error.to_string().ends_with("service.json:1: service \"\": Missing service name"));
    let error = load(at, &["-config-file=@/later.hcl", "-bind=10.0.0.1"]).expect_err("refused");
    let text = "later.hcl:2: service \"a\": Invalid check: TTL must be > 0 for TTL checks";
    assert!(error.to_string().ends_with(text), "{error}");
}

#[test]
fn an_agent_that_does_not_start_says_why_and_ends_with_1() {
    let folder = folder(&[("a.hcl", "server = true\nsever = true")]);
    let file = folder.path().join("a.hcl").display().to_string();
    let (code, stdout, stderr) = command(&["agent", "-dev", "-config-file", &file], "");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, format!("==> {file}:2: invalid config key sever, did you mean server?\n"));
}

#[test]
fn keys_beside_the_main_ones_are_obeyed_or_spoken_of() {
    let load = |text: &str| {
        let flags = parse(AGENT_FLAGS, &["-dev".to_owned()]).expect("valid flags");
        AgentConfig::from_parts(&[("a.hcl", text)], &flags, "h")
    };
    let config = load(
        "addresses { http = \"127.0.0.2 ::1\" }\nadvertise_addr_ipv6 = \"fd00::1\"\n\
         ports { http = \"8501\", rpc = 8400 }\nhttp_api_response_headers { A = \"b\" }\n\
         node_name = \"a b\"\nverify_incoming = false\nacl { enabled = false }\n\
         telemetry { disable_hostname = true }\nstatsite_addr = \"x:1\"\n\
         segment = \"s\"\nui_config { metrics_provider = \"p\" }\ndisable_remote_exec = false",
    );
    let config = config.expect("valid");
    assert_eq!(
        config.http_addrs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["127.0.0.2", "::1"]
    );
    assert_eq!(config.client_addrs.len(), 1);
    assert_eq!(config.tagged_addresses["lan_ipv6"], "fd00::1");
    assert_eq!(config.ports.http, Some(8501));
    assert_eq!(config.http.response_headers, [("A".to_owned(), "b".to_owned())]);
    assert_eq!(
        config.warnings,
        [
            "statsite_addr: nothing is sent there; use telemetry.statsd_address, or read /v1/agent/metrics",
            "\"segment\" is a Consul Enterprise configuration and will have no effect",
            "ui_config.metrics_provider: the UI shows no figures of others, it has no effect",
            "disable_remote_exec: remote execution is not built, it has no effect",
            "Node name \"a b\" will not be discoverable via DNS due to invalid characters. Valid characters \
         include all alpha-numerics and dashes.",
        ]
    );
    for (text, why) in [
        ("acl_datacenter = \"dc1\"", "access control lists are not built"),
        ("\n\ntls { defaults { verify_incoming = true } }", "a.hcl:3: tls: TLS is not built"),
        ("cert_file = \"x\"", "TLS is not built"),
        ("auto_encrypt { tls = true }", "auto_encrypt.tls: TLS is not built"),
        ("ports { https = 8501 }", "ports.https is not supported"),
        ("serf_lan_allowed_cidrs = [\"10.0.0.0/8\"]", "gossip is not restricted by address"),
        ("addresses { http = \"unix:///run/x\" }", "unix sockets are not built"),
        ("advertise_addr_ipv4 = \"::1\"", "advertise_addr_ipv4 must be an ipv4 address"),
        ("bind_addr = \"{{ GetPrivateIP }}\"", "this machine has no such address"),
        ("service { name = \"a\", udp = \"x\" }", "it is of a later Consul than 1.9.8; remove it"),
        ("check { name = \"a\", udp = \"x\" }", "it is of a later Consul than 1.9.8"),
        ("service = 5", "service: expected an object, found a number"),
        ("ports { http = 1 }\nports = [1]", "ports: expected an object, found a number"),
    ] {
        let error = load(text).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn the_ui_is_where_it_is_said_to_be() {
    let load = |text: &str, flags: &[&str]| {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let flags = parse(AGENT_FLAGS, &flags).expect("valid flags");
        AgentConfig::from_parts(&[("a.hcl", text)], &flags, "h")
    };
    let server = ["-server", "-data-dir=/d", "-bind=10.0.0.1"];
    let with = |more: &[&'static str]| [&server[..], more].concat();
    let at = |path: &str, dir: Option<&str>| {
        Some(WebUi::at(path).expect("a path").with_dir(dir.map(PathBuf::from)))
    };
    for (text, flags, ui) in [
        ("", with(&[]), None),
        ("ui_config { content_path = \"/x/\" }", with(&[]), None),
        ("", with(&["-ui"]), at("/ui/", None)),
        ("ui = true", with(&[]), at("/ui/", None)),
        ("ui_config { enabled = true, content_path = \"a/b\" }", with(&[]), at("/a/b/", None)),
        ("ui_config { content_path = \"a\" }", with(&["-ui", "-ui-content-path=c"]), at("c", None)),
        ("ui_config { content_path = \"a\" }", with(&["-ui", "-ui-content-path="]), at("", None)),
        ("", with(&["-ui-dir=./dist"]), at("", Some("./dist"))),
        ("ui_config { dir = \"/d\", enabled = false }", with(&[]), at("", Some("/d"))),
        ("ui_config { dir = \"\" }", with(&["-ui"]), at("", None)),
        ("", vec!["-dev"], at("", None)),
        ("", vec!["-dev", "-ui=false"], None),
        ("", vec!["-dev", "-ui", "-ui-dir=d"], at("", Some("d"))),
    ] {
        assert_eq!(load(text, &flags).expect(text).http.ui, ui, "{text} {flags:?}");
    }
    let old = load("ui_dir = \"d\"\nui_content_path = \"p\"", &server).expect("valid");
    assert_eq!(old.http.ui, at("p", Some("d")));
    assert_eq!(
        old.warnings.iter().filter(|it| it.contains("'ui_")).collect::<Vec<_>>(),
        [
            "The 'ui_dir' field is deprecated. Use the 'ui_config.dir' field instead.",
            "The 'ui_content_path' field is deprecated. Use the 'ui_config.content_path' field instead.",
        ]
    );
    for (text, flags, why) in [
        ("ui_config { enabled = true, dir = \"d\" }", with(&[]), "please provide only one. If"),
        ("ui_config { dir = \"d\" }", with(&["-ui"]), "ui_config.enabled and ui_config.dir were"),
        ("\nui_config { content_path = \"/v1/\" }", with(&[]), "a.hcl:2: ui-content-path cannot"),
        ("ui_config { content_path = \"/\" }", with(&["-ui"]), "must have a name between"),
        ("", with(&["-ui-content-path=/a b/"]), "received: \"/a b/\""),
        ("ui_config { content_path = [] }", with(&[]), "expected a string"),
    ] {
        let error = load(text, &flags).expect_err(text).to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}
