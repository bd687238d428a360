//! Sessions and locks against a model, in which every rule is applied by looking at everything.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proconsul::base::{Duration, Faults, LogIndex};
use proconsul::state::{
    Change, Command, CommandResult, Deregister, HealthCheck, KvCommand, KvEntry, MAX_LOCK_DELAY,
    Node, NodeService, Query, Register, Rows, ServiceCheck, Session, SessionCommand, StateStore,
};
use proconsul::wire::{command, snapshot};
use proptest::prelude::*;

const NODES: [&str; 2] = ["a", "B"];
const CHECKS: [&str; 3] = ["c1", "c2", "of-web"];
const KEYS: [&str; 3] = ["k", "k/1", "l"];

fn id(number: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
}

#[derive(Clone, Debug)]
enum Move {
    Node(usize),
    Service(usize),
    Check(usize, usize, &'static str),
    GoneNode(usize),
    GoneService(usize),
    GoneCheck(usize, usize),
    Create { number: u8, node: usize, checks: Vec<usize>, old: bool, delete: bool, delay_s: u64 },
    Destroy(u8),
    Lock(usize, u8, &'static str),
    Unlock(usize, u8, &'static str),
    Set(usize, &'static str),
    Delete(usize),
    DeleteTree,
    Reap(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    let status = prop::sample::select(vec!["passing", "warning", "critical"]);
    let value = || prop::sample::select(vec!["", "1", "2"]);
    let create = (0..6u8, 0..2usize, prop::collection::vec(0..3usize, 0..3), any::<(bool, bool)>());
    prop_oneof![
        2 => (0..2usize).prop_map(Move::Node),
        1 => (0..2usize).prop_map(Move::Service),
        4 => (0..2usize, 0..3usize, status).prop_map(|(on, check, to)| Move::Check(on, check, to)),
        1 => (0..2usize).prop_map(Move::GoneNode),
        1 => (0..2usize).prop_map(Move::GoneService),
        1 => (0..2usize, 0..3usize).prop_map(|(on, check)| Move::GoneCheck(on, check)),
        6 => (create, prop::sample::select(vec![0, 15, 100])).prop_map(
            |((number, node, checks, (old, delete)), delay_s)| Move::Create {
                number, node, checks, old, delete, delay_s,
            }
        ),
        2 => (0..6u8).prop_map(Move::Destroy),
        6 => (0..3usize, 0..6u8, value()).prop_map(|(key, by, to)| Move::Lock(key, by, to)),
        3 => (0..3usize, 0..6u8, value()).prop_map(|(key, by, to)| Move::Unlock(key, by, to)),
        2 => (0..3usize, value()).prop_map(|(key, to)| Move::Set(key, to)),
        1 => (0..3usize).prop_map(Move::Delete),
        1 => Just(Move::DeleteTree),
        1 => (0..40u64).prop_map(Move::Reap),
    ]
}

fn registration(on: usize) -> Register {
    let (node, address) = (NODES[on].to_owned(), "10.0.0.1".to_owned());
    let node = Node { node, address, datacenter: "dc1".to_owned(), ..Node::default() };
    Register { node, ..Register::default() }
}

fn gone(on: usize, service_id: &str, check_id: &str) -> Command {
    let (service_id, check_id) = (service_id.to_owned(), check_id.to_owned());
    // Names of nodes are compared in any case.
    Command::Deregister(Deregister { node: NODES[on].to_lowercase(), service_id, check_id })
}

fn kv(key: usize, to: &str) -> (String, Bytes) {
    (KEYS[key].to_owned(), Bytes::copy_from_slice(to.as_bytes()))
}

fn command_of(next: &Move) -> Command {
    match next {
        Move::Node(on) => Command::Register(Box::new(registration(*on))),
        Move::Service(on) => {
            let (id, service) = ("web".to_owned(), "web".to_owned());
            let service = Some(NodeService { id, service, ..NodeService::default() });
            Command::Register(Box::new(Register { service, ..registration(*on) }))
        }
        Move::Check(on, check, status) => {
            let service_id = if *check == 2 { "web".to_owned() } else { String::new() };
            let check = HealthCheck {
                node: NODES[*on].to_owned(),
                check_id: CHECKS[*check].to_owned(),
                status: (*status).to_owned(),
                service_id,
                ..HealthCheck::default()
            };
            Command::Register(Box::new(Register { checks: vec![check], ..registration(*on) }))
        }
        Move::GoneNode(on) => gone(*on, "", ""),
        Move::GoneService(on) => gone(*on, "web", ""),
        Move::GoneCheck(on, check) => gone(*on, "", CHECKS[*check]),
        Move::Create { number, node, checks, old, delete, delay_s } => {
            let named: Vec<String> = checks.iter().map(|at| CHECKS[*at].to_owned()).collect();
            let of_services: Vec<ServiceCheck> = checks
                .iter()
                .filter(|at| **at == 2)
                .map(|at| ServiceCheck { id: CHECKS[*at].to_owned(), ..ServiceCheck::default() })
                .collect();
            let (checks, node_checks) = if *old { (named, vec![]) } else { (vec![], named) };
            Command::Session(SessionCommand::Create(Box::new(Session {
                id: id(*number),
                node: NODES[*node].to_owned(),
                checks,
                node_checks,
                service_checks: of_services,
                behavior: if *delete { "delete" } else { "release" }.to_owned(),
                lock_delay: Duration::from_secs(*delay_s),
                ..Session::default()
            })))
        }
        Move::Destroy(number) => {
            Command::Session(SessionCommand::Destroy { id: id(*number).to_uppercase() })
        }
        Move::Lock(key, by, to) => {
            let ((key, value), session) = (kv(*key, to), id(*by));
            Command::Kv(KvCommand::Lock { key, value, flags: 0, session })
        }
        Move::Unlock(key, by, to) => {
            let ((key, value), session) = (kv(*key, to), id(*by));
            Command::Kv(KvCommand::Unlock { key, value, flags: 0, session })
        }
        Move::Set(key, to) => {
            let (key, value) = kv(*key, to);
            Command::Kv(KvCommand::Set { key, value, flags: 0 })
        }
        Move::Delete(key) => Command::Kv(KvCommand::Delete { key: KEYS[*key].to_owned() }),
        Move::DeleteTree => Command::Kv(KvCommand::DeleteTree { prefix: "k".to_owned() }),
        Move::Reap(up_to) => Command::ReapTombstones { up_to: *up_to },
    }
}

/// The model: what there is, without any index of it.
#[derive(Default)]
struct Model {
    /// By node: the status of its checks; `of-web` needs the service.
    nodes: BTreeMap<usize, (bool, BTreeMap<usize, &'static str>)>,
    sessions: BTreeMap<u8, (usize, BTreeSet<usize>, bool, u64)>,
    entries: BTreeMap<usize, KvEntry>,
    /// Keys whose holder ended in this step, and for how long they are closed.
    closed: Vec<(String, Duration)>,
}

impl Model {
    fn play(&mut self, at: u64, next: &Move) -> Option<bool> {
        self.closed.clear();
        let mut result = Some(true);
        match next {
            Move::Node(on) => drop(self.nodes.entry(*on).or_default()),
            Move::Service(on) => self.nodes.entry(*on).or_default().0 = true,
            Move::Check(on, check, status) => {
                let has_service = self.nodes.get(on).is_some_and(|(service, _)| *service);
                if *check == 2 && !has_service {
                    return None;
                }
                self.nodes.entry(*on).or_default().1.insert(*check, status);
            }
            Move::GoneNode(on) => drop(self.nodes.remove(on)),
            Move::GoneService(on) => {
                if let Some((service, checks)) = self.nodes.get_mut(on) {
                    *service = false;
                    checks.remove(&2);
                }
            }
            Move::GoneCheck(on, check) => {
                if let Some((_, checks)) = self.nodes.get_mut(on) {
                    checks.remove(check);
                }
            }
            Move::Create { number, node, checks, delete, delay_s, .. } => {
                let bound: BTreeSet<usize> = checks.iter().copied().collect();
                let session = (*node, bound, *delete, *delay_s);
                if self.sessions.contains_key(number) || !self.may_live(&session) {
                    return None;
                }
                self.sessions.insert(*number, session);
            }
            Move::Destroy(number) => self.end(at, *number),
            Move::Lock(key, by, to) => {
                if !self.sessions.contains_key(by) {
                    return None;
                }
                let held = self
                    .entries
                    .get(key)
                    .map_or((0, None), |it| (it.lock_index, it.session.clone()));
                let own = held.1.as_deref() == Some(&id(*by));
                result = Some(held.1.is_none() || own);
                if result == Some(true) {
                    self.put(at, *key, to, held.0 + u64::from(!own), Some(id(*by)));
                }
            }
            Move::Unlock(key, by, to) => {
                let held =
                    self.entries.get(key).filter(|it| it.session.as_deref() == Some(&id(*by)));
                let lock_index = held.map(|it| it.lock_index);
                result = Some(lock_index.is_some());
                if let Some(lock_index) = lock_index {
                    self.put(at, *key, to, lock_index, None);
                }
            }
            Move::Set(key, to) => {
                let holder = self.entries.get(key).and_then(|it| it.session.clone());
                self.put(at, *key, to, 0, holder);
            }
            Move::Delete(key) => drop(self.entries.remove(key)),
            Move::DeleteTree => self.entries.retain(|key, _| *key == 2),
            Move::Reap(_) => {}
        }
        let doomed: Vec<u8> =
            self.sessions.iter().filter(|it| !self.may_live(it.1)).map(|it| *it.0).collect();
        doomed.into_iter().for_each(|number| self.end(at, number));
        result
    }

    fn may_live(&self, (node, checks, _, _): &(usize, BTreeSet<usize>, bool, u64)) -> bool {
        let Some((_, there)) = self.nodes.get(node) else { return false };
        checks.iter().all(|check| there.get(check).is_some_and(|status| *status != "critical"))
    }

    fn end(&mut self, at: u64, number: u8) {
        let Some((_, _, delete, delay_s)) = self.sessions.remove(&number) else { return };
        let held = |entry: &KvEntry| entry.session.as_deref() == Some(&id(number));
        for entry in self.entries.values_mut().filter(|entry| held(entry)) {
            if delay_s > 0 {
                let delay = Duration::from_secs(delay_s).min(MAX_LOCK_DELAY);
                self.closed.push((entry.key.clone(), delay));
            }
            if !delete {
                (entry.session, entry.modify_index) = (None, at);
            }
        }
        self.entries.retain(|_, entry| !held(entry));
    }

    fn put(&mut self, at: u64, key: usize, to: &str, lock_index: u64, session: Option<String>) {
        let old = self.entries.get(&key);
        let (key_text, value) = kv(key, to);
        let create_index = old.map_or(at, |old| old.create_index);
        let mut new = KvEntry {
            key: key_text,
            value,
            flags: 0,
            lock_index,
            session,
            create_index,
            modify_index: at,
        };
        if let Some(old) = old {
            let same = KvEntry { modify_index: old.modify_index, ..new.clone() };
            new = if same == *old { same } else { new };
        }
        self.entries.insert(key, new);
    }
}

fn queries() -> Vec<Query> {
    let mut all: Vec<Query> = KEYS.map(|key| Query::KvGet { key: key.to_owned() }).into();
    all.extend((0..6).map(|number| Query::Session { id: id(number).to_uppercase() }));
    all.extend(["a", "A", "b", "c"].map(|node| Query::NodeSessions { node: node.to_owned() }));
    all.push(Query::Sessions);
    all
}

fn restored(store: &StateStore) -> StateStore {
    let mut reader = snapshot::Reader::new();
    for piece in snapshot::encode(store.clone()) {
        reader.push(&piece).expect("records");
    }
    reader.finish().expect("a store")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn sessions_end_with_what_they_need_and_no_lock_outlives_them(
        moves in prop::collection::vec(moves(), 1..60),
    ) {
        let (mut store, mut model) = (StateStore::new(), Model::default());
        for (step, next) in moves.iter().enumerate() {
            let at = 2 * (step as u64 + 1);
            let what = command_of(next);
            let bytes = command::encode(&what, "dc1");
            prop_assert_eq!(command::decode(&bytes), Ok(Some(what.clone())), "on the wire");
            let before: Vec<_> = queries().iter().map(|query| store.query(query)).collect();
            let expected = model.play(at, next);
            let (result, changes) = store.apply(LogIndex(at), &what, &Faults::none());
            store.check_invariants();
            match (&result, expected) {
                (CommandResult::Flag(flag), Some(wanted)) => prop_assert_eq!(*flag, wanted),
                (CommandResult::Id(_), Some(true)) | (CommandResult::Error(_), None) => {}
                (got, wanted) => prop_assert!(false, "{next:?}: {got:?}, expected {wanted:?}"),
            }
            let Rows::Entries(entries) = store.query(&Query::KvList { prefix: String::new() }).rows
            else { panic!("keys") };
            let wanted: Vec<KvEntry> = model.entries.values().cloned().collect();
            prop_assert_eq!(entries, wanted, "after {:?}", next);
            let living: Vec<&str> = store.sessions_after(None).map(|it| it.id.as_str()).collect();
            let wanted: Vec<String> = model.sessions.keys().map(|number| id(*number)).collect();
            prop_assert_eq!(living, wanted, "after {:?}", next);
            let mut closed: Vec<(String, Duration)> = changes.iter().filter_map(|it| match it {
                Change::LockDelay { key, delay } => Some((key.clone(), *delay)),
                _ => None,
            }).collect();
            closed.sort();
            model.closed.sort();
            prop_assert_eq!(&closed, &model.closed, "after {:?}", next);
            for (query, old) in queries().iter().zip(&before) {
                let new = store.query(query);
                let touched = changes.iter().any(|change| query.is_touched_by(change));
                if new.rows != old.rows {
                    prop_assert!(touched && new.index == at, "{query:?} sleeps through {next:?}");
                }
            }
        }
        prop_assert_eq!(restored(&store), store);
    }
}

#[test]
fn a_lock_counts_and_a_plain_write_starts_the_count_again() {
    let mut store = StateStore::new();
    let mut at = 0;
    let mut apply = |next: Move| {
        at += 1;
        let done = store.apply(LogIndex(at), &command_of(&next), &Faults::none());
        store.check_invariants();
        let Rows::Entries(rows) = store.query(&Query::KvGet { key: "k".to_owned() }).rows else {
            panic!("keys")
        };
        (done.0, rows.first().map(|row| (row.lock_index, row.session.clone())))
    };
    apply(Move::Node(0));
    let create = |number| Move::Create {
        number,
        node: 0,
        checks: vec![],
        old: false,
        delete: false,
        delay_s: 0,
    };
    apply(create(1));
    apply(create(2));
    let (held, free) = (|by| Some(id(by)), None);
    let done = CommandResult::Flag;
    for (next, result, row) in [
        (Move::Lock(0, 1, "v"), true, (1, held(1))),
        (Move::Lock(0, 2, "w"), false, (1, held(1))),
        (Move::Lock(0, 1, "w"), true, (1, held(1))),
        (Move::Unlock(0, 2, ""), false, (1, held(1))),
        (Move::Unlock(0, 1, ""), true, (1, free.clone())),
        (Move::Lock(0, 2, ""), true, (2, held(2))),
        (Move::Set(0, "plain"), true, (0, held(2))),
        (Move::Destroy(2), true, (0, free.clone())),
        (Move::Lock(0, 1, ""), true, (1, held(1))),
    ] {
        let text = format!("{next:?}");
        assert_eq!(apply(next), (done(result), Some(row)), "{text}");
    }
    let unknown = apply(Move::Lock(0, 5, "")).0;
    assert_eq!(unknown, CommandResult::Error(format!("invalid session {:?}", id(5))));
}
