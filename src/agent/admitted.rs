//! What the leader does with prepared queries and transactions before they go into its log: ids are drawn,
//! and refused is what its own state and clock say cannot be.

use crate::base::Instant;
use crate::base::ids::uuid;
use crate::state::{CommandResult, PreparedQueryCommand, TxnOp, TxnResponse, admit_txn};

use super::core::Agent;

impl Agent {
    /// Completes and checks a definition.
    pub(super) fn admit_prepared_query(
        &mut self,
        command: &mut PreparedQueryCommand,
    ) -> Result<(), String> {
        let Self { prng, state, .. } = self;
        command.admit(state, || {
            let mut bytes = [0; 16];
            prng.fill(&mut bytes);
            uuid(bytes)
        })
    }

    /// Completes and checks all operations of a transaction; the answer, when one of them cannot be.
    pub(super) fn admit_txn(
        &mut self,
        now: Instant,
        ops: &mut [TxnOp],
    ) -> Result<(), CommandResult> {
        let delays = &mut self.lock_delays;
        let errors = admit_txn(ops, |key| delays.is_closed(now, key));
        match TxnResponse::refused(errors) {
            None => Ok(()),
            Some(response) => Err(CommandResult::Txn(Box::new(response))),
        }
    }
}
