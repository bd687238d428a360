//! What the users of a run did and saw.
//!
//! ```text
//!   user u1 ──invoke──▶ ┌──────────┐            ┌─────────┐ ──▶ checker::linearizable
//!   user u2 ──invoke──▶ │ Recorder │ ─finish──▶ │ History │ ──▶ report
//!           ◀─complete─ └──────────┘            └─────────┘ ◀─▶ history.jsonl (file)
//! ```
//!
//! A history is the only evidence the linearizability checker trusts, so it says nothing that a
//! user could not know: when the call was made, when an answer came, what it said. Invariants, kept
//! by [`Recorder`] and enforced by [`file::read`]: operations stand in the order of their calls and
//! `id` is that position; a logical client has at most one operation open, and none after an
//! unknown outcome (spec checkers 1.3).

pub mod file;
pub mod lookup;
pub mod operation;
mod recorder;
pub mod request;
mod row;

pub use recorder::Recorder;

use operation::{Call, Operation};

/// What the keys are, which decides what they hold before anything was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// A register: absent at first.
    Register,
    /// A string that grows: empty at first, never absent.
    KvAppend,
}

/// The operations of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    operations: Vec<Operation>,
}

impl History {
    /// The history of these operations: orders them by their calls (equal times keep their order)
    /// and numbers them.
    #[must_use]
    pub fn new(mut operations: Vec<Operation>) -> Self {
        operations.sort_by_key(|operation| operation.called_at);
        for (id, operation) in operations.iter_mut().enumerate() {
            operation.id = id as u64;
        }
        Self { operations }
    }

    /// The operations in the order of their calls; `id` is the position.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation with this id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Operation> {
        self.operations.get(usize::try_from(id).ok()?)
    }

    /// Appends make the keys strings that grow; without any, they are registers.
    #[must_use]
    pub fn model(&self) -> Model {
        let appends = |operation: &Operation| matches!(operation.call, Call::Append { .. });
        if self.operations.iter().any(appends) { Model::KvAppend } else { Model::Register }
    }
}
