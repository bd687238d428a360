//! The catalog: who a node is, what goes with what, and that no blocked query sleeps through a change.

use std::collections::BTreeMap;

use proconsul::base::{Faults, LogIndex};
use proconsul::state::{
    AutopilotCommand, AutopilotConfiguration, Change, Command, CommandResult, Deregister,
    FloatBits, HealthCheck, Node, NodeCoordinate, NodeMeta, NodeService, Query, Register, Rows,
    StateStore,
};
use proconsul::wire::{command, snapshot};
use proptest::prelude::*;

const IDS: [&str; 3] =
    ["", "40e4a748-2192-161a-0510-9bf59fe950b5", "93c5f076-fb29-8bc1-1115-38ef0e575024"];

fn text(value: &str) -> String {
    value.to_owned()
}

fn meta(pairs: &[(&str, &str)]) -> NodeMeta {
    pairs.iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn node(id: &str, name: &str, address: &str) -> Node {
    let (id, node, address) = (text(id), text(name), text(address));
    Node { id, node, address, datacenter: text("dc1"), ..Node::default() }
}

fn service(id: &str, name: &str, tags: &[&str]) -> NodeService {
    let tags = tags.iter().map(|tag| text(tag)).collect();
    NodeService { id: text(id), service: text(name), tags, port: 80, ..NodeService::default() }
}

fn check(on: &str, id: &str, status: &str, service: &str) -> HealthCheck {
    HealthCheck {
        node: text(on),
        check_id: text(id),
        name: text(id),
        status: text(status),
        service_id: text(service),
        ..HealthCheck::default()
    }
}

fn register(node: Node, service: Option<NodeService>, checks: Vec<HealthCheck>) -> Command {
    Command::Register(Box::new(Register { node, service, checks, skip_node_update: false }))
}

fn deregister(node: &str, service: &str, check: &str) -> Command {
    let (node, service_id, check_id) = (text(node), text(service), text(check));
    Command::Deregister(Deregister { node, service_id, check_id })
}

/// A store to which commands are applied one after the other, each with all checks.
#[derive(Default)]
struct Log {
    store: StateStore,
    index: u64,
}

impl Log {
    fn apply(&mut self, command: &Command) -> (CommandResult, Vec<Change>) {
        self.index += 1;
        let done = self.store.apply(LogIndex(self.index), command, &Faults::none());
        self.store.check_invariants();
        done
    }

    fn done(&mut self, command: &Command) {
        assert_eq!(self.apply(command).0, CommandResult::Flag(true), "{command:?}");
    }

    fn refused(&mut self, command: &Command) -> String {
        let before = self.store.clone();
        let (CommandResult::Error(text), changes) = self.apply(command) else {
            panic!("{command:?} is not refused")
        };
        let mut expected = before;
        expected.advance_to(LogIndex(self.index));
        assert!(changes.is_empty() && self.store == expected, "{text}, and yet a change");
        text
    }

    fn nodes(&self) -> Vec<Node> {
        match self.store.query(&Query::CatalogNodes { meta: meta(&[]) }).rows {
            Rows::Nodes(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    fn index(&self, query: &Query) -> u64 {
        self.store.query(query).index
    }
}

fn of_service(name: &str) -> Query {
    Query::CatalogService { service: text(name), tags: Vec::new(), meta: meta(&[]) }
}

#[test]
fn a_known_uuid_under_another_name_is_a_renaming() {
    let mut log = Log::default();
    log.done(&register(node(IDS[1], "ext", "10.0.0.1"), Some(service("w", "web", &[])), vec![]));
    log.done(&register(node(IDS[1], "ext2", "10.0.0.2"), None, vec![]));
    let nodes = log.nodes();
    assert_eq!(nodes.len(), 1);
    assert_eq!((nodes[0].node.as_str(), nodes[0].address.as_str()), ("ext2", "10.0.0.2"));
    assert_eq!((nodes[0].create_index, nodes[0].modify_index), (1, 2));
    // What was on it went with the old name, and whoever waits for the service hears of it.
    assert_eq!(log.index(&of_service("web")), 2);
}

#[test]
fn a_healthy_node_keeps_its_name() {
    let mut log = Log::default();
    let health = |status| vec![check("a", "serfHealth", status, "")];
    log.done(&register(node(IDS[1], "a", "10.0.0.1"), None, health("passing")));
    let thief = register(node(IDS[2], "A", "10.0.0.2"), None, vec![]);
    assert_eq!(
        log.refused(&thief),
        format!(
            "failed inserting node: Error while renaming Node ID: \"{}\": Node name A is reserved \
             by node {} with name a (10.0.0.1)",
            IDS[2], IDS[1]
        )
    );
    log.done(&register(node(IDS[2], "b", "10.0.0.2"), None, vec![]));
    let text = log.refused(&thief);
    assert!(text.contains(&format!("renaming Node ID: \"{}\" (10.0.0.2): Node name A", IDS[2])));
    log.done(&register(node(IDS[1], "a", "10.0.0.1"), None, health("critical")));
    log.done(&thief);
    assert_eq!(log.nodes().len(), 1);
    assert_eq!(log.nodes()[0].id, IDS[2]);
}

#[test]
fn what_belongs_to_nothing_is_refused_and_nothing_of_it_stays() {
    let mut log = Log::default();
    let here = || node("", "a", "10.0.0.1");
    let orphan = register(here(), None, vec![check("a", "c", "passing", "web")]);
    assert_eq!(log.refused(&orphan), "failed inserting check: Missing service registration");
    let other = register(here(), None, vec![check("b", "c", "passing", "")]);
    assert_eq!(log.refused(&other), "check node \"b\" does not match node \"a\"");
    let nameless = register(here(), None, vec![check("a", "", "passing", "")]);
    assert!(log.refused(&nameless).starts_with("failed inserting check: "));
}

#[test]
fn a_service_wakes_its_own_watchers_and_a_node_those_of_all_on_it() {
    let mut log = Log::default();
    log.done(&register(node("", "a", "10.0.0.1"), Some(service("w", "web", &["v1"])), vec![]));
    log.done(&register(node("", "b", "10.0.0.2"), Some(service("d", "db", &[])), vec![]));
    assert_eq!((log.index(&of_service("web")), log.index(&of_service("db"))), (1, 2));
    let all = Query::CatalogNodes { meta: meta(&[]) };
    log.done(&register(node("", "a", "10.0.0.1"), Some(service("m", "mail", &[])), vec![]));
    // As recorded: an instance leaves the index of the nodes where it is.
    assert_eq!((log.index(&of_service("web")), log.index(&all)), (1, 2));
    log.done(&register(node("", "a", "10.0.0.9"), None, vec![]));
    assert_eq!((log.index(&of_service("WEB")), log.index(&of_service("mail"))), (4, 4));
    assert_eq!((log.index(&of_service("db")), log.index(&all)), (2, 4));
    log.done(&register(node("", "a", "10.0.0.9"), None, vec![check("a", "disk", "warning", "")]));
    assert_eq!((log.index(&of_service("web")), log.index(&of_service("db"))), (5, 2));
    // Absent ones have the tables' index, and from the first extinction on that one's.
    assert_eq!(log.index(&of_service("none")), 4);
    log.done(&deregister("b", "d", ""));
    assert_eq!((log.index(&of_service("none")), log.index(&of_service("db"))), (6, 6));
    // The same again is no change.
    let again = register(node("", "a", "10.0.0.9"), Some(service("w", "web", &["v1"])), vec![]);
    assert_eq!(log.apply(&again), (CommandResult::Flag(true), Vec::new()));
    assert_eq!(log.apply(&deregister("b", "d", "")), (CommandResult::Flag(true), Vec::new()));
}

#[test]
fn health_has_the_checks_of_the_node_and_of_the_instance() {
    let mut log = Log::default();
    let checks = vec![check("a", "disk", "passing", ""), check("a", "w", "", "w")];
    log.done(&register(node("", "a", "10.0.0.1"), Some(service("w", "web", &["V1"])), checks));
    let other = vec![check("a", "x", "passing", "x")];
    log.done(&register(node("", "a", "10.0.0.1"), Some(service("x", "web", &["v2"])), other));
    let tags = vec![text("v1")];
    let query = Query::HealthService { service: text("web"), tags, meta: meta(&[]) };
    let Rows::CheckServiceNodes(rows) = log.store.query(&query).rows else { panic!("rows") };
    let found: Vec<(&str, &str)> =
        rows[0].checks.iter().map(|it| (it.check_id.as_str(), it.status.as_str())).collect();
    assert_eq!((rows.len(), found), (1, vec![("disk", "passing"), ("w", "critical")]));
    assert_eq!(rows[0].checks[1].service_tags, ["V1"]);
}

#[test]
fn a_node_is_found_by_the_beginning_of_its_uuid() {
    let mut log = Log::default();
    log.done(&register(node(IDS[1], "a", "10.0.0.1"), None, vec![]));
    log.done(&register(node(IDS[2], "b", "10.0.0.2"), None, vec![]));
    let found = |name: &str| {
        let rows = log.store.query(&Query::CatalogNode { node: text(name) }).rows;
        let Rows::NodeServices(found) = rows else { panic!("{rows:?}") };
        found.map(|(node, _)| node.node)
    };
    assert_eq!((found("B"), found("40e4"), found("4"), found("zz")), {
        (Some(text("b")), Some(text("a")), None, None)
    });
}

#[test]
fn the_autopilot_compares_only_with_what_is_stored() {
    let mut log = Log::default();
    let set = |modify_index, cas| {
        let configuration = AutopilotConfiguration { modify_index, ..Default::default() };
        Command::Autopilot(AutopilotCommand { configuration, cas })
    };
    assert_eq!(log.apply(&set(0, true)).0, CommandResult::Flag(false));
    log.done(&set(0, false));
    assert_eq!(log.apply(&set(1, true)).0, CommandResult::Flag(false));
    log.done(&set(2, true));
    let stored = log.store.autopilot().expect("stored");
    assert_eq!((stored.create_index, stored.modify_index), (2, 4));
}

#[test]
fn registrations_are_completed_before_the_log() {
    let mut command = register(node("", "a", "10.0.0.1"), Some(service("", "web", &[])), vec![]);
    let Command::Register(what) = &mut command else { panic!("a registration") };
    what.checks = vec![HealthCheck { name: text("alive"), ..HealthCheck::default() }];
    what.checks[0].definition.tcp = text("localhost:1");
    what.checks[0].definition.interval = proconsul::base::Duration::from_secs(5);
    what.node.datacenter.clear();
    command.admit("dc9").expect("complete");
    let Command::Register(what) = &command else { panic!("a registration") };
    assert_eq!(what.service.as_ref().map(|it| it.id.as_str()), Some("web"));
    let first = &what.checks[0];
    assert_eq!((first.node.as_str(), first.check_id.as_str(), first.kind.as_str()), {
        ("a", "alive", "tcp")
    });
    assert_eq!(what.node.datacenter, "dc9");
    let refusal =
        |node: Node, service| register(node, service, vec![]).admit("dc1").expect_err("refused");
    assert_eq!(refusal(node("", "", "x"), None), "Must provide node");
    assert_eq!(
        refusal(node("", "a", ""), None),
        "Must provide address if SkipNodeUpdate is not set"
    );
    assert!(refusal(node("abc", "a", "x"), None).starts_with("Bad node ID: "));
    let nameless = Some(service("x", "", &[]));
    assert_eq!(refusal(node("", "a", "x"), nameless), "Must provide service name with ID");
    let anywhere = Some(NodeService { address: text("::"), ..service("x", "x", &[]) });
    assert_eq!(refusal(node("", "a", "x"), anywhere), "Invalid service address");
}

fn any_node() -> impl Strategy<Value = Node> {
    let id = prop::sample::select(IDS.to_vec());
    let name = prop::sample::select(vec!["a", "A", "b", "c"]);
    let rack = prop::sample::select(vec!["", "r1", "r2"]);
    (id, name, 0..2, rack).prop_map(|(id, name, address, rack)| Node {
        meta: if rack.is_empty() { BTreeMap::new() } else { meta(&[("rack", rack)]) },
        ..node(id, name, &format!("10.0.0.{address}"))
    })
}

fn any_command() -> impl Strategy<Value = Command> {
    let id = || prop::sample::select(vec!["s1", "s2"]);
    let name = prop::sample::select(vec!["web", "Web", "db"]);
    let tags = prop::sample::select(vec![vec![], vec!["v1"], vec!["v1", "v2"]]);
    let instance = (id(), name, tags).prop_map(|(id, name, tags)| service(id, name, &tags));
    let status = prop::sample::select(vec!["passing", "warning", "critical"]);
    let check_id = || prop::sample::select(vec!["serfHealth", "c1", "c2"]);
    let about = prop::sample::select(vec!["", "", "s1", "s2"]);
    let checks = prop::collection::vec((check_id(), status, about), 0..3);
    let writes = (any_node(), prop::option::of(instance), checks, any::<bool>());
    let names = || prop::sample::select(vec!["a", "b", "c"]);
    let place = (names(), 0..3).prop_map(|(name, error)| NodeCoordinate {
        node: text(name),
        vec: vec![FloatBits::default(); if error == 2 { 3 } else { 8 }],
        error: f64::from(error).into(),
        ..NodeCoordinate::default()
    });
    prop_oneof![
        6 => writes.prop_map(|(node, service, checks, skip_node_update)| {
            let name = node.node.clone();
            // Each check once: a second one of the same id would undo the first.
            let checks: BTreeMap<_, _> =
                checks.into_iter().map(|(id, status, of)| (id, (status, of))).collect();
            let checks = checks.into_iter();
            let checks = checks.map(|(id, (status, of))| check(&name, id, status, of)).collect();
            Command::Register(Box::new(Register { node, service, checks, skip_node_update }))
        }),
        1 => names().prop_map(|node| deregister(node, "", "")),
        1 => (names(), id()).prop_map(|(node, id)| deregister(node, id, "")),
        1 => (names(), check_id()).prop_map(|(node, id)| deregister(node, "", id)),
        1 => prop::collection::vec(place, 0..3).prop_map(Command::Coordinates),
    ]
}

fn queries() -> Vec<Query> {
    let metas = [meta(&[]), meta(&[("rack", "r1")])];
    let mut all = vec![
        Query::Coordinates,
        Query::AutopilotConfiguration,
        Query::NodeDump,
        Query::ServiceDump,
        Query::NodeInfo { node: text("a") },
    ];
    for node in ["a", "b", "c", "40e4", "absent"] {
        all.push(Query::CatalogNode { node: text(node) });
        all.push(Query::HealthNode { node: text(node) });
    }
    for meta in metas {
        all.push(Query::CatalogNodes { meta: meta.clone() });
        all.push(Query::CatalogServices { meta: meta.clone() });
        for state in ["any", "passing", "critical"] {
            all.push(Query::HealthState { state: text(state), meta: meta.clone() });
        }
        for service in ["web", "db", "absent"] {
            all.push(Query::HealthChecks { service: text(service), meta: meta.clone() });
            for tags in [vec![], vec![text("v1")]] {
                let (service, meta) = (text(service), meta.clone());
                all.push(Query::CatalogService {
                    service: service.clone(),
                    tags: tags.clone(),
                    meta: meta.clone(),
                });
                all.push(Query::HealthService { service, tags, meta });
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_query_sleeps_through_a_change(commands in prop::collection::vec(any_command(), 1..30)) {
        let mut log = Log::default();
        let queries = queries();
        for command in commands {
            // What the log carries is what is applied.
            let bytes = command::encode(&command, "dc1");
            prop_assert_eq!(command::decode(&bytes), Ok(Some(command.clone())));
            let before: Vec<_> = queries.iter().map(|query| log.store.query(query)).collect();
            let image = log.store.clone();
            let (result, changes) = log.apply(&command);
            prop_assert!(matches!(result, CommandResult::Flag(true)) || changes.is_empty());
            for (query, old) in queries.iter().zip(before) {
                let new = log.store.query(query);
                prop_assert!(new.index >= old.index && new.index <= log.index, "{:?}", query);
                if new.rows != old.rows {
                    let touched = changes.iter().any(|change| query.is_touched_by(change));
                    prop_assert!(touched, "{:?} sleeps through {:?}", query, command);
                    prop_assert_eq!(new.index, log.index, "{:?} after {:?}", query, command);
                }
                prop_assert_eq!(&image.query(query), &old, "a snapshot moved");
            }
            // Once more is no change.
            let (again, changes) = log.apply(&command);
            if !matches!(command, Command::Coordinates(_)) {
                prop_assert!(changes.is_empty(), "{:?} twice: {:?} {:?}", command, again, changes);
            }
        }
        let mut reader = snapshot::Reader::new();
        for piece in snapshot::encode(log.store.clone()) {
            reader.push(&piece).expect("a snapshot of ours");
        }
        prop_assert_eq!(reader.finish(), Ok(log.store));
    }
}
