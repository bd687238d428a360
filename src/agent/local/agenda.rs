//! When something about one check is due: one time for each purpose.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Instant;

/// For what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// The check runs, expires or looks again.
    Run,
    /// Its output goes to the catalog.
    Output,
    /// It takes its service with it.
    Reap,
}

/// All times, found by check and by time.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    at: BTreeMap<(String, Due), Instant>,
    order: BTreeSet<(Instant, String, Due)>,
}

impl Agenda {
    /// Sets the one time, or takes it away.
    pub fn set(&mut self, check: &str, due: Due, at: Option<Instant>) {
        let key = (check.to_owned(), due);
        let old = match at {
            Some(at) => self.at.insert(key, at),
            None => self.at.remove(&key),
        };
        if let Some(old) = old {
            self.order.remove(&(old, check.to_owned(), due));
        }
        self.order.extend(at.map(|at| (at, check.to_owned(), due)));
    }

    /// Whether there is one.
    pub fn has(&self, check: &str, due: Due) -> bool {
        self.at.contains_key(&(check.to_owned(), due))
    }

    /// All that is about a check goes.
    pub fn forget(&mut self, check: &str) {
        for due in [Due::Run, Due::Output, Due::Reap] {
            self.set(check, due, None);
        }
    }

    /// The first time.
    pub fn deadline(&self) -> Option<Instant> {
        self.order.first().map(|(at, ..)| *at)
    }

    /// Takes what is due; the earliest first.
    pub fn pop(&mut self, now: Instant) -> Option<(String, Due)> {
        let (_, check, due) = self.order.first().filter(|(at, ..)| *at <= now).cloned()?;
        self.set(&check, due, None);
        Some((check, due))
    }

    /// Both views agree.
    pub fn check_invariants(&self) {
        crate::invariant!(
            self.at.len() == self.order.len()
                && self.at.iter().all(|((check, due), at)| self.order.contains(&(
                    *at,
                    check.clone(),
                    *due
                ))),
            "the agenda {:?} is ordered as {:?}",
            self.at,
            self.order
        );
    }
}
