//! Transactions against a model: plain maps, copied before each transaction and put back when it fails.
//!
//! The model knows every verb of keys, nodes, instances and checks; what it says of each operation must be
//! what the store says, and after each transaction all rows are the same. Beside it stand the promises
//! that need no model: a transaction that fails leaves the store as it was; one that changes the rows of
//! a query touches the query and raises its index; one operation alone does what its command does.

use std::collections::BTreeMap;

use bytes::Bytes;
use proconsul::base::{Faults, LogIndex, Prng};
use proconsul::state::{
    Command, CommandResult, Deregister, HealthCheck, KvCommand, KvEntry, Node, NodeMeta,
    NodeService, Query, Register, Rows, Session, SessionCommand, StateStore, TxnCheck, TxnKv,
    TxnNode, TxnOp, TxnResponse, TxnService,
};

const KEYS: [&str; 6] = ["a", "a/b", "a/c", "b", "b/x", "é"];
const NODES: [&str; 2] = ["n1", "N2"];
const IDS: [&str; 2] = ["i1", "i2"];
const SESSIONS: [&str; 3] = [
    "11111111-1111-1111-1111-111111111111",
    "22222222-2222-2222-2222-222222222222",
    "33333333-3333-3333-3333-333333333333",
];
/// The last of the sessions is never created.
const LIVING: usize = 2;

type OnNode = (String, String);

/// A row: what it says, and the index of its last change.
type Row = (String, u64);

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    keys: BTreeMap<String, KvEntry>,
    nodes: BTreeMap<String, Row>,
    services: BTreeMap<OnNode, Row>,
    checks: BTreeMap<OnNode, Row>,
}

impl Model {
    fn txn(&mut self, at: u64, ops: &[TxnOp]) -> Vec<(usize, String)> {
        let before = self.clone();
        let tried = ops.iter().enumerate();
        let failed: Vec<(usize, String)> = tried
            .filter_map(|(index, op)| {
                let done = match op {
                    TxnOp::Kv(op) => self.key(at, op),
                    TxnOp::Node(op) => self.node(at, op),
                    TxnOp::Service(op) => self.service(at, op),
                    TxnOp::Check(op) => self.check(at, op),
                    TxnOp::Session(_) => Ok(()),
                };
                done.err().map(|why| (index, why))
            })
            .collect();
        if !failed.is_empty() {
            *self = before;
        }
        failed
    }

    fn key(&mut self, at: u64, op: &TxnKv) -> Result<(), String> {
        let key = &op.entry.key;
        let old = self.keys.get(key).cloned();
        let index = old.as_ref().map_or(0, |old| old.modify_index);
        let wanted = op.entry.modify_index;
        let holder = old.as_ref().and_then(|old| old.session.clone());
        let times = old.as_ref().map_or(0, |old| old.lock_index);
        let asker = op.entry.session.clone().unwrap_or_default();
        let refuse = |fails: bool, why: String| if fails { Err(why) } else { Ok(()) };
        match op.verb.as_str() {
            "set" => self.put(at, op, holder, 0),
            "cas" => {
                refuse(index != wanted, format!("failed to set key {key:?}, index is stale"))?;
                self.put(at, op, holder, 0);
            }
            "lock" => {
                let lives = SESSIONS[..LIVING].contains(&asker.as_str());
                refuse(!lives, format!("invalid session {asker:?}"))?;
                let other = holder.as_ref().is_some_and(|holder| *holder != asker);
                refuse(other, format!("failed to lock key {key:?}, lock is already held"))?;
                let times = if holder.is_some() { times } else { times + 1 };
                self.put(at, op, Some(asker), times);
            }
            "unlock" => {
                let why = "lock isn't held, or is held by another session";
                let held = holder.as_ref() == Some(&asker);
                refuse(!held, format!("failed to unlock key {key:?}, {why}"))?;
                self.put(at, op, None, times);
            }
            "get" => refuse(old.is_none(), format!("key {key:?} doesn't exist"))?,
            "check-not-exists" => refuse(old.is_some(), format!("key {key:?} exists"))?,
            "check-index" => {
                let missing = format!("failed to check index, key {key:?} doesn't exist");
                refuse(old.is_none(), missing)?;
                let why = format!("current modify index {index} != {wanted}");
                refuse(index != wanted, format!("failed index check for key {key:?}, {why}"))?;
            }
            "check-session" => {
                let missing = format!("failed to check session, key {key:?} doesn't exist");
                refuse(old.is_none(), missing)?;
                let holder = holder.unwrap_or_default();
                let why = format!("current session {holder:?} != {asker:?}");
                refuse(holder != asker, format!("failed session check for key {key:?}, {why}"))?;
            }
            "delete" => drop(self.keys.remove(key)),
            "delete-cas" => {
                let stale = old.is_some() && index != wanted;
                refuse(stale, format!("failed to delete key {key:?}, index is stale"))?;
                self.keys.remove(key);
            }
            "delete-tree" => self.keys.retain(|it, _| !it.starts_with(key.as_str())),
            "get-tree" => {}
            verb => return Err(format!("unknown KV verb {verb:?}")),
        }
        Ok(())
    }

    fn put(&mut self, at: u64, op: &TxnKv, session: Option<String>, lock_index: u64) {
        let old = self.keys.get(&op.entry.key);
        let (value, flags) = (op.entry.value.clone(), op.entry.flags);
        let new = KvEntry {
            key: op.entry.key.clone(),
            value,
            flags,
            lock_index,
            session,
            create_index: old.map_or(at, |old| old.create_index),
            modify_index: old.map_or(at, |old| old.modify_index),
        };
        if old != Some(&new) {
            self.keys.insert(new.key.clone(), KvEntry { modify_index: at, ..new });
        }
    }

    fn node(&mut self, at: u64, op: &TxnNode) -> Result<(), String> {
        let name = &op.node.node;
        let key = name.to_lowercase();
        let what = format!("node {name:?}");
        let expected = op.node.modify_index;
        match verb(&op.verb, "Node", &what, row_index(&self.nodes, &key), expected)? {
            Todo::Set => set(&mut self.nodes, key, at, &op.node.address),
            Todo::Remove => {
                self.nodes.remove(&key);
                self.services.retain(|(node, _), _| *node != key);
                self.checks.retain(|(node, _), _| *node != key);
            }
            Todo::Nothing => {}
        }
        Ok(())
    }

    fn service(&mut self, at: u64, op: &TxnService) -> Result<(), String> {
        let key = (op.node.to_lowercase(), op.service.id.clone());
        let what = format!("service {:?} on node {:?}", op.service.id, op.node);
        let held = row_index(&self.services, &key);
        match verb(&op.verb, "Service", &what, held, op.service.modify_index)? {
            Todo::Set if !self.nodes.contains_key(&key.0) => {
                return Err("Missing node registration".to_owned());
            }
            Todo::Set => set(&mut self.services, key, at, &op.service.address),
            Todo::Remove => {
                // Checks of the instance say so in their id.
                let of_it = format!("of {}", key.1);
                self.checks.retain(|(node, id), _| *node != key.0 || *id != of_it);
                self.services.remove(&key);
            }
            Todo::Nothing => {}
        }
        Ok(())
    }

    fn check(&mut self, at: u64, op: &TxnCheck) -> Result<(), String> {
        let check = &op.check;
        let key = (check.node.to_lowercase(), check.check_id.clone());
        let what = format!("check {:?} on node {:?}", check.check_id, check.node);
        let held = row_index(&self.checks, &key);
        match verb(&op.verb, "Check", &what, held, check.modify_index)? {
            Todo::Set if !self.nodes.contains_key(&key.0) => {
                return Err("Missing node registration".to_owned());
            }
            Todo::Set
                if !check.service_id.is_empty()
                    && !self.services.contains_key(&(key.0.clone(), check.service_id.clone())) =>
            {
                return Err("Missing service registration".to_owned());
            }
            Todo::Set => set(&mut self.checks, key, at, &check.status),
            Todo::Remove => drop(self.checks.remove(&key)),
            Todo::Nothing => {}
        }
        Ok(())
    }
}

enum Todo {
    Set,
    Remove,
    Nothing,
}

fn verb(
    verb: &str,
    kind: &str,
    what: &str,
    held: Option<u64>,
    expected: u64,
) -> Result<Todo, String> {
    match verb {
        "get" if held.is_none() => Err(format!("{what} doesn't exist")),
        "get" => Ok(Todo::Nothing),
        "cas" if held.unwrap_or(0) != expected => {
            Err(format!("failed to set {what}, index is stale"))
        }
        "set" | "cas" => Ok(Todo::Set),
        "delete-cas" if held != Some(expected) => {
            Err(format!("failed to delete {what}, index is stale"))
        }
        "delete" | "delete-cas" => Ok(Todo::Remove),
        other => Err(format!("unknown {kind} verb {other:?}")),
    }
}

fn row_index<K: Ord>(rows: &BTreeMap<K, Row>, key: &K) -> Option<u64> {
    rows.get(key).map(|(_, index)| *index)
}

fn set<K: Ord>(rows: &mut BTreeMap<K, Row>, key: K, at: u64, says: &str) {
    let row = rows.entry(key).or_insert_with(|| (String::new(), 0));
    if row.1 == 0 || row.0 != says {
        *row = (says.to_owned(), at);
    }
}

/// Draws operations whose comparisons often hold.
struct Draw<'a> {
    prng: Prng,
    model: &'a Model,
}

impl Draw<'_> {
    fn of<'t>(&mut self, from: &[&'t str]) -> &'t str {
        self.prng.pick(from).copied().unwrap_or_default()
    }

    fn aimed(&mut self, held: Option<u64>) -> u64 {
        match self.prng.below(4) {
            0 => 0,
            1 => held.unwrap_or(0) + 1,
            _ => held.unwrap_or(0),
        }
    }

    fn op(&mut self) -> TxnOp {
        let verb = self.of(&["set", "set", "set", "get", "cas", "delete", "delete-cas", "odd"]);
        let verb = verb.to_owned();
        let (node, id) = (self.of(&NODES).to_owned(), self.of(&IDS).to_owned());
        let says = self.of(&["10.0.0.1", "10.0.0.2"]).to_owned();
        let on = (node.to_lowercase(), id.clone());
        match self.prng.below(8) {
            0 => {
                let held = row_index(&self.model.nodes, &on.0);
                let modify_index = self.aimed(held);
                let node = Node { node, address: says, modify_index, ..Node::default() };
                TxnOp::Node(TxnNode { verb, node })
            }
            1 => {
                let modify_index = self.aimed(row_index(&self.model.services, &on));
                let service = "web".to_owned();
                let service =
                    NodeService { id, service, address: says, modify_index, ..Default::default() };
                TxnOp::Service(TxnService { verb, node, service })
            }
            2 | 3 => {
                let of_service = self.prng.below(2) == 0;
                let check_id = if of_service { format!("of {id}") } else { id.clone() };
                let held = row_index(&self.model.checks, &(on.0, check_id.clone()));
                let modify_index = self.aimed(held);
                let status = self.of(&["passing", "critical"]).to_owned();
                let service_id = if of_service { id } else { String::new() };
                let check = HealthCheck {
                    node,
                    check_id,
                    status,
                    service_id,
                    modify_index,
                    ..HealthCheck::default()
                };
                TxnOp::Check(TxnCheck { verb, check })
            }
            _ => self.key_op(),
        }
    }

    fn key_op(&mut self) -> TxnOp {
        let verb = self.of(&[
            "set",
            "set",
            "set",
            "cas",
            "cas",
            "lock",
            "lock",
            "unlock",
            "get",
            "get-tree",
            "check-index",
            "check-session",
            "check-not-exists",
            "delete",
            "delete-tree",
            "delete-cas",
            "SET",
        ]);
        let key = self.of(&KEYS).to_owned();
        let modify_index = self.aimed(self.model.keys.get(&key).map(|it| it.modify_index));
        let entry = KvEntry {
            value: Bytes::from(self.of(&["", "1", "2"]).to_owned()),
            flags: self.prng.below(2),
            lock_index: 0,
            session: Some(self.of(&SESSIONS).to_owned()),
            create_index: 0,
            key,
            modify_index,
        };
        TxnOp::Kv(TxnKv { verb: verb.to_owned(), entry })
    }
}

fn begun() -> (StateStore, u64) {
    let mut store = StateStore::new();
    let node = Node { node: "base".to_owned(), address: "10.1".to_owned(), ..Node::default() };
    let base = Register { node, ..Register::default() };
    let mut commands = vec![Command::Register(Box::new(base))];
    for id in &SESSIONS[..LIVING] {
        let (id, node) = ((*id).to_owned(), "base".to_owned());
        let session = Session { id, node, ..Session::default() };
        commands.push(Command::Session(SessionCommand::Create(Box::new(session))));
    }
    let mut at = 0;
    for command in commands {
        at += 1;
        let (result, _) = store.apply(LogIndex(at), &command, &Faults::default());
        assert!(!matches!(result, CommandResult::Error(_)), "{result:?}");
    }
    (store, at)
}

fn queries() -> Vec<Query> {
    let meta = NodeMeta::new;
    let mut queries = vec![
        Query::CatalogNodes { meta: meta() },
        Query::CatalogServices { meta: meta() },
        Query::CatalogService { service: "web".to_owned(), tags: Vec::new(), meta: meta() },
        Query::HealthService { service: "web".to_owned(), tags: Vec::new(), meta: meta() },
        Query::HealthState { state: "any".to_owned(), meta: meta() },
        Query::KvList { prefix: String::new() },
        Query::KvList { prefix: "a/".to_owned() },
    ];
    queries.extend(KEYS.map(|key| Query::KvGet { key: key.to_owned() }));
    queries.extend(NODES.map(|node| Query::CatalogNode { node: node.to_owned() }));
    queries.extend(NODES.map(|node| Query::HealthNode { node: node.to_owned() }));
    queries
}

fn same_rows(store: &StateStore, model: &Model) {
    let keys: Vec<KvEntry> = model.keys.values().cloned().collect();
    assert_eq!(store.query(&Query::KvList { prefix: String::new() }).rows, Rows::Entries(keys));
    let mut seen = Model { keys: model.keys.clone(), ..Model::default() };
    for (name, node) in store.nodes_after(None).filter(|(name, _)| *name != "base") {
        seen.nodes.insert(name.to_owned(), (node.address.clone(), node.modify_index));
        for it in store.services_on(name) {
            let row = (it.address.clone(), it.modify_index);
            seen.services.insert((name.to_owned(), it.id.clone()), row);
        }
        for it in store.checks_on(name) {
            let row = (it.status.clone(), it.modify_index);
            seen.checks.insert((name.to_owned(), it.check_id.clone()), row);
        }
    }
    assert_eq!(&seen, model);
}

fn response(result: CommandResult) -> TxnResponse {
    match result {
        CommandResult::Txn(response) => *response,
        other => panic!("{other:?} is not a transaction's"),
    }
}

#[test]
fn random_transactions_do_all_or_nothing() {
    for seed in 0..40 {
        let (mut store, mut at) = begun();
        let mut model = Model::default();
        let mut prng = Prng::new(seed);
        for step in 0..150 {
            at += 1;
            let length = 1 + prng.below(4);
            let mut draw = Draw { prng: prng.fork(&format!("step {step}")), model: &model };
            let ops: Vec<TxnOp> = (0..length).map(|_| draw.op()).collect();
            let before = store.clone();
            let asked: Vec<_> = queries().into_iter().map(|it| (before.query(&it), it)).collect();
            let command = Command::Txn(ops.clone());
            let (result, changes) = store.apply(LogIndex(at), &command, &Faults::default());
            store.check_invariants();
            let response = response(result);
            let failed: Vec<(usize, String)> =
                response.errors.iter().map(|it| (it.op_index, it.what.clone())).collect();
            assert_eq!(failed, model.txn(at, &ops), "seed {seed}, {ops:?}");
            same_rows(&store, &model);
            if !failed.is_empty() {
                let mut as_before = before;
                as_before.advance_to(LogIndex(at));
                assert!(response.results.is_empty() && changes.is_empty());
                assert_eq!(store, as_before);
                continue;
            }
            for (old, query) in asked {
                let new = store.query(&query);
                assert!(new.index >= old.index, "{query:?}: {} after {}", new.index, old.index);
                if new.rows != old.rows {
                    assert_eq!(new.index, at, "{query:?} after {ops:?}");
                    let touched = changes.iter().any(|change| query.is_touched_by(change));
                    assert!(touched, "{query:?} by {changes:?}");
                }
            }
        }
    }
}

/// The command that does what one operation does; none for what has no command.
fn alone(op: &TxnOp) -> Option<Command> {
    match op {
        TxnOp::Kv(TxnKv { verb, entry }) => {
            let KvEntry { key, value, flags, session, modify_index: index, .. } = entry.clone();
            let session = session.unwrap_or_default();
            Some(Command::Kv(match verb.as_str() {
                "set" => KvCommand::Set { key, value, flags },
                "cas" => KvCommand::Cas { key, value, flags, index },
                "lock" => KvCommand::Lock { key, value, flags, session },
                "unlock" => KvCommand::Unlock { key, value, flags, session },
                "delete" => KvCommand::Delete { key },
                "delete-cas" => KvCommand::DeleteCas { key, index },
                "delete-tree" => KvCommand::DeleteTree { prefix: key },
                _ => return None,
            }))
        }
        TxnOp::Node(TxnNode { verb, node }) => match verb.as_str() {
            "set" => {
                let what = Register { node: node.clone(), ..Register::default() };
                Some(Command::Register(Box::new(what)))
            }
            "delete" => {
                let node = node.node.clone();
                Some(Command::Deregister(Deregister { node, ..Deregister::default() }))
            }
            _ => None,
        },
        TxnOp::Service(TxnService { verb, node, service }) if verb == "delete" => {
            let (node, service_id) = (node.clone(), service.id.clone());
            Some(Command::Deregister(Deregister { node, service_id, ..Deregister::default() }))
        }
        TxnOp::Check(TxnCheck { verb, check }) if verb == "delete" => {
            let (node, check_id) = (check.node.clone(), check.check_id.clone());
            Some(Command::Deregister(Deregister { node, check_id, ..Deregister::default() }))
        }
        _ => None,
    }
}

#[test]
fn one_operation_alone_does_what_its_command_does() {
    let mut compared = 0;
    for seed in 100..130 {
        let (mut store, mut at) = begun();
        let mut model = Model::default();
        let mut prng = Prng::new(seed);
        for step in 0..150 {
            at += 1;
            let op = Draw { prng: prng.fork(&format!("step {step}")), model: &model }.op();
            let mut other = store.clone();
            let (result, changes) =
                store.apply(LogIndex(at), &Command::Txn(vec![op.clone()]), &Faults::default());
            model.txn(at, std::slice::from_ref(&op));
            let Some(command) = alone(&op) else { continue };
            let (single, single_changes) = other.apply(LogIndex(at), &command, &Faults::default());
            assert_eq!((&store, changes), (&other, single_changes), "{op:?}");
            let failed = !response(result).errors.is_empty();
            assert_eq!(failed, single != CommandResult::Flag(true), "{op:?}: {single:?}");
            compared += 1;
        }
        prng.next_u64();
    }
    assert!(compared > 1000, "{compared}");
}
