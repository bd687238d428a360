//! Prepared queries in the store: names, sessions, templates, which instances count; and their bytes.

use std::collections::BTreeMap;

use proconsul::base::{Faults, LogIndex};
use proconsul::state::{
    Command, CommandResult, HealthCheck, KvEntry, NAME_PREFIX_MATCH, Node, NodeService,
    PreparedQuery, PreparedQueryCommand, Query, QueryExecution, QueryFailover, QueryTemplate,
    Register, Rows, ServiceQuery, Session, SessionCommand, StateStore, TxnCheck, TxnKv, TxnNode,
    TxnOp, TxnService, TxnSession,
};
use proconsul::wire::command;

use crate::wire_snapshot::{restored, whole};

fn id(digit: char) -> String {
    let of = |length: usize| digit.to_string().repeat(length);
    format!("{}-{}-{}-{}-{}", of(8), of(4), of(4), of(4), of(12))
}

fn named(digit: char, name: &str) -> PreparedQuery {
    let service = ServiceQuery { service: "web".to_owned(), ..ServiceQuery::default() };
    PreparedQuery { id: id(digit), name: name.to_owned(), service, ..PreparedQuery::default() }
}

struct Store(StateStore, u64);

impl Store {
    fn apply(&mut self, command: Command) -> Result<(), String> {
        self.1 += 1;
        let (result, _) = self.0.apply(LogIndex(self.1), &command, &Faults::default());
        self.0.check_invariants();
        match result {
            CommandResult::Error(text) => Err(text),
            _ => Ok(()),
        }
    }

    fn write(&mut self, query: PreparedQuery) -> Result<(), String> {
        self.apply(Command::PreparedQuery(PreparedQueryCommand::Create(Box::new(query))))
    }

    fn instance(&mut self, number: usize, status: &str, tags: &[&str]) {
        let node = Node {
            node: format!("n{number}"),
            address: format!("10.0.0.{number}"),
            meta: BTreeMap::from([("rack".to_owned(), format!("r{number}"))]),
            ..Node::default()
        };
        let service = NodeService {
            id: "w".to_owned(),
            service: "web".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..NodeService::default()
        };
        let check = HealthCheck {
            node: node.node.clone(),
            check_id: "c".to_owned(),
            status: status.to_owned(),
            ..HealthCheck::default()
        };
        let (service, checks) = (Some(service), vec![check]);
        let what = Register { node, service, checks, skip_node_update: false };
        self.apply(Command::Register(Box::new(what))).expect("registers");
    }

    fn found(&self, name: &str) -> Result<Vec<String>, String> {
        let asked = QueryExecution { name: name.to_owned(), ..QueryExecution::default() };
        match self.0.query(&Query::ExecuteQuery(Box::new(asked))).rows {
            Rows::Executed(it) => Ok(it.nodes.iter().map(|it| it.node.node.clone()).collect()),
            Rows::Refused(text) => Err(text),
            other => panic!("{other:?}"),
        }
    }
}

fn with_instances() -> Store {
    let mut store = Store(StateStore::new(), 0);
    store.instance(1, "passing", &["v1", "Main"]);
    store.instance(2, "warning", &["v2", "main"]);
    store.instance(3, "critical", &["v1"]);
    store
}

#[test]
fn names_are_one_definitions() {
    let mut store = Store(StateStore::new(), 0);
    store.write(named('1', "q")).expect("new");
    let taken = Err("name 'Q' aliases an existing query name".to_owned());
    assert_eq!(store.write(named('2', "Q")), taken);
    let own = Err(format!("name '{}' aliases an existing query ID", id('1')));
    assert_eq!(store.write(named('2', &id('1'))), own);
    let bound = PreparedQuery { session: id('9'), ..named('2', "r") };
    assert_eq!(store.write(bound), Err(format!("invalid session {:?}", id('9'))));
    store.write(named('1', "other")).expect("the same one");
    store.write(named('2', "q")).expect("free again");
    let removed = PreparedQueryCommand::Delete { id: id('1') };
    store.apply(Command::PreparedQuery(removed)).expect("goes");
    assert_eq!(store.found("other"), Err("Query not found".to_owned()));
}

#[test]
fn a_definition_ends_with_its_session() {
    let mut store = with_instances();
    let session = Session { id: id('a'), node: "n1".to_owned(), ..Session::default() };
    let create = SessionCommand::Create(Box::new(session));
    store.apply(Command::Session(create)).expect("begins");
    store.write(PreparedQuery { session: id('a').to_uppercase(), ..named('1', "q") }).expect("new");
    assert_eq!(restored(&whole(&store.0)).as_ref(), Ok(&store.0));
    let index = store.0.query(&Query::PreparedQueries).index;
    assert_eq!(store.found("q"), Ok(vec!["n1".to_owned(), "n2".to_owned()]));
    let end = SessionCommand::Destroy { id: id('a') };
    store.apply(Command::Session(end)).expect("ends");
    let listed = store.0.query(&Query::PreparedQueries);
    assert_eq!((listed.rows, listed.index), (Rows::PreparedQueries(Vec::new()), index + 1));
}

#[test]
fn instances_are_those_that_are_well_and_wanted() {
    let mut store = with_instances();
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let mut ask = |service: ServiceQuery| {
        let service = ServiceQuery { service: "web".to_owned(), ..service };
        store.write(PreparedQuery { service, ..named('1', "q") }).expect("new");
        store.found("q").expect("there")
    };
    let any = ServiceQuery::default;
    assert_eq!(ask(any()), ["n1", "n2"]);
    assert_eq!(ask(ServiceQuery { only_passing: true, ..any() }), ["n1"]);
    assert_eq!(ask(ServiceQuery { ignore_check_ids: texts(&["c"]), ..any() }), ["n1", "n2", "n3"]);
    assert_eq!(ask(ServiceQuery { tags: texts(&["MAIN", "!v2"]), ..any() }), ["n1"]);
    let rack = BTreeMap::from([("rack".to_owned(), "r2".to_owned())]);
    assert_eq!(ask(ServiceQuery { node_meta: rack.clone(), ..any() }), ["n2"]);
    assert!(ask(ServiceQuery { service_meta: rack, ..any() }).is_empty());
    assert!(ask(ServiceQuery { connect: true, ..any() }).is_empty());
}

#[test]
fn the_longest_template_answers() {
    let mut store = with_instances();
    let template = |digit, name: &str, service: &str, regexp: &str| {
        let mut query = named(digit, name);
        query.service.service = service.to_owned();
        let (kind, regexp) = (NAME_PREFIX_MATCH.to_owned(), regexp.to_owned());
        query.template = QueryTemplate { kind, regexp, remove_empty_tags: false };
        query
    };
    store.write(template('1', "", "${name.full}", "")).expect("of all names");
    store.write(template('2', "geo-", "${match(1)}", "^geo-(.*)$")).expect("of some");
    assert_eq!(store.found("geo-web").map(|it| it.len()), Ok(2));
    assert_eq!(store.found("web").map(|it| it.len()), Ok(2));
    assert_eq!(store.found("geo").map(|it| it.len()), Ok(0));
    let why = "prepared query templates can only be resolved up by name, not by ID";
    assert_eq!(store.found(&id('2')), Err(why.to_owned()));
    let again = store.write(template('3', "", "x", ""));
    assert_eq!(again, Err("a query template with an empty name already exists".to_owned()));
    let bad = template('3', "b", "${nobody}", "");
    assert!(store.write(bad).is_err_and(|why| why.starts_with("failed compiling template: Bad")));
    assert_eq!(restored(&whole(&store.0)).as_ref(), Ok(&store.0));
}

fn full() -> PreparedQuery {
    PreparedQuery {
        session: id('a'),
        token: "t".to_owned(),
        template: QueryTemplate {
            kind: NAME_PREFIX_MATCH.to_owned(),
            regexp: "^(.*)$".to_owned(),
            remove_empty_tags: true,
        },
        service: ServiceQuery {
            service: "web".to_owned(),
            failover: QueryFailover { nearest_n: 2, datacenters: vec!["dc2".to_owned()] },
            only_passing: true,
            ignore_check_ids: vec!["x".to_owned()],
            near: "_agent".to_owned(),
            tags: vec!["!a".to_owned()],
            node_meta: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            service_meta: BTreeMap::from([("c".to_owned(), "d".to_owned())]),
            connect: true,
        },
        dns_ttl: "10s".to_owned(),
        create_index: 3,
        modify_index: 4,
        ..named('1', "q")
    }
}

#[test]
fn commands_come_back_from_the_log() {
    let entry = KvEntry {
        key: "k".to_owned(),
        value: vec![0, 255].into(),
        flags: 7,
        lock_index: 0,
        session: Some(id('a')),
        create_index: 0,
        modify_index: 9,
    };
    let verb = || "cas".to_owned();
    let node = Node { node: "n".to_owned(), modify_index: 5, ..Node::default() };
    let service = NodeService { id: "w".to_owned(), modify_index: 6, ..NodeService::default() };
    let check = HealthCheck { check_id: "c".to_owned(), modify_index: 7, ..HealthCheck::default() };
    let ops = vec![
        TxnOp::Kv(TxnKv { verb: verb(), entry }),
        TxnOp::Node(TxnNode { verb: verb(), node }),
        TxnOp::Service(TxnService { verb: verb(), node: "n".to_owned(), service }),
        TxnOp::Check(Box::new(TxnCheck { verb: verb(), check })),
        TxnOp::Session(TxnSession { verb: "delete".to_owned(), id: id('b') }),
    ];
    for command in [
        Command::Txn(ops),
        Command::PreparedQuery(PreparedQueryCommand::Create(Box::new(full()))),
        Command::PreparedQuery(PreparedQueryCommand::Update(Box::new(full()))),
        Command::PreparedQuery(PreparedQueryCommand::Delete { id: id('1') }),
    ] {
        let bytes = command::encode(&command, "dc1");
        assert_eq!(command::decode(&bytes), Ok(Some(command)));
        for end in 0..bytes.len() {
            assert!(command::decode(&bytes[..end]).is_err(), "{end} bytes are not all");
        }
    }
}
