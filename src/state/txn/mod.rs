//! Transactions: operations on several tables, at one index, all or none (spec cluster 10.7).
//!
//! ```text
//!   ops ──► admit (leader, before the log) ──► log ──► run on the tables, one after the other
//!                │ errors: nothing is written             │ any error: tables put back, O(1)
//!                ▼                                        ▼
//!           TxnResponse                              TxnResponse, changes of all of them
//! ```
//!
//! Each operation sees what those before it did; after one that fails the others are still tried, so that
//! the asker hears of every mistake at once. A write goes the way of the single command that does the
//! same ([`StateStore::apply`]'s own), so that both change the same rows, raise the same indexes
//! and wake the same queries.
//!
//! A transaction that only reads is a [`Query`](crate::state::Query): it is answered from one state, whichever
//! consistency is asked for, and never through the log.
//!
//! Deliberately not here: limits of size and number (the front end's), lock delays (the leader's, which has
//! a clock).

mod admit;
mod run;
mod types;

pub use admit::admit as admit_txn;
pub use types::*;
