//! Running a transaction's operations on the tables.

use bytes::Bytes;

use super::{
    TxnCheck, TxnError, TxnKv, TxnNode, TxnOp, TxnResponse, TxnResult, TxnService, TxnSession,
    admit,
};
use crate::base::{Faults, LogIndex};
use crate::planted;
use crate::state::catalog::Single;
use crate::state::session::SessionCommand;
use crate::state::{Answer, Change, Command, CommandResult, KvCommand, KvEntry, Rows, StateStore};

/// What an operation gives, or why it fails.
type Outcome = Result<Vec<TxnResult>, String>;

/// A transaction at work.
struct Run<'a> {
    store: &'a mut StateStore,
    index: LogIndex,
    faults: &'a Faults,
    changes: Vec<Change>,
}

impl StateStore {
    /// Applies a transaction: all of it or, with an error, nothing.
    pub(in crate::state) fn apply_txn(
        &mut self,
        index: LogIndex,
        ops: &[TxnOp],
        faults: &Faults,
    ) -> (CommandResult, Vec<Change>) {
        let before = self.clone();
        let mut run = Run { store: self, index, faults, changes: Vec::new() };
        let response = run.all(ops);
        let mut changes = run.changes;
        // Oracle of the plant: transactions.
        if !response.errors.is_empty() && !planted!(faults, "txn-keeps-what-succeeded") {
            *self = before;
            changes.clear();
        }
        (CommandResult::Txn(Box::new(response)), changes)
    }

    /// Answers a transaction that only reads; one that writes fails.
    pub(in crate::state) fn read_txn(&self, ops: &[TxnOp]) -> Answer {
        let mut ops = ops.to_vec();
        let mut errors = admit::admit(&mut ops, |_| false);
        let writes = ops.iter().enumerate().filter(|(_, op)| !reads(op));
        errors.extend(writes.map(|(op_index, _)| TxnError {
            op_index,
            what: "cannot insert in read-only transaction".to_owned(),
        }));
        let response = TxnResponse::refused(errors).unwrap_or_else(|| {
            let (mut copy, index) = (self.clone(), self.applied);
            let faults = Faults::default();
            Run { store: &mut copy, index, faults: &faults, changes: Vec::new() }.all(&ops)
        });
        Answer { index: 0, rows: Rows::Txn(Box::new(response)) }
    }
}

/// Verbs that nobody knows change nothing either.
fn reads(op: &TxnOp) -> bool {
    let known = |verb: &str| matches!(verb, "set" | "cas" | "delete" | "delete-cas");
    match op {
        TxnOp::Kv(_) => op.only_reads(),
        TxnOp::Node(TxnNode { verb, .. }) | TxnOp::Service(TxnService { verb, .. }) => !known(verb),
        TxnOp::Check(op) => !known(&op.verb),
        TxnOp::Session(TxnSession { verb, .. }) => verb != "delete",
    }
}

impl Run<'_> {
    fn all(&mut self, ops: &[TxnOp]) -> TxnResponse {
        let mut response = TxnResponse::default();
        for (op_index, op) in ops.iter().enumerate() {
            let outcome = match op {
                TxnOp::Kv(op) => self.kv(op),
                TxnOp::Node(op) => self.node(op),
                TxnOp::Service(op) => self.service(op),
                TxnOp::Check(op) => self.check(op),
                TxnOp::Session(op) => self.session(op),
            };
            match outcome {
                Ok(results) => response.results.extend(results),
                Err(what) => response.errors.push(TxnError { op_index, what }),
            }
        }
        if !response.errors.is_empty() {
            response.results.clear();
        }
        response
    }

    /// A single command in the transaction; whether it did what it was to do.
    fn command(&mut self, command: &Command) -> Result<bool, String> {
        let (result, changes) = self.store.execute(self.index, command, self.faults);
        self.changes.extend(changes);
        match result {
            CommandResult::Flag(done) => Ok(done),
            CommandResult::Error(text) => Err(text),
            CommandResult::Id(_) | CommandResult::Txn(_) => Ok(true),
        }
    }

    fn kv(&mut self, op: &TxnKv) -> Outcome {
        let KvEntry { key, value, flags, session, modify_index: index, .. } = op.entry.clone();
        let (session, index_given) = (session.unwrap_or_default(), index);
        let stored = self.store.kv.entries.get(key.as_str()).map(|entry| KvEntry::clone(entry));
        let (command, otherwise) = match op.verb.as_str() {
            "set" => (KvCommand::Set { key, value, flags }, String::new()),
            // Oracle of the plant: transactions.
            "cas" if planted!(self.faults, "txn-ignores-versions") => {
                (KvCommand::Set { key, value, flags }, String::new())
            }
            "cas" => {
                let why = format!("failed to set key {key:?}, index is stale");
                (KvCommand::Cas { key, value, flags, index }, why)
            }
            "lock" => {
                let why = format!("failed to lock key {key:?}, lock is already held");
                (KvCommand::Lock { key, value, flags, session }, why)
            }
            "unlock" => {
                let why = format!(
                    "failed to unlock key {key:?}, lock isn't held, or is held by another session"
                );
                (KvCommand::Unlock { key, value, flags, session }, why)
            }
            "delete" => (KvCommand::Delete { key }, String::new()),
            "delete-cas" => {
                let why = format!("failed to delete key {key:?}, index is stale");
                (KvCommand::DeleteCas { key, index }, why)
            }
            "delete-tree" => (KvCommand::DeleteTree { prefix: key }, String::new()),
            "get" => return kv_get(&key, stored),
            "get-tree" => {
                let Rows::Entries(rows) = self.store.kv.list(&key).rows else {
                    return Ok(Vec::new());
                };
                return Ok(rows.into_iter().map(TxnResult::Kv).collect());
            }
            "check-index" => return kv_check_index(&key, stored, index_given),
            "check-session" => return kv_check_session(&key, stored, &session),
            "check-not-exists" => {
                return match stored {
                    Some(_) => Err(format!("key {key:?} exists")),
                    None => Ok(Vec::new()),
                };
            }
            verb => return Err(format!("unknown KV verb {verb:?}")),
        };
        if !self.command(&Command::Kv(command))? {
            return Err(otherwise);
        }
        let removes = op.verb.starts_with("delete");
        let after = self.store.kv.entries.get(op.entry.key.as_str()).filter(|_| !removes);
        Ok(after.map(|entry| bare(entry)).into_iter().collect())
    }

    fn catalog(&mut self, single: Single<'_>) -> Result<bool, String> {
        let (result, changes) = self.store.apply_single(self.index, single, self.faults);
        self.changes.extend(changes);
        match result {
            CommandResult::Error(text) => Err(text),
            _ => Ok(true),
        }
    }

    fn node(&mut self, op: &TxnNode) -> Outcome {
        let (name, node) = (&op.node.node, &op.node);
        let found = self.store.catalog.node_of(node).cloned();
        let named = self.store.node(name).map(|it| it.modify_index);
        let wanted = match op.verb.as_str() {
            "get" => {
                let missing = || format!("node {name:?} doesn't exist");
                return found.map(|it| vec![TxnResult::Node(it)]).ok_or_else(missing);
            }
            "set" => Single::SetNode(node),
            "cas" if fresh(named, node.modify_index) => Single::SetNode(node),
            "cas" => return Err(format!("failed to set node {name:?}, index is stale")),
            "delete" => Single::DeleteNode(name),
            "delete-cas" if named == Some(node.modify_index) => Single::DeleteNode(name),
            "delete-cas" => return Err(format!("failed to delete node {name:?}, index is stale")),
            verb => return Err(format!("unknown Node verb {verb:?}")),
        };
        let sets = matches!(wanted, Single::SetNode(_));
        self.catalog(wanted)?;
        let after = self.store.catalog.node_of(node).filter(|_| sets);
        Ok(after.cloned().map(TxnResult::Node).into_iter().collect())
    }

    fn service(&mut self, op: &TxnService) -> Outcome {
        let (node, id) = (op.node.as_str(), op.service.id.as_str());
        let place = format!("service {id:?} on node {node:?}");
        let found = self.store.service_on(node, id).cloned();
        let held = found.as_ref().map(|it| it.modify_index);
        let index = op.service.modify_index;
        let wanted = match op.verb.as_str() {
            "get" => {
                let missing = || format!("{place} doesn't exist");
                return found.map(|it| vec![TxnResult::Service(it)]).ok_or_else(missing);
            }
            "set" => Single::SetService(node, &op.service),
            "cas" if fresh(held, index) => Single::SetService(node, &op.service),
            "cas" => return Err(format!("failed to set {place}, index is stale")),
            "delete" => Single::DeleteService(node, id),
            "delete-cas" if held == Some(index) => Single::DeleteService(node, id),
            "delete-cas" => return Err(format!("failed to delete {place}, index is stale")),
            verb => return Err(format!("unknown Service verb {verb:?}")),
        };
        let sets = matches!(wanted, Single::SetService(..));
        self.catalog(wanted)?;
        let after = self.store.service_on(node, id).filter(|_| sets);
        Ok(after.cloned().map(TxnResult::Service).into_iter().collect())
    }

    fn session(&mut self, op: &TxnSession) -> Outcome {
        if op.verb != "delete" {
            return Err(format!("unknown Session verb {:?}", op.verb));
        }
        self.command(&Command::Session(SessionCommand::Destroy { id: op.id.clone() }))?;
        Ok(Vec::new())
    }

    fn check(&mut self, op: &TxnCheck) -> Outcome {
        let (node, id) = (op.check.node.as_str(), op.check.check_id.as_str());
        let place = format!("check {id:?} on node {node:?}");
        let found = self.store.check_on(node, id).cloned();
        let held = found.as_ref().map(|it| it.modify_index);
        let index = op.check.modify_index;
        let wanted = match op.verb.as_str() {
            "get" => {
                let missing = || format!("{place} doesn't exist");
                return found.map(|it| vec![TxnResult::Check(Box::new(it))]).ok_or_else(missing);
            }
            "set" => Single::SetCheck(&op.check),
            "cas" if fresh(held, index) => Single::SetCheck(&op.check),
            "cas" => return Err(format!("failed to set {place}, index is stale")),
            "delete" => Single::DeleteCheck(node, id),
            "delete-cas" if held == Some(index) => Single::DeleteCheck(node, id),
            "delete-cas" => return Err(format!("failed to delete {place}, index is stale")),
            verb => return Err(format!("unknown Check verb {verb:?}")),
        };
        let sets = matches!(wanted, Single::SetCheck(_));
        self.catalog(wanted)?;
        let after = self.store.check_on(node, id).filter(|_| sets);
        Ok(after.cloned().map(|it| TxnResult::Check(Box::new(it))).into_iter().collect())
    }
}

/// Whether a compare-and-set may go on: 0 stands for what is not there.
fn fresh(held: Option<u64>, expected: u64) -> bool {
    held.unwrap_or(0) == expected
}

/// Without its value, which the asker has.
fn bare(entry: &KvEntry) -> TxnResult {
    TxnResult::Kv(KvEntry { value: Bytes::new(), ..entry.clone() })
}

fn kv_get(key: &str, stored: Option<KvEntry>) -> Outcome {
    let missing = || format!("key {key:?} doesn't exist");
    stored.map(|entry| vec![TxnResult::Kv(entry)]).ok_or_else(missing)
}

fn kv_check_index(key: &str, stored: Option<KvEntry>, expected: u64) -> Outcome {
    let missing = || format!("failed to check index, key {key:?} doesn't exist");
    let entry = stored.ok_or_else(missing)?;
    if entry.modify_index != expected {
        let current = entry.modify_index;
        return Err(format!(
            "failed index check for key {key:?}, current modify index {current} != {expected}"
        ));
    }
    Ok(vec![bare(&entry)])
}

fn kv_check_session(key: &str, stored: Option<KvEntry>, expected: &str) -> Outcome {
    let missing = || format!("failed to check session, key {key:?} doesn't exist");
    let entry = stored.ok_or_else(missing)?;
    let current = entry.session.as_deref().unwrap_or_default();
    if current != expected {
        return Err(format!(
            "failed session check for key {key:?}, current session {current:?} != {expected:?}"
        ));
    }
    Ok(vec![bare(&entry)])
}
