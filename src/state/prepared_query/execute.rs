//! From a name to instances: who is asked for, and which of its service's instances count.
//!
//! Nobody blocks on these, and their index is 0, as in Consul.

use std::sync::Arc;

use super::{
    PreparedQuery, QueryExecution, QueryOutcome, QueryTable, ServiceQuery, folded, template,
};
use crate::state::catalog::{CRITICAL, Catalog, PASSING};
use crate::state::{Answer, CheckServiceNode, Query, Rows};

/// Consul's text; its front end makes 404 of it.
pub(super) const NOT_FOUND: &str = "Query not found";

impl QueryTable {
    /// The definition that is meant, rendered if it is a template.
    fn resolve(&self, asked: &QueryExecution) -> Result<PreparedQuery, String> {
        let name = asked.name.as_str();
        if name.is_empty() {
            return Err("Missing Query ID".to_owned());
        }
        if let Some(query) = self.get(name) {
            return match query.is_template() {
                true => Err("prepared query templates can only be resolved up by name, not by ID"
                    .to_owned()),
                false => Ok(query.clone()),
            };
        }
        let id = self.by_name.get(&folded(name)).or_else(|| self.longest_template(name));
        let Some(query) = id.and_then(|id| self.rows.get(id)) else {
            return Err(NOT_FOUND.to_owned());
        };
        match query.is_template() {
            true => template::render(query, name, &asked.agent.segment),
            false => Ok(PreparedQuery::clone(query)),
        }
    }

    /// The template with the longest name that begins this one.
    fn longest_template(&self, name: &str) -> Option<&Arc<str>> {
        let name = folded(name);
        let ends = (0..=name.len()).rev().filter(|at| name.is_char_boundary(*at));
        ends.into_iter().find_map(|end| self.templates.get(&name[..end]))
    }

    /// The definition alone.
    pub(in crate::state) fn explain(&self, asked: &QueryExecution) -> Answer {
        let explained = |query| Rows::Explained(Box::new(query));
        Answer { index: 0, rows: self.resolve(asked).map_or_else(Rows::Refused, explained) }
    }

    /// Its instances.
    pub(in crate::state) fn execute(&self, asked: &QueryExecution, catalog: &Catalog) -> Answer {
        match self.resolve(asked) {
            Ok(query) => execute(&query, asked.connect, catalog),
            Err(text) => Answer { index: 0, rows: Rows::Refused(text) },
        }
    }
}

/// The instances that a definition means, which need not be stored here.
pub(in crate::state) fn execute(
    definition: &PreparedQuery,
    connect: bool,
    catalog: &Catalog,
) -> Answer {
    let wanted = &definition.service;
    let (tags, meta) = (Vec::new(), wanted.node_meta.clone());
    let service = wanted.service.clone();
    let answer = catalog.query(&Query::HealthService { service, tags, meta });
    let Rows::CheckServiceNodes(mut nodes) = answer.rows else {
        return Answer { index: 0, rows: Rows::Refused(NOT_FOUND.to_owned()) };
    };
    // Nothing that this agent stores is in the mesh.
    nodes.retain(|it| !wanted.connect && !connect && wanted.wants(it));
    let outcome = QueryOutcome {
        service: wanted.service.clone(),
        nodes,
        dns_ttl: definition.dns_ttl.clone(),
        datacenter: String::new(),
        failovers: 0,
        near: wanted.near.clone(),
    };
    Answer { index: 0, rows: Rows::Executed(Box::new(outcome)) }
}

impl ServiceQuery {
    fn wants(&self, it: &CheckServiceNode) -> bool {
        let counted = it.checks.iter().filter(|it| !self.ignore_check_ids.contains(&it.check_id));
        let bad = |status: &str| status == CRITICAL || self.only_passing && status != PASSING;
        let well = counted.into_iter().all(|check| !bad(&check.status));
        let meta = &it.service.meta;
        let has_meta = self.service_meta.iter().all(|(key, value)| meta.get(key) == Some(value));
        let has = |wanted: &str| it.service.tags.iter().any(|tag| tag.to_lowercase() == wanted);
        let tagged =
            self.tags.iter().map(|tag| tag.to_lowercase()).all(|tag| match tag.strip_prefix('!') {
                Some(forbidden) => !has(forbidden),
                None => has(&tag),
            });
        well && has_meta && tagged
    }
}
