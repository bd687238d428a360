//! Scenario files become plans: draws are stable, independent, and survive `expand`.

use std::path::{Path, PathBuf};

use sim_runner::scenario::model::{Plan, Seed};
use sim_runner::scenario::{load, lower};

/// The repository's scenarios.
fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn plan(path: &str, seed: &str) -> Plan {
    let source = load(&scenarios().join(path), &[]).unwrap_or_else(|errors| panic!("{errors}"));
    lower(&source, &Seed::parse(seed).unwrap()).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn leader_loss_is_a_plan() {
    let plan = plan("leader_loss.toml", "42");
    assert_eq!(plan.cluster.nodes.len(), 3);
    assert_eq!(plan.steps.iter().filter(|step| step.action.verb() == "kill").count(), 3);
}
