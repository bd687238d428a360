//! Network coordinates of nodes, as they report them (spec cluster 10.8).
//!
//! A batch is one entry. What it says of nodes that are not in the catalog is dropped, and so is what is
//! no coordinate: a server must not hold what would spoil every distance that is computed from it.

use std::sync::Arc;

use imbl::OrdMap;

use crate::state::catalog::Catalog;
use crate::state::index::COORDINATES;
use crate::state::{Answer, Change, CommandResult, Rows};

/// Dimensions of the Vivaldi space.
const DIMENSIONS: usize = 8;

/// A floating-point number by its bits, so that equal is what is written alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FloatBits(pub u64);

impl FloatBits {
    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for FloatBits {
    fn from(number: f64) -> Self {
        Self(number.to_bits())
    }
}

/// Where a node is, in one segment of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeCoordinate {
    /// Its name.
    pub node: String,
    /// The segment; empty in all but the enterprise release.
    pub segment: String,
    /// Seconds, eight dimensions.
    pub vec: Vec<FloatBits>,
    /// Confidence: 1.5 knows nothing.
    pub error: FloatBits,
    /// Seconds.
    pub adjustment: FloatBits,
    /// Seconds: the last mile.
    pub height: FloatBits,
}

impl NodeCoordinate {
    fn is_valid(&self) -> bool {
        let parts = [self.error, self.adjustment, self.height];
        self.vec.len() == DIMENSIONS
            && self.vec.iter().chain(&parts).all(|number| number.get().is_finite())
    }
}

/// A node's name in lower case, and a segment.
type Place = (Arc<str>, Arc<str>);

fn place(coordinate: &NodeCoordinate) -> Place {
    (coordinate.node.to_lowercase().into(), coordinate.segment.as_str().into())
}

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CoordinateTable(pub OrdMap<Place, Arc<NodeCoordinate>>);

impl CoordinateTable {
    pub(super) fn apply(
        &mut self,
        index: u64,
        batch: &[NodeCoordinate],
        catalog: &mut Catalog,
    ) -> (CommandResult, Vec<Change>) {
        let mut changed = false;
        for coordinate in batch.iter().filter(|it| it.is_valid()) {
            let place = place(coordinate);
            if catalog.nodes.contains_key(&place.0) {
                self.0.insert(place, Arc::new(coordinate.clone()));
                changed = true;
            }
        }
        (CommandResult::Flag(true), raised(changed, index, catalog))
    }

    /// Drops what is said of nodes that a command removed.
    pub(super) fn follow(&mut self, index: u64, catalog: &mut Catalog) -> Vec<Change> {
        let gone: Vec<Place> =
            self.0.keys().filter(|(node, _)| !catalog.nodes.contains_key(node)).cloned().collect();
        for place in &gone {
            self.0.remove(place);
        }
        raised(!gone.is_empty(), index, catalog)
    }

    /// Of all nodes, or of one.
    pub(super) fn query(&self, node: Option<&str>, catalog: &Catalog) -> Answer {
        let first: Place = (node.unwrap_or_default().to_lowercase().into(), "".into());
        let from = self.0.range(first.clone()..);
        let wanted = from.take_while(|((name, _), _)| node.is_none() || *name == first.0);
        let rows = wanted.map(|(_, it)| NodeCoordinate::clone(it)).collect();
        Answer { index: catalog.indexes.max(&[COORDINATES]), rows: Rows::Coordinates(rows) }
    }

    /// Whether a row of a snapshot can be added.
    pub(super) fn restore(&mut self, coordinate: NodeCoordinate, catalog: &Catalog) -> bool {
        let place = place(&coordinate);
        coordinate.is_valid()
            && catalog.nodes.contains_key(&place.0)
            && self.0.insert(place, Arc::new(coordinate)).is_none()
    }

    pub(super) fn check(&self, catalog: &Catalog) {
        for ((node, segment), coordinate) in &self.0 {
            crate::invariant!(
                catalog.nodes.contains_key(node) && coordinate.is_valid(),
                "coordinate of {node} in {segment:?}: {coordinate:?}"
            );
        }
    }
}

fn raised(changed: bool, index: u64, catalog: &mut Catalog) -> Vec<Change> {
    if !changed {
        return Vec::new();
    }
    catalog.indexes.raise(COORDINATES, index);
    vec![Change::Index(COORDINATES.to_owned())]
}
