//! Orders to the disk, and who waits for them (spec cluster 8.1).
//!
//! What a user registers is on disk before the user hears that it is registered. Until then nothing is
//! pushed by itself; should the disk refuse, the local state is put back as it was.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::io::Output;
use crate::base::RequestId;

use super::entries::{CheckEntry, ServiceEntry, Version};
use super::types::{Keep, KeepId};

/// What a request has changed: by id, the version that it made, and what was there before.
#[derive(Debug, Default)]
pub(super) struct Undo {
    pub services: Vec<(String, Version, Option<ServiceEntry>)>,
    pub checks: Vec<(String, Version, Option<CheckEntry>)>,
}

/// A request that waits for the disk.
#[derive(Debug)]
pub(super) struct Operation {
    /// None: nobody waits.
    pub asker: Option<RequestId>,
    /// What to do when the disk refuses; none: nothing.
    pub undo: Option<Undo>,
    /// What a refusal says before the disk's own words.
    pub complaint: String,
    failed: Option<String>,
    waits_for: BTreeSet<KeepId>,
}

impl Operation {
    pub fn new(asker: Option<RequestId>, undo: Option<Undo>) -> Self {
        let waits_for = BTreeSet::new();
        Self { asker, undo, complaint: String::new(), failed: None, waits_for }
    }
}

/// All orders under way.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    operations: BTreeMap<u64, Operation>,
    orders: BTreeMap<KeepId, u64>,
    last: u64,
}

impl Keeping {
    /// Orders this; the operation comes back when there is nothing to wait for.
    pub fn begin(
        &mut self,
        mut operation: Operation,
        keeps: Vec<Keep>,
        out: &mut Vec<Output>,
    ) -> Option<Operation> {
        if keeps.is_empty() {
            return Some(operation);
        }
        self.last += 1;
        let name = self.last;
        for keep in keeps {
            self.last += 1;
            let id = KeepId(self.last);
            self.orders.insert(id, name);
            operation.waits_for.insert(id);
            out.push(Output::Keep(id, Box::new(keep)));
        }
        self.operations.insert(name, operation);
        None
    }

    /// Takes the end of an order; the operation comes back with its last one, and why it failed.
    pub fn ended(
        &mut self,
        id: KeepId,
        result: Result<(), String>,
    ) -> Option<(Operation, Result<(), String>)> {
        let name = self.orders.remove(&id)?;
        let operation = self.operations.get_mut(&name)?;
        operation.waits_for.remove(&id);
        if let Err(why) = result {
            operation.failed.get_or_insert(why);
        }
        if !operation.waits_for.is_empty() {
            return None;
        }
        let mut operation = self.operations.remove(&name)?;
        let result = operation.failed.take().map_or(Ok(()), Err);
        Some((operation, result))
    }

    /// Whether something is registered that may have to be put back.
    pub fn pauses(&self) -> bool {
        self.operations.values().any(|it| it.undo.is_some())
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&mut self, id: RequestId) {
        for operation in self.operations.values_mut().filter(|it| it.asker == Some(id)) {
            operation.asker = None;
        }
    }

    /// Who waits.
    pub fn take_askers(&mut self) -> Vec<RequestId> {
        self.operations.values_mut().filter_map(|it| it.asker.take()).collect()
    }

    pub fn check_invariants(&self) {
        let waiting = self.operations.values().map(|it| it.waits_for.len()).sum::<usize>();
        crate::invariant!(
            waiting == self.orders.len(),
            "{} orders to the disk, {waiting} are waited for",
            self.orders.len()
        );
    }
}
