//! Who takes part: transactions and single writes, with what they read and wrote, and the versions of
//! each key with their writers.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::operation::{Call, Mode, Operation, Outcome, Output};
use crate::history::request::{Listed, Reply, Request, TxnOp, Verb};

/// A version that somebody saw or compared with; absent: `index` 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub key: &'a str,
    pub index: u64,
    /// None where only the version is known.
    pub value: Option<&'a str>,
}

/// A read of what the same transaction had written.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnRead<'a> {
    pub key: &'a str,
    expected: &'a str,
    found: Option<&'a str>,
}

impl<'a> OwnRead<'a> {
    /// What was written and what was read, where they differ.
    pub fn differs(&self) -> Option<(&'a str, &'a str)> {
        let found = self.found.unwrap_or("nothing");
        (self.found != Some(self.expected)).then_some((self.expected, found))
    }
}

/// One that took part, or may have.
#[derive(Debug)]
pub(super) struct Party<'a> {
    pub operation: &'a Operation,
    pub reads: Vec<Read<'a>>,
    pub own: Vec<OwnRead<'a>>,
    /// Key, value that is left in the end, and the version where the answer tells it.
    pub writes: Vec<(&'a str, &'a str, Option<u64>)>,
    /// What had returned before its call surely came before it.
    pub follows_time: bool,
}

impl Party<'_> {
    /// `T17 of u3`.
    pub fn name(&self) -> String {
        format!("T{} of {}", self.operation.id, self.operation.user)
    }

    /// Whether it surely happened.
    pub fn certain(&self) -> bool {
        self.operation.outcome == Outcome::Ok
    }
}

/// By key and value.
type ByValue<'a, T> = BTreeMap<(&'a str, &'a str), T>;

/// All of them.
pub(super) struct Parties<'a> {
    pub all: Vec<Party<'a>>,
    /// Transactions that were answered.
    pub transactions: u64,
    pub writers: ByValue<'a, usize>,
    /// Values of what surely did not happen.
    pub rolled_back: ByValue<'a, &'a Operation>,
    /// Values that their own transactions replaced.
    pub overwritten: ByValue<'a, &'a Operation>,
    /// Per key, by version.
    pub versions: BTreeMap<&'a str, BTreeMap<u64, usize>>,
}

impl<'a> Parties<'a> {
    pub fn of(history: &'a [Operation]) -> Self {
        let keys = keys(history);
        let mut parties = Self {
            all: Vec::new(),
            transactions: 0,
            writers: BTreeMap::new(),
            rolled_back: BTreeMap::new(),
            overwritten: BTreeMap::new(),
            versions: BTreeMap::new(),
        };
        for operation in history {
            match operation.request() {
                Some(Request::Txn { mode, ops }) => {
                    parties.transaction(operation, *mode, ops, &keys);
                }
                _ => parties.single(operation, &keys),
            }
        }
        parties.number();
        parties
    }

    fn transaction(
        &mut self,
        operation: &'a Operation,
        mode: Mode,
        ops: &'a [TxnOp],
        keys: &BTreeSet<&'a str>,
    ) {
        let rows = match operation.answered() {
            Some((_, Reply::Committed(rows))) => rows.as_slice(),
            _ => &[],
        };
        self.transactions += u64::from(operation.output.is_some());
        let undone = operation.outcome == Outcome::Fail
            || matches!(operation.answered(), Some((_, Reply::RolledBack(_))));
        if undone {
            for op in ops.iter().filter(|op| keys.contains(op.key.as_str())) {
                if let Some(value) = &op.value {
                    self.rolled_back.insert((&op.key, value), operation);
                }
            }
            return;
        }
        let writes = ops.iter().any(|op| matches!(op.verb, Verb::Set | Verb::Cas));
        let mut party = Party {
            operation,
            reads: Vec::new(),
            own: Vec::new(),
            writes: Vec::new(),
            follows_time: writes || mode == Mode::Consistent,
        };
        let mut rows = rows.iter().peekable();
        for op in ops {
            self.performed(&mut party, op, &mut rows, keys);
        }
        party.writes.retain(|(key, ..)| keys.contains(key));
        party.reads.retain(|read| keys.contains(read.key));
        self.add(party);
    }

    fn performed(
        &mut self,
        party: &mut Party<'a>,
        op: &'a TxnOp,
        rows: &mut std::iter::Peekable<std::slice::Iter<'a, Listed>>,
        keys: &BTreeSet<&'a str>,
    ) {
        let key = op.key.as_str();
        let mut own_row = || rows.next_if(|row| row.key == op.key);
        match op.verb {
            Verb::Set | Verb::Cas => {
                let made = own_row().map(|row| row.index);
                if let (Verb::Cas, Some(index), true) = (op.verb, op.index, party.certain()) {
                    party.reads.push(Read { key, index, value: None });
                }
                let Some(value) = op.value.as_deref() else { return };
                if let Some(place) = party.writes.iter().position(|(other, ..)| *other == key) {
                    let (_, before, _) = party.writes.remove(place);
                    self.overwritten.insert((key, before), party.operation);
                }
                party.writes.push((key, value, made));
            }
            Verb::Get => {
                let Some(row) = own_row() else { return };
                let value = row.value.as_deref();
                match party.writes.iter().find(|(other, ..)| *other == key) {
                    Some((_, expected, _)) => {
                        party.own.push(OwnRead { key, expected, found: value });
                    }
                    None => party.reads.push(Read { key, index: row.index, value }),
                }
            }
            Verb::GetTree => {
                if !party.certain() {
                    return;
                }
                let own: BTreeSet<&str> = party.writes.iter().map(|(key, ..)| *key).collect();
                let mut seen: BTreeSet<&str> = own.clone();
                while let Some(row) = rows.next_if(|row| row.key.starts_with(key)) {
                    seen.insert(&row.key);
                    if !own.contains(row.key.as_str()) {
                        let value = row.value.as_deref();
                        party.reads.push(Read { key: &row.key, index: row.index, value });
                    }
                }
                let under = keys.range(key..).take_while(|other| other.starts_with(key));
                let absent = under.filter(|other| !seen.contains(**other));
                party.reads.extend(absent.map(|key| Read { key, index: 0, value: None }));
            }
        }
    }

    /// A put or compare-and-set of one key.
    fn single(&mut self, operation: &'a Operation, keys: &BTreeSet<&'a str>) {
        let (value, index) = match &operation.call {
            Call::Put { value } => (value, None),
            Call::CasIndex { index, value } => (value, Some(*index)),
            _ => return,
        };
        let Some(key) = keys.get(operation.key.as_str()).copied() else { return };
        if operation.outcome == Outcome::Fail || operation.output == Some(Output::Swapped(false)) {
            self.rolled_back.insert((key, value), operation);
            return;
        }
        let compared = index.filter(|_| operation.outcome == Outcome::Ok);
        let reads = compared.map(|index| Read { key, index, value: None });
        self.add(Party {
            operation,
            reads: reads.into_iter().collect(),
            own: Vec::new(),
            writes: vec![(key, value, None)],
            follows_time: true,
        });
    }

    fn add(&mut self, party: Party<'a>) {
        for (key, value, _) in &party.writes {
            self.writers.insert((key, value), self.all.len());
        }
        self.all.push(party);
    }

    /// Finds the versions: those that answers tell, and those that were seen by their values.
    fn number(&mut self) {
        let mut found: Vec<(&str, u64, usize)> = Vec::new();
        for (place, party) in self.all.iter().enumerate() {
            let made = party.writes.iter().filter_map(|(key, _, index)| Some((*key, (*index)?)));
            found.extend(made.map(|(key, index)| (key, index, place)));
            for read in &party.reads {
                let writer = read.value.and_then(|value| self.writers.get(&(read.key, value)));
                found.extend(writer.map(|writer| (read.key, read.index, *writer)));
            }
        }
        for (key, index, writer) in found {
            self.versions.entry(key).or_default().insert(index, writer);
        }
    }
}

/// Keys whose versions are all told: of transactions, never deleted, with no value written twice.
fn keys(history: &[Operation]) -> BTreeSet<&str> {
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for operation in history {
        if let Some(Request::Txn { ops, .. }) = operation.request() {
            let single = ops.iter().filter(|op| op.verb != Verb::GetTree);
            keys.extend(single.map(|op| op.key.as_str()));
        }
    }
    let mut values: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut doubtful: BTreeSet<&str> = BTreeSet::new();
    let mut wrote = |key, value| {
        if !values.insert((key, value)) {
            doubtful.insert(key);
        }
    };
    for operation in history {
        let key = operation.key.as_str();
        match &operation.call {
            Call::Put { value } | Call::CasIndex { value, .. } => wrote(key, value.as_str()),
            Call::Of(Request::Txn { ops, .. }) => {
                for op in ops {
                    if let Some(value) = &op.value {
                        wrote(&op.key, value);
                    }
                }
            }
            _ => {}
        }
    }
    let deleted = history.iter().filter(|it| it.call == Call::Delete).map(|it| it.key.as_str());
    doubtful.extend(deleted);
    keys.retain(|key| !doubtful.contains(key));
    keys
}
