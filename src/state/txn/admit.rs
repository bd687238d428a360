//! What is asked of each operation before a transaction begins, and what is filled in (texts of Consul
//! 1.9.8).

use super::{TxnCheck, TxnError, TxnOp, TxnResponse, TxnService};
use crate::state::{Deregister, Register};

impl TxnResponse {
    /// A transaction that was refused before it began; none when `errors` is empty.
    #[must_use]
    pub fn refused(errors: Vec<TxnError>) -> Option<Self> {
        (!errors.is_empty()).then(|| Self { results: Vec::new(), errors })
    }
}

/// Completes and checks all operations. `delayed`: whether no session may have this key yet.
pub fn admit(ops: &mut [TxnOp], mut delayed: impl FnMut(&str) -> bool) -> Vec<TxnError> {
    let mut errors = Vec::new();
    for (op_index, op) in ops.iter_mut().enumerate() {
        if let Err(what) = admit_one(op, &mut delayed) {
            errors.push(TxnError { op_index, what });
        }
    }
    errors
}

fn admit_one(op: &mut TxnOp, delayed: &mut impl FnMut(&str) -> bool) -> Result<(), String> {
    match op {
        TxnOp::Kv(op) => {
            let key = &op.entry.key;
            if key.is_empty() && op.verb != "delete-tree" {
                return Err("Must provide key".to_owned());
            }
            if op.verb == "lock" && delayed(key) {
                return Err(format!("failed to lock key {key:?} due to lock delay"));
            }
            Ok(())
        }
        TxnOp::Node(op) if op.verb != "get" => {
            Deregister { node: op.node.node.clone(), ..Deregister::default() }.admit()?;
            // The form of the UUID, and no more: what else a registration needs is not asked for here.
            let node = op.node.clone();
            Register { node, skip_node_update: true, ..Register::default() }.admit("")
        }
        TxnOp::Service(TxnService { verb, service, .. }) if verb != "get" => {
            let mut whole = Register { skip_node_update: true, ..Register::default() };
            whole.node.node.push('-');
            whole.service = Some(std::mem::take(service));
            let admitted = whole.admit("");
            *service = whole.service.unwrap_or_default();
            admitted
        }
        TxnOp::Check(TxnCheck { verb, check }) if verb != "get" => {
            if check.check_id.is_empty() {
                check.check_id.clone_from(&check.name);
            }
            Ok(())
        }
        TxnOp::Node(_) | TxnOp::Service(_) | TxnOp::Check(_) | TxnOp::Session(_) => Ok(()),
    }
}
