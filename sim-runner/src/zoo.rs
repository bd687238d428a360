//! The planted bugs: deliberate mistakes, each of which one property must catch.
//!
//! An oracle that never fired is unproven. Each plant is a branch in the agent, its storage, the
//! fabric or the runner behind `planted!`, off unless `--plant NAME` asks for it, and absent from what
//! ships. A plant counts as caught when *its own* property is violated; another one firing first does
//! not count.

/// One planted bug.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// What `--plant` takes.
    pub name: &'static str,
    /// The property that must catch it.
    pub property: &'static str,
    /// The scenario in which it does, below `scenarios/`.
    pub scenario: &'static str,
    /// What the mistake is, and who made it for real.
    pub story: &'static str,
}

/// All planted bugs, in the order of the properties.
pub const PLANTS: &[Plant] = &[];

/// The plant of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Plant> {
    PLANTS.iter().find(|plant| plant.name == name)
}
