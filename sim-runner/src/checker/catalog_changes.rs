//! The shell of the oracles that look at each change of each server's catalog by itself: `catalog-unique` and
//! `no-orphan-checks` say what must not be in a catalog after a change, this says where and when it was.

use crate::property::Judgement;
use crate::trace::catalog::{Catalog, CatalogRow};
use crate::trace::event::What;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

/// A fact, and what is the case.
pub type Contradiction = (&'static str, String);

/// Judges the catalog after each change, with the rows that changed.
pub struct CatalogChanges {
    contradictions: fn(&Catalog, &[CatalogRow]) -> Vec<Contradiction>,
    findings: Findings,
}

impl CatalogChanges {
    /// For this property, by what it says of a catalog.
    pub fn new(
        property: &'static str,
        contradictions: fn(&Catalog, &[CatalogRow]) -> Vec<Contradiction>,
    ) -> Self {
        Self { contradictions, findings: Findings::new(property) }
    }
}

impl Oracle for CatalogChanges {
    fn observe(&mut self, seen: Seen<'_>) {
        let What::Catalog { index, rows } = &seen.event.what else { return };
        self.findings.judge(rows.len() as u64);
        let catalog = &seen.view.node(seen.event.host).catalog;
        for (fact, what) in (self.contradictions)(catalog, rows) {
            let at = format!("at index {index} ({})", seen.time());
            let summary = format!("in the catalog of {} {at} {what}", seen.name());
            self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish_or_skip("no server told of its catalog")
    }
}
