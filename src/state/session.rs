//! Sessions: who may hold keys, and for how long (spec cluster 6.9, 10.6, 11.3).
//!
//! ```text
//!   id              ──► Session        by_node:   node (lower case), id
//!                                      by_check:  node, check id, session id
//!   key/value table ──► locked:        session id, key
//! ```
//!
//! A session is bound to a node and to checks of that node. It ends when it is destroyed, when one of its
//! checks turns critical or goes, and when its node goes: in the entry that does so, at its index. With it
//! end its locks: the keys that it holds lose their holder, or go, as the session's behaviour says.
//!
//! ```text
//!   catalog command ──► Vec<Lost> ──► sessions bound to them ──► their keys ──► changes, lock delays
//! ```
//!
//! For how long a key that was freed in this way is closed to other sessions is no part of the state: it
//! is told with [`Change::LockDelay`], and each server counts the time by its own clock.
//!
//! Invariants: the node of a session is there, and so are its checks, none of them critical; a key is held
//! by a session that is there; the tables on the right say what those on the left do.
//!
//! Deliberately not here: time to live, which the leader keeps by its clock, and ids, which it draws.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::base::ids::is_uuid;
use crate::base::{Duration, go_duration};
use crate::state::catalog::{CRITICAL, Catalog, Lost};
use crate::state::index::SESSIONS;
use crate::state::rows::after;
use crate::state::{Answer, Change, CommandResult, Query, Rows, StateStore};

/// The keys of a session that ends are released.
pub const RELEASE: &str = "release";
/// They are deleted.
pub const DELETE: &str = "delete";
/// No key stays closed for longer after its holder ended.
pub const MAX_LOCK_DELAY: Duration = Duration::from_secs(60);

/// A check of a service, as sessions name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceCheck {
    /// The check's id.
    pub id: String,
    /// Of the enterprise release; not interpreted.
    pub namespace: String,
}

/// A session, with the fields of Consul 1.9.8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// A UUID, which the leader draws.
    pub id: String,
    /// For people.
    pub name: String,
    /// The node that it is bound to.
    pub node: String,
    /// For so long are keys closed that it holds when it ends; more than 60 s are 60 s.
    pub lock_delay: Duration,
    /// `release` or `delete`: what becomes of its keys.
    pub behavior: String,
    /// Without a renewal for so long it may end, in Go's form; empty or zero: it need not be renewed.
    pub ttl: String,
    /// The checks of the node that it is bound to.
    pub node_checks: Vec<String>,
    /// Of services on it.
    pub service_checks: Vec<ServiceCheck>,
    /// Either, as they were named before Consul 1.7.
    pub checks: Vec<String>,
    /// Index of the entry that created it.
    pub create_index: u64,
    /// Index of the entry that last changed it: the same.
    pub modify_index: u64,
}

impl Session {
    /// Its time to live; none when it need not be renewed.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        go_duration::parse_span(&self.ttl).filter(|ttl| !ttl.is_zero())
    }

    /// The ids of all checks that it is bound to.
    pub fn check_ids(&self) -> impl Iterator<Item = &str> {
        let services = self.service_checks.iter().map(|check| check.id.as_str());
        let named = self.checks.iter().chain(&self.node_checks).map(String::as_str);
        named.chain(services)
    }
}

/// A change of sessions (Consul's message type 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Begin one. Its indexes are the store's to give.
    Create(Box<Session>),
    /// End the one of this id; one that is not there has ended.
    Destroy {
        /// Its id.
        id: String,
    },
}

/// How ids are looked up: in any case.
fn folded(id: &str) -> Arc<str> {
    id.to_lowercase().into()
}

/// A name of nodes, as the catalog compares them.
fn folded_node(node: &str) -> Arc<str> {
    node.to_lowercase().into()
}

/// Why a text is no session's id, in Consul's words: what a lookup of it says.
///
/// # Errors
/// It is none.
pub fn check_session_id(id: &str) -> Result<(), String> {
    if id.len() != 36 {
        return Err("failed session lookup: index error: UUID must be 36 characters".to_owned());
    }
    match is_uuid(&id.to_lowercase()) {
        true => Ok(()),
        false => Err(format!("failed session lookup: index error: Invalid UUID: {id:?}")),
    }
}

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionTable {
    pub rows: OrdMap<Arc<str>, Arc<Session>>,
    by_node: OrdSet<(Arc<str>, Arc<str>)>,
    by_check: OrdSet<(Arc<str>, Arc<str>, Arc<str>)>,
}

impl SessionTable {
    /// The session of this id.
    ///
    /// # Errors
    /// There is none, or no session has such an id, with Consul's text.
    pub(super) fn find(&self, id: &str) -> Result<&Session, String> {
        if id.is_empty() {
            return Err("missing session".to_owned());
        }
        check_session_id(id)?;
        let found = self.rows.get(&folded(id)).map(|session| &**session);
        found.ok_or_else(|| format!("invalid session {id:?}"))
    }

    fn put(&mut self, session: Session) {
        let (id, node) = (folded(&session.id), folded_node(&session.node));
        self.by_node.insert((node.clone(), id.clone()));
        for check in session.check_ids() {
            self.by_check.insert((node.clone(), check.into(), id.clone()));
        }
        self.rows.insert(id, Arc::new(session));
    }

    fn take(&mut self, id: &Arc<str>) -> Option<Arc<Session>> {
        let session = self.rows.remove(id)?;
        let node = folded_node(&session.node);
        self.by_node.remove(&(node.clone(), id.clone()));
        for check in session.check_ids() {
            self.by_check.remove(&(node.clone(), check.into(), id.clone()));
        }
        Some(session)
    }

    fn of_node<'a>(&'a self, node: &'a Arc<str>) -> impl Iterator<Item = &'a Arc<str>> {
        let from = self.by_node.range((node.clone(), Arc::from(""))..);
        from.take_while(move |(at, _)| at == node).map(|(_, id)| id)
    }

    /// The sessions that were bound to what went.
    fn bound_to(&self, lost: &Lost) -> Vec<Arc<str>> {
        match lost {
            Lost::Node(node) => self.of_node(node).cloned().collect(),
            Lost::Check(node, check) => {
                let first = (node.clone(), check.clone(), Arc::from(""));
                let from = self.by_check.range(first..);
                let bound = from.take_while(|(at, of, _)| at == node && of == check);
                bound.map(|(_, _, id)| id.clone()).collect()
            }
        }
    }

    /// Whether it can begin: its node and its checks are there.
    fn admit(&self, session: &Session, catalog: &Catalog) -> Result<(), String> {
        if session.id.is_empty() {
            return Err("Missing session ID".to_owned());
        }
        check_session_id(&session.id)?;
        if !matches!(session.behavior.as_str(), RELEASE | DELETE) {
            return Err(format!("Invalid session behavior: {}", session.behavior));
        }
        if catalog.node(&session.node).is_none() {
            return Err("Missing node registration".to_owned());
        }
        for id in session.check_ids() {
            match catalog.check_on(&session.node, id) {
                None => return Err(format!("Missing check '{id}' registration")),
                Some(check) if check.status == CRITICAL => {
                    return Err(format!("Check '{id}' is in critical state"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The answer; an empty one to a question that is not about sessions.
    pub(super) fn query(&self, query: &Query, catalog: &Catalog) -> Answer {
        let row = |id: &Arc<str>| self.rows.get(id).map(|it| Session::clone(it));
        let rows = match query {
            Query::Session { id } => row(&folded(id)).into_iter().collect(),
            Query::Sessions => self.rows.values().map(|it| Session::clone(it)).collect(),
            Query::NodeSessions { node } => {
                self.of_node(&folded_node(node)).filter_map(row).collect()
            }
            _ => Vec::new(),
        };
        Answer { index: catalog.indexes.max(&[SESSIONS]), rows: Rows::Sessions(rows) }
    }

    /// Whether a row of a snapshot can be added: it could begin now, and is the only one of its id.
    pub(super) fn restore(&mut self, session: Session, catalog: &mut Catalog) -> bool {
        let fits = self.admit(&session, catalog).is_ok();
        if !fits || self.rows.contains_key(&folded(&session.id)) {
            return false;
        }
        catalog.indexes.raise(SESSIONS, session.modify_index);
        self.put(session);
        true
    }

    /// Everything that must hold of the table.
    pub(super) fn check(&self, catalog: &Catalog) {
        let latest = catalog.indexes.max(&[SESSIONS]);
        let (mut of_nodes, mut of_checks) = (0, OrdSet::new());
        for (id, session) in &self.rows {
            let node = folded_node(&session.node);
            crate::invariant!(folded(&session.id) == *id, "session {id} is {:?}", session.id);
            let admitted = self.admit(session, catalog);
            crate::invariant!(
                admitted.is_ok(),
                "session {id} outlives what it needs: {admitted:?}"
            );
            crate::invariant!(
                0 < session.create_index
                    && session.create_index <= session.modify_index
                    && session.modify_index <= latest,
                "indexes of session {id}: {} {} in a table at {latest}",
                session.create_index,
                session.modify_index
            );
            crate::invariant!(
                self.by_node.contains(&(node.clone(), id.clone())),
                "session {id} is not noted with {node}"
            );
            of_nodes += 1;
            for check in session.check_ids() {
                of_checks.insert((node.clone(), Arc::from(check), id.clone()));
            }
        }
        crate::invariant!(of_nodes == self.by_node.len(), "sessions of nodes");
        crate::invariant!(of_checks == self.by_check, "sessions of checks");
    }
}

impl StateStore {
    /// A session, by its id.
    #[must_use]
    pub fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.rows.get(&folded(id)).map(|session| &**session)
    }

    /// The sessions after this id, which is in lower case, in the order of theirs.
    pub fn sessions_after(&self, id: Option<&str>) -> impl Iterator<Item = &Session> {
        self.sessions.rows.range::<_, str>(after(id)).map(|(_, session)| &**session)
    }

    pub(super) fn apply_session(
        &mut self,
        index: u64,
        command: &SessionCommand,
    ) -> (CommandResult, Vec<Change>) {
        let refused = |text| (CommandResult::Error(text), Vec::new());
        match command {
            SessionCommand::Create(session) => {
                let mut row = Session::clone(session);
                if row.behavior.is_empty() {
                    RELEASE.clone_into(&mut row.behavior);
                }
                (row.create_index, row.modify_index) = (index, index);
                if let Err(text) = self.sessions.admit(&row, &self.catalog) {
                    return refused(text);
                }
                let id = row.id.clone();
                // Ids are random and compared with all that are there before they enter the log.
                if self.sessions.rows.contains_key(&folded(&id)) {
                    return refused(format!("session {id:?} is there already"));
                }
                self.sessions.put(row);
                self.catalog.indexes.raise(SESSIONS, index);
                let changes = vec![Change::Session(id.clone()), Change::row(SESSIONS)];
                (CommandResult::Id(id), changes)
            }
            SessionCommand::Destroy { id } => {
                if let Err(text) = check_session_id(id) {
                    return refused(text);
                }
                let mut changes = Vec::new();
                self.end_session(index, &folded(id), &mut changes);
                (CommandResult::Flag(true), changes)
            }
        }
    }

    /// Ends the sessions that were bound to what a command on the catalog took away.
    pub(super) fn end_bound(&mut self, index: u64, lost: &[Lost], changes: &mut Vec<Change>) {
        for id in lost.iter().flat_map(|lost| self.sessions.bound_to(lost)).collect::<Vec<_>>() {
            self.end_session(index, &id, changes);
        }
    }

    /// Ends a session, if it is there, with its locks.
    fn end_session(&mut self, index: u64, id: &Arc<str>, changes: &mut Vec<Change>) {
        let Some(session) = self.sessions.take(id) else { return };
        self.catalog.indexes.raise(SESSIONS, index);
        changes.extend([Change::Session(session.id.clone()), Change::row(SESSIONS)]);
        changes.extend(self.queries.end_with(index, &session.id, &mut self.catalog.indexes));
        let delay = session.lock_delay.min(MAX_LOCK_DELAY);
        for key in self.kv.free(index, &session.id, session.behavior == DELETE) {
            if !delay.is_zero() {
                changes.push(Change::LockDelay { key: key.clone(), delay });
            }
            changes.push(Change::Key(key));
        }
    }

    /// A key is held by a session that is there, and so noted.
    pub(super) fn check_locks(&self) {
        let mut held = 0;
        for entry in self.kv.entries.values() {
            let Some(holder) = &entry.session else { continue };
            held += 1;
            let there = self.session(holder).is_some_and(|session| session.id == *holder);
            crate::invariant!(there, "{:?} is held by {holder:?}, which is not there", entry.key);
            let noted = (Arc::from(holder.as_str()), Arc::from(entry.key.as_str()));
            crate::invariant!(self.kv.locked.contains(&noted), "{noted:?} is not noted");
        }
        crate::invariant!(held == self.kv.locked.len(), "{held} keys are held, others are noted");
    }
}
