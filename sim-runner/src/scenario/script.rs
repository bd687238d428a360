//! A whole scenario as written: checked, but nothing drawn yet.

use super::chaos::{self, Chaos};
use super::cluster::{self, Times};
use super::diagnostic::Files;
use super::expect;
use super::fault::{ClockPlan, DiskPlan};
use super::machine;
use super::model::{ClusterPlan, Expect, NetworkPlan};
use super::network;
use super::order;
use super::reader::Reader;
use super::step::{self, Nested, StepDraft};
use super::tree::Table;
use super::words;
use super::workload::{self, WorkloadDraft};

/// What a file says.
#[derive(Clone, Debug)]
pub struct Script {
    pub title: String,
    pub story: Option<String>,
    pub source: Option<String>,
    pub cluster: ClusterPlan,
    pub network: NetworkPlan,
    pub disk: DiskPlan,
    pub clock: ClockPlan,
    pub time: Times,
    pub workloads: Vec<WorkloadDraft>,
    pub steps: Vec<StepDraft>,
    pub chaos: Vec<Chaos>,
    pub expects: Vec<Expect>,
}

/// Walks a document and notes every error in the reader.
pub fn read(reader: &mut Reader, files: &Files, root: &Table) -> Script {
    reader.keys(root, "a scenario", words::TOP);
    reader.names = cluster::names(reader, root);
    let steps = step::flatten(reader, root);
    reader.names.steps = step::ids(reader, &steps);
    let mut text = |key: &str| {
        let item = root.get(key)?;
        reader.text(item, &format!("`{key}`")).map(|text| text.text.clone())
    };
    let (title, story, source) = (text("title"), text("story"), text("source"));
    if root.get("title").is_none() {
        let help = "begin with title = \"what this scenario shows\"";
        reader.advise(root.place, "a scenario needs a `title`", help);
    }
    let mut drafts = Vec::new();
    for (index, nested) in steps.iter().enumerate() {
        drafts.push(step::step(reader, *nested, index, files.line(nested.table.place)));
    }
    order::check(reader, &drafts);
    let workloads = reader.tables(root, "workload");
    let chaos = reader.tables(root, "chaos");
    if !chaos.is_empty() {
        check_chaos_ids(reader, &steps);
    }
    let expects = reader.tables(root, "expect");
    Script {
        title: title.unwrap_or_default(),
        story,
        source,
        cluster: cluster::cluster(reader, root),
        network: network::network(reader, root),
        disk: machine::disk(reader, root),
        clock: machine::clock(reader, root),
        time: cluster::time(reader, root),
        workloads: workloads.iter().filter_map(|table| workload::workload(reader, table)).collect(),
        steps: drafts.into_iter().flatten().collect(),
        chaos: chaos.iter().filter_map(|table| chaos::chaos(reader, table)).collect(),
        expects: expects
            .iter()
            .filter_map(|table| expect::expect(reader, table, files.line(table.place)))
            .collect(),
    }
}

/// The ids that chaos will give must be free.
fn check_chaos_ids(reader: &mut Reader, steps: &[Nested<'_>]) {
    for (index, Nested { table, .. }) in steps.iter().enumerate() {
        let id = reader.names.steps[index].0.clone();
        if let (Some(item), true) = (table.get("id"), step::is_chaos_id(&id)) {
            let message = format!("{id:?} is an id that the [[chaos]] of this scenario gives");
            reader.advise(item.place, message, "give the step another id, or leave the chaos out");
        }
    }
}
