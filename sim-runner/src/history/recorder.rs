//! Takes down operations while a run goes on.
//!
//! Logical clients: a user goes on under a fresh client number after an unknown outcome, because
//! the old operation may still take effect and a client has one operation open at a time (spec
//! checkers 1.3). A user with several operations open (scripts do that) has several clients.

use std::collections::BTreeMap;

use super::History;
use super::operation::{Call, Operation, Outcome, Output};

/// Writes down who asked what when, and what came of it.
#[derive(Debug, Default)]
pub struct Recorder {
    operations: Vec<Operation>,
    /// Per user: its clients that have nothing open and may be used again.
    idle: BTreeMap<String, Vec<u32>>,
    clients: u32,
}

impl Recorder {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A user calls, at `at` ns, which must not be before an earlier call. Returns the operation's
    /// id, which is its place in the history.
    pub fn invoke(&mut self, user: &str, server: &str, key: &str, call: Call, at: i64) -> u64 {
        debug_assert!(
            self.operations.last().is_none_or(|last| last.called_at <= at),
            "calls are recorded in the order of their times"
        );
        let client = self.idle.get_mut(user).and_then(Vec::pop).unwrap_or_else(|| {
            self.clients += 1;
            self.clients - 1
        });
        let id = self.operations.len() as u64;
        self.operations.push(Operation {
            id,
            client,
            user: user.to_owned(),
            server: server.to_owned(),
            key: key.to_owned(),
            call,
            called_at: at,
            returned_at: None,
            outcome: Outcome::Unknown,
            output: None,
            index: None,
            error: None,
        });
        id
    }

    /// The operation ends at `at` ns. `output` and `index` are kept only with [`Outcome::Ok`].
    ///
    /// # Panics
    /// When there is no such operation, or it has ended before: both are faults of the caller.
    pub fn complete(
        &mut self,
        id: u64,
        at: i64,
        outcome: Outcome,
        output: Option<Output>,
        index: Option<u64>,
        error: Option<String>,
    ) {
        let operation = self.operations.get_mut(id as usize).expect("ids come from invoke");
        assert!(operation.returned_at.is_none(), "operation {id} ends twice");
        let answered = outcome == Outcome::Ok;
        operation.returned_at = Some(at);
        operation.outcome = outcome;
        operation.output = output.filter(|_| answered);
        operation.index = index.filter(|_| answered);
        operation.error = error;
        if outcome != Outcome::Unknown {
            self.idle.entry(operation.user.clone()).or_default().push(operation.client);
        }
    }

    /// How many operations there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// What was recorded so far; what is still open has an unknown outcome.
    #[must_use]
    pub fn history(&self) -> History {
        History { operations: self.operations.clone() }
    }

    /// The history; what is still open has an unknown outcome.
    #[must_use]
    pub fn finish(self) -> History {
        History { operations: self.operations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(recorder: &mut Recorder, user: &str, at: i64) -> u64 {
        recorder.invoke(user, "n1", "k", Call::Put { value: format!("{at}") }, at)
    }

    #[test]
    fn a_user_keeps_its_client_until_an_outcome_is_unknown() {
        let mut recorder = Recorder::new();
        let first = put(&mut recorder, "u1", 1);
        recorder.complete(first, 2, Outcome::Ok, Some(Output::Done), None, None);
        let second = put(&mut recorder, "u1", 3);
        recorder.complete(second, 4, Outcome::Unknown, None, None, Some("timed out".into()));
        let third = put(&mut recorder, "u1", 5);
        recorder.complete(third, 6, Outcome::Fail, None, None, Some("refused".into()));
        put(&mut recorder, "u1", 7);
        let clients: Vec<u32> =
            recorder.finish().operations().iter().map(|operation| operation.client).collect();
        assert_eq!(clients, [0, 0, 1, 1]);
    }

    #[test]
    fn two_open_operations_of_one_user_are_two_clients() {
        let mut recorder = Recorder::new();
        put(&mut recorder, "u1", 1);
        put(&mut recorder, "u1", 1);
        let history = recorder.finish();
        assert_ne!(history.operations()[0].client, history.operations()[1].client);
        assert_eq!(history.operations()[0].outcome, Outcome::Unknown);
    }

    #[test]
    fn what_was_not_answered_observed_nothing() {
        let mut recorder = Recorder::new();
        let id = put(&mut recorder, "u1", 1);
        recorder.complete(id, 2, Outcome::Unknown, Some(Output::Done), Some(7), None);
        let history = recorder.finish();
        assert_eq!(history.operations()[0].output, None);
        assert_eq!(history.operations()[0].index, None);
    }
}
