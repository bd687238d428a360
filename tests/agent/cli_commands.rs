//! The command line as a whole, over an agent in memory: which words are commands, what is told of them,
//! what the environment says, and the commands about the catalog. Texts as recorded from Consul 1.9.8,
//! where it has them.

use proconsul::http::{Identity, router};

use crate::http_cli::{shell, shell_with};
use crate::http_operator::answer_to;
use crate::http_pipe::World;
use crate::http_store::StoreBackend;

fn world() -> World {
    let world = World::default();
    let router = router(&StoreBackend::new(Identity::server("node1")));
    for (node, id, meta) in [("n1", 1, r#","NodeMeta":{"rack":"r1"}"#), ("n2", 2, "")] {
        let body = format!(
            r#"{{"Node":"{node}","Address":"10.0.0.{id}","ID":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee{id}",
                "TaggedAddresses":{{"wan":"9.9.9.{id}","lan":"10.0.0.{id}"}}{meta},
                "Service":{{"ID":"w{id}","Service":"web","Tags":["b","a"]}}}}"#
        );
        assert_eq!(answer_to(&router, "PUT /v1/catalog/register", &body).0, 200);
    }
    world.serve(router);
    world
}

#[test]
fn help_is_told_of_every_command_alike() {
    let world = World::default();
    let (code, out, err) = shell(&world, &["--help"], "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("Usage: consul [--version] [--help] <command> [<args>]\n\n"), "{out}");
    let (head, rest) = out.split_once("Available commands are:\n").expect("a list");
    assert!(head.starts_with("Usage"));
    assert!(rest.contains("\n    force-leave    Forces a member"), "{rest}");
    for line in rest.lines().filter(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().expect("a name");
        for dashes in ["-h", "--help", "-help"] {
            let (code, out, err) = shell(&world, &[name, dashes], "");
            assert_eq!((code, err.as_str()), (0, ""), "{name} {dashes}");
            assert!(out.starts_with(&format!("Usage: consul {name}")), "{out}");
        }
    }
    let (code, none, all) = shell(&world, &[], "");
    assert_eq!((code, none.as_str(), all.as_str()), (127, "", out.as_str()));
}

#[test]
fn a_group_without_a_command_tells_what_is_in_it() {
    let world = World::default();
    let (code, out, err) = shell(&world, &["kv"], "");
    assert_eq!((code, out.as_str()), (1, ""));
    let list = "\n\nSubcommands:\n    \
                delete    Removes data from the KV store\n    \
                export    Exports a tree from the KV store as JSON\n    \
                get       Retrieves or lists data from the KV store\n    \
                import    Imports a tree stored as JSON to the KV store\n    \
                put       Sets or updates data in the KV store\n";
    assert!(err.contains(list), "{err}");
    assert_eq!(
        shell(&world, &["kv", "-h"], ""),
        (0, err.trim_end().to_owned() + "\n", String::new())
    );
    let (code, _, err) = shell(&world, &["operator", "raft", "list-pears"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Usage: consul operator raft <subcommand> [options]\n"), "{err}");
    assert!(err.contains("Did you mean \"consul operator raft list-peers\"?"), "{err}");
    let (code, _, err) = shell(&world, &["mebmers", "-wan"], "");
    assert_eq!(code, 127);
    assert!(err.ends_with("Did you mean \"consul members\"?\n"), "{err}");
    let (code, _, err) = shell(&world, &["-stale", "kv", "get", "a"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Invalid flags before the subcommand."), "{err}");
}

#[test]
fn the_help_of_a_command_has_consuls_shape() {
    let (code, out, _) = shell(&World::default(), &["catalog", "datacenters", "-h"], "");
    assert_eq!(code, 0);
    let flags: Vec<&str> = out.lines().filter(|line| line.starts_with("  -")).collect();
    assert_eq!(
        flags,
        [
            "  -ca-file=<value>",
            "  -ca-path=<value>",
            "  -client-cert=<value>",
            "  -client-key=<value>",
            "  -datacenter=<value>",
            "  -http-addr=<address>",
            "  -stale",
            "  -tls-server-name=<value>",
            "  -token=<value>",
            "  -token-file=<value>",
        ]
    );
    assert!(out.contains("\n\nHTTP API Options\n\n  -ca-file"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
}

#[test]
fn what_is_left_out_says_so() {
    let world = World::default();
    for line in [
        &["acl"][..],
        &["acl", "token", "list"],
        &["config", "read"],
        &["connect", "envoy"],
        &["intention", "create", "a", "b"],
        &["login", "-method=x"],
        &["logout"],
        &["tls", "ca", "create"],
        &["snapshot", "agent"],
    ] {
        let (code, out, err) = shell(&world, line, "");
        assert_eq!((code, out.as_str()), (1, ""), "{line:?}");
        assert!(err.contains(" not supported. ") || err.contains("Enterprise"), "{line:?}: {err}");
    }
}

#[test]
fn catalog_prints_what_consul_prints() {
    let world = world();
    let none = "No nodes match the given query - try expanding your search.\n";
    let no_services = "No services match the given query - try expanding your search.\n";
    let short = "Node  ID        Address   DC\n\
                 n1    aaaaaaaa  10.0.0.1  dc1\n\
                 n2    aaaaaaaa  10.0.0.2  dc1\n";
    let one = "Node  ID        Address   DC\nn2    aaaaaaaa  10.0.0.2  dc1\n";
    let long = "Node  ID                                    Address   DC   \
                TaggedAddresses            Meta\n\
                n1    aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeee1  10.0.0.1  dc1  \
                lan=10.0.0.1, wan=9.9.9.1  rack=r1\n";
    for (line, out, err) in [
        (&["catalog", "nodes"][..], short, ""),
        (&["catalog", "nodes", "-service", "web"], short, ""),
        (&["catalog", "nodes", "-service=ghost"], "", none),
        (&["catalog", "nodes", "-filter", "Node == n2"], one, ""),
        (&["catalog", "nodes", "-detailed", "-node-meta=rack=r1"], long, ""),
        (&["catalog", "services"], "web\n", ""),
        (&["catalog", "services", "-node=n1", "-tags"], "web      a,b\n", ""),
        (&["catalog", "services", "-node=ghost"], "", no_services),
        (&["catalog", "services", "-node-meta=rack=r1"], "web\n", ""),
        (&["catalog", "services", "-node-meta=rack=r9"], "", no_services),
    ] {
        assert_eq!(shell(&world, line, ""), (0, out.to_owned(), err.to_owned()), "{line:?}");
    }
    world.put_file("filter.txt", "Node == n2");
    assert_eq!(shell(&world, &["catalog", "nodes", "-filter=@filter.txt"], "").1, one);
    assert_eq!(shell(&world, &["catalog", "nodes", "-filter=-"], "Node == n2").1, one);
    let (code, _, err) = shell(&world, &["catalog", "nodes", "x"], "");
    assert_eq!((code, err.as_str()), (1, "Too many arguments (expected 0, got 1)\n"));
    let (code, _, err) = shell(&world, &["catalog", "nodes", "-node-meta=rack"], "");
    assert_eq!(code, 1);
    let why = "invalid value \"rack\" for flag -node-meta: Missing \"=\" value in argument: rack\n";
    assert!(err.starts_with(why), "{err}");
    let (code, _, err) = shell(&world, &["catalog", "nodes", "-filter=Node =="], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Error listing nodes: Unexpected response code: 500 ("), "{err}");
}

#[test]
fn a_tree_of_keys_goes_out_and_in_again() {
    let world = world();
    shell(&world, &["kv", "put", "-flags=7", "a/1", "one"], "");
    shell(&world, &["kv", "put", "a/2", "-"], "two\nlines");
    let text = "[\n\t{\n\t\t\"key\": \"a/1\",\n\t\t\"flags\": 7,\n\t\t\"value\": \"b25l\"\n\t},\n\t\
                {\n\t\t\"key\": \"a/2\",\n\t\t\"flags\": 0,\n\t\t\"value\": \"dHdvCmxpbmVz\"\n\t}\n]\n";
    assert_eq!(shell(&world, &["kv", "export", "/a"], ""), (0, text.to_owned(), String::new()));
    assert_eq!(shell(&world, &["kv", "export", "zzz"], "").1, "[]\n");
    shell(&world, &["kv", "delete", "-recurse", "a"], "");
    let imported = "Imported: a/1\nImported: a/2\n";
    assert_eq!(
        shell(&world, &["kv", "import", "-"], text),
        (0, imported.to_owned(), String::new())
    );
    assert_eq!(shell(&world, &["kv", "export"], "").1, text);
    for (line, err) in [
        (&["kv", "import"][..], "Error! Missing DATA argument\n"),
        (&["kv", "import", ""], "Error! Empty DATA argument\n"),
        (&["kv", "import", "a", "b"], "Error! Too many arguments (expected 1, got 2)\n"),
        (
            &["kv", "import", "@missing"],
            "Error! Failed to read file: open missing: no such file or directory\n",
        ),
        (&["kv", "export", "a", "b"], "Too many arguments (expected 1, got 2)\n"),
    ] {
        assert_eq!(shell(&world, line, ""), (1, String::new(), err.to_owned()), "{line:?}");
    }
    let (code, _, err) = shell(&world, &["kv", "import", "nope"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Cannot unmarshal data: "), "{err}");
    let bad = r#"[{"key":"x","value":"?"}]"#;
    let (code, _, err) = shell(&world, &["kv", "import", bad], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Error base 64 decoding value for key x: "), "{err}");
    let keys = "CreateIndex      ";
    let (_, out, _) = shell(&world, &["kv", "get", "-keys", "-recurse", "-detailed", "a"], "");
    assert!(
        out.starts_with(keys) && out.contains("\n\nCreateIndex") && !out.contains("Value"),
        "{out}"
    );
}

#[test]
fn services_that_cannot_be_are_refused_before_anything_is_registered() {
    let world = world();
    for (line, err) in [
        (
            &["services", "register"][..],
            "Service registration requires at least one argument or flags.\n",
        ),
        (
            &["services", "register", "-name=web", "web.json"],
            "Service registration requires arguments or -id, not both.\n",
        ),
        (
            &["services", "register", "-name=web", "-tagged-address=lan=n1:http"],
            "Invalid Tagged Address: address n1:http: the port is no number below 65536\n",
        ),
        (
            &["services", "deregister"],
            "Service deregistration requires at least one argument or -id.\n",
        ),
        (
            &["services", "deregister", "-id=web", "web.json"],
            "Service deregistration requires arguments or -id, not both.\n",
        ),
        (&["maint", "-enable", "-disable"], "Only one of -enable or -disable may be provided\n"),
        (&["maint", "-reason=x"], "Reason may only be provided with -enable\n"),
        (&["maint", "-service=web"], "Service requires either -enable or -disable\n"),
    ] {
        assert_eq!(shell(&world, line, ""), (1, String::new(), err.to_owned()), "{line:?}");
    }
    world.put_file("bad.json", "{nope");
    let (code, out, err) = shell(&world, &["services", "register", "bad.json"], "");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("Error: bad.json:1"), "{err}");
    let (code, _, err) = shell(&world, &["services", "register", "none.json"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Error: ") && err.contains("none.json"), "{err}");
}

#[test]
fn the_environment_says_where_and_as_whom() {
    let world = world();
    let line = ["kv", "get", "-keys"];
    for (env, code, said) in [
        (&[("CONSUL_HTTP_ADDR", "http://10.0.0.1:8500")][..], 0, ""),
        (&[("CONSUL_HTTP_ADDR", "")], 0, ""),
        (&[("CONSUL_HTTP_SSL", "false")], 0, ""),
        (&[("CONSUL_HTTP_AUTH", "user:secret"), ("CONSUL_HTTP_TOKEN", "t")], 0, ""),
        (
            &[("CONSUL_HTTP_ADDR", "ftp://n1")],
            1,
            "Error connecting to Consul agent: Unknown protocol scheme: ftp\n",
        ),
        (
            &[("CONSUL_HTTP_ADDR", "https://n1:8501")],
            1,
            "Error connecting to Consul agent: https is not supported yet: use http://n1:8501\n",
        ),
        (
            &[("CONSUL_HTTP_SSL", "true")],
            1,
            "Error connecting to Consul agent: CONSUL_HTTP_SSL is set, but https is not supported yet: \
             unset it and use the agent's http port\n",
        ),
        (
            &[("CONSUL_HTTP_TOKEN_FILE", "/none")],
            1,
            "Error connecting to Consul agent: Error loading token file: open /none: no such file or \
             directory\n",
        ),
        (
            &[("CONSUL_NAMESPACE", "team")],
            1,
            "Error querying Consul agent: Unexpected response code: 400 (Bad request: Invalid query \
             parameter: \"ns\" - Namespaces are a Consul Enterprise feature)\n",
        ),
    ] {
        let got = shell_with(&world, env, &line, "");
        assert_eq!((got.0, got.2.as_str()), (code, said), "{env:?}");
    }
    // A flag wins.
    let line = ["kv", "get", "-http-addr=ftp://n2", "-keys"];
    let got = shell_with(&world, &[("CONSUL_HTTP_ADDR", "http://n1:1")], &line, "");
    assert!(got.2.contains("ftp"), "{got:?}");
}

#[test]
fn shells_are_told_what_can_follow() {
    let world = World::default();
    let ask = |line| shell_with(&world, &[("COMP_LINE", line)], &[], "").1;
    assert_eq!(ask("consul kv "), "delete\nexport\nget\nimport\nput\n");
    assert_eq!(ask("consul mem"), "members\n");
    let cut = [("COMP_LINE", "consul kv get"), ("COMP_POINT", "9")];
    assert_eq!(shell_with(&world, &cut, &[], "").1, "kv\n");
    // What a shell's start file holds stays as it was.
    let env = [("HOME", "/home/u")];
    let (code, _, err) = shell_with(&world, &env, &["-autocomplete-install"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Error executing CLI: Did not find any shells to install"), "{err}");
    world.put_file("/home/u/.bashrc", "alias l=ls");
    let run = |flag| shell_with(&world, &env, &[flag], "");
    let file = || String::from_utf8(world.file("/home/u/.bashrc").expect("there")).expect("text");
    let (code, out, _) = run("-autocomplete-install");
    assert_eq!((code, out.as_str()), (0, "Completion installed in /home/u/.bashrc\n"));
    assert_eq!(file(), "alias l=ls\ncomplete -C /usr/bin/proconsul proconsul\n");
    let (code, _, err) = run("-autocomplete-install");
    assert_eq!(code, 1);
    assert_eq!(err, "Error executing CLI: already installed in /home/u/.bashrc\n");
    let (code, out, _) = run("-autocomplete-uninstall");
    assert_eq!((code, out.as_str()), (0, "Completion removed from /home/u/.bashrc\n"));
    assert_eq!(file(), "alias l=ls\n");
    assert_eq!(run("-autocomplete-uninstall").0, 1);
    world.put_file("/home/u/.zshrc", "");
    assert_eq!(run("-autocomplete-install").0, 0);
    let zsh = String::from_utf8(world.file("/home/u/.zshrc").expect("there")).expect("text");
    assert_eq!(
        zsh,
        "autoload -U +X bashcompinit && bashcompinit\n\
         complete -o nospace -C /usr/bin/proconsul proconsul\n"
    );
}

#[test]
fn versions_are_told_in_two_forms() {
    let world = World::default();
    let text = shell(&world, &["version"], "");
    for line in [&["-v"][..], &["--version"], &["-version", "kv"]] {
        assert_eq!(shell(&world, line, ""), text);
    }
    let (code, json, _) = shell(&world, &["version", "-format=json"], "");
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["Version"], &json["RPC"]["Max"]), (&"1.9.8".into(), &3.into()));
    assert_eq!(shell(&world, &["version", "-format=xml"], "").0, 1);
}
