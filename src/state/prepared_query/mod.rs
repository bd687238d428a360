//! Prepared queries: questions for the instances of a service that are kept under a name (spec api
//! 2.13).
//!
//! ```text
//!   id (lower case) ──► PreparedQuery          by_name:   name (lower case) ──► id
//!                                              templates: prefix (lower case) ──► id
//!   asked for ──► by id ─┐
//!             ──► by name ├─► definition, a template rendered for the name ──► instances, filtered
//!             ──► longest template that begins it
//! ```
//!
//! A name is one definition's, templates included, and no definition's name is another's id, so that nobody
//! can take over what others ask for. All of this is checked when the entry is applied, where every
//! server finds the same; what needs a random number or is only a matter of form is the leader's
//! ([`PreparedQueryCommand::admit`]).
//!
//! The store answers an execution up to the point where all servers agree: which instances. Their order is
//! random or by distance, and the limit cuts what is ordered: that is the agent's
//! (`agent/executed.rs`).
//!
//! Invariants: `by_name`, `templates` and `bound` say what the table does; the session that a definition is
//! bound to is there.
//!
//! Deliberately not here: other datacenters, of which there are none; ACL tokens; the mesh.

mod admit;
mod execute;
mod template;
mod types;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

pub use types::*;

pub(super) use execute::execute;

use crate::state::index::{IndexRows, PREPARED_QUERIES};
use crate::state::session::SessionTable;
use crate::state::{Answer, Change, CommandResult, Rows};

/// The definitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct QueryTable {
    rows: OrdMap<Arc<str>, Arc<PreparedQuery>>,
    by_name: OrdMap<Arc<str>, Arc<str>>,
    templates: OrdMap<Arc<str>, Arc<str>>,
    /// A session's id in lower case, and that of a definition that ends with it.
    bound: OrdSet<(Arc<str>, Arc<str>)>,
}

/// How ids and names are compared.
fn folded(name: &str) -> Arc<str> {
    name.to_lowercase().into()
}

impl QueryTable {
    /// Applies a command.
    pub(super) fn apply(
        &mut self,
        index: u64,
        command: &PreparedQueryCommand,
        sessions: &SessionTable,
        indexes: &mut IndexRows,
    ) -> (CommandResult, Vec<Change>) {
        let (id, done) = match command {
            PreparedQueryCommand::Create(query) | PreparedQueryCommand::Update(query) => {
                (&query.id, self.set(index, query, sessions))
            }
            PreparedQueryCommand::Delete { id } => (id, Ok(self.take(&folded(id)).is_some())),
        };
        match done {
            Ok(changed) => (CommandResult::Id(id.clone()), raised(changed, index, indexes)),
            Err(text) => (CommandResult::Error(text), Vec::new()),
        }
    }

    fn set(
        &mut self,
        index: u64,
        query: &PreparedQuery,
        sessions: &SessionTable,
    ) -> Result<bool, String> {
        if query.id.is_empty() {
            return Err("Missing Query ID".to_owned());
        }
        let id = folded(&query.id);
        let others = |found: Option<&Arc<str>>| found.is_some_and(|other| *other != id);
        let name = &query.name;
        if !name.is_empty() && others(self.by_name.get(&folded(name))) {
            return Err(format!("name '{name}' aliases an existing query name"));
        }
        if query.is_template() && others(self.templates.get(&folded(name))) {
            return Err("a query template with an empty name already exists".to_owned());
        }
        if admit::is_uuid(name) && self.rows.contains_key(&folded(name)) {
            return Err(format!("name '{name}' aliases an existing query ID"));
        }
        if !query.session.is_empty() {
            sessions.find(&query.session)?;
        }
        if query.is_template() {
            template::check(query).map_err(|why| format!("failed compiling template: {why}"))?;
        }
        let create_index = self.rows.get(&id).map_or(index, |old| old.create_index);
        self.put(PreparedQuery { create_index, modify_index: index, ..query.clone() });
        Ok(true)
    }

    fn put(&mut self, query: PreparedQuery) {
        let id = folded(&query.id);
        self.take(&id);
        if !query.name.is_empty() {
            self.by_name.insert(folded(&query.name), id.clone());
        }
        if query.is_template() {
            self.templates.insert(folded(&query.name), id.clone());
        }
        if !query.session.is_empty() {
            self.bound.insert((folded(&query.session), id.clone()));
        }
        self.rows.insert(id, Arc::new(query));
    }

    fn take(&mut self, id: &Arc<str>) -> Option<Arc<PreparedQuery>> {
        let old = self.rows.remove(id)?;
        let name = folded(&old.name);
        self.by_name.remove(&name);
        if old.is_template() {
            self.templates.remove(&name);
        }
        if !old.session.is_empty() {
            self.bound.remove(&(folded(&old.session), id.clone()));
        }
        Some(old)
    }

    /// A session has ended: what was bound to it goes.
    pub(super) fn end_with(
        &mut self,
        index: u64,
        session: &str,
        indexes: &mut IndexRows,
    ) -> Vec<Change> {
        let session = folded(session);
        let bound = self.bound.range((session.clone(), Arc::from(""))..);
        let gone: Vec<Arc<str>> =
            bound.take_while(|(it, _)| *it == session).map(|(_, id)| id.clone()).collect();
        for id in &gone {
            self.take(id);
        }
        raised(!gone.is_empty(), index, indexes)
    }

    /// Of this id.
    pub(super) fn get(&self, id: &str) -> Option<&PreparedQuery> {
        self.rows.get(&folded(id)).map(|row| &**row)
    }

    /// All after this id, which is in lower case, in their order.
    pub(super) fn after(&self, id: Option<&str>) -> impl Iterator<Item = &PreparedQuery> {
        self.rows.range::<_, str>(super::rows::after(id)).map(|(_, row)| &**row)
    }

    /// All of them.
    pub(super) fn list(&self, indexes: &IndexRows) -> Answer {
        let rows = self.rows.values().map(|row| PreparedQuery::clone(row)).collect();
        Answer { index: indexes.max(&[PREPARED_QUERIES]), rows: Rows::PreparedQueries(rows) }
    }

    /// One, by its id.
    pub(super) fn find(&self, id: &str, indexes: &IndexRows) -> Answer {
        let rows = match (admit::check_id(id), self.get(id)) {
            (Err(text), _) => Rows::Refused(text),
            (Ok(()), None) => Rows::Refused(execute::NOT_FOUND.to_owned()),
            (Ok(()), Some(row)) => Rows::PreparedQueries(vec![row.clone()]),
        };
        Answer { index: indexes.max(&[PREPARED_QUERIES]), rows }
    }

    /// Whether a row of a snapshot can be added.
    pub(super) fn restore(
        &mut self,
        query: PreparedQuery,
        sessions: &SessionTable,
        indexes: &mut IndexRows,
    ) -> bool {
        let lost = !query.session.is_empty() && sessions.find(&query.session).is_err();
        let (id, name) = (folded(&query.id), folded(&query.name));
        let named = !name.is_empty() && self.by_name.contains_key(&name);
        let templated = query.is_template() && self.templates.contains_key(&name);
        if id.is_empty() || lost || named || templated || self.rows.contains_key(&id) {
            return false;
        }
        indexes.raise(PREPARED_QUERIES, query.modify_index);
        self.put(query);
        true
    }

    /// Everything that must hold of the table.
    pub(super) fn check(&self, sessions: &SessionTable, indexes: &IndexRows) {
        let latest = indexes.max(&[PREPARED_QUERIES]);
        let (mut names, mut templates, mut bound) = (0, 0, 0);
        for (id, row) in &self.rows {
            let (create, modify) = (row.create_index, row.modify_index);
            crate::invariant!(
                folded(&row.id) == *id && 0 < create && create <= modify && modify <= latest,
                "prepared query {id}: {create} {modify} in a table at {latest}"
            );
            let named = self.by_name.get(&folded(&row.name));
            crate::invariant!(row.name.is_empty() || named == Some(id), "name of {id}: {named:?}");
            let found = self.templates.get(&folded(&row.name));
            crate::invariant!(!row.is_template() || found == Some(id), "template {id}: {found:?}");
            names += usize::from(!row.name.is_empty());
            templates += usize::from(row.is_template());
            if !row.session.is_empty() {
                bound += 1;
                let noted = self.bound.contains(&(folded(&row.session), id.clone()));
                let there = sessions.find(&row.session).is_ok();
                crate::invariant!(noted && there, "{id} ends with {}", row.session);
            }
        }
        let noted = (self.by_name.len(), self.templates.len(), self.bound.len());
        let found = (names, templates, bound);
        crate::invariant!(noted == found, "{noted:?} are noted, {found:?} are there");
    }
}

fn raised(changed: bool, index: u64, indexes: &mut IndexRows) -> Vec<Change> {
    if !changed {
        return Vec::new();
    }
    indexes.raise(PREPARED_QUERIES, index);
    vec![Change::Index(PREPARED_QUERIES.to_owned())]
}
