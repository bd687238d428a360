//! What a run leaves behind, and the verdict on it.
//!
//! `sim-runner check FOLDER` needs three files of the folder: `trace.jsonl` (header and events),
//! `history.jsonl`, and `scenario.toml`, the expanded scenario, from which the plan with its
//! expectations and step numbers is lowered again.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::operation::Operation;
use crate::property::{Judgement, PROPERTIES, Verdict, Violation};
use crate::scenario::model::{Plan, Rule};
use crate::trace::event::{Header, TraceEvent, What};
use crate::trace::happened::{self, PLAIN, Tallies};
use crate::trace::record::Recording;
use crate::trace::view::View;

use super::boot::BootOracle;
use super::catalog_changes::CatalogChanges;
use super::catalog_matches_agents::CatalogMatchesAgents;
use super::catalog_unique::twice;
use super::commit_monotonic::CommitMonotonic;
use super::dns_sound::DnsSound;
use super::durability::Durability;
use super::election_safety::ElectionSafety;
use super::expectations::{self, Missed};
use super::findings::skipped;
use super::gossip_accuracy::GossipAccuracy;
use super::gossip_completeness::GossipCompleteness;
use super::incarnation_monotonic::IncarnationMonotonic;
use super::index_monotonic::IndexMonotonic;
use super::leader_completeness::LeaderCompleteness;
use super::liveness::Liveness;
use super::lock_exclusion::LockExclusion;
use super::log_matching::LogMatching;
use super::no_orphan_checks::orphans;
use super::no_panic::NoPanic;
use super::no_resurrection::NoResurrection;
use super::no_stale_resurrection::NoStaleResurrection;
use super::oracle::{Oracle, pass};
use super::script::Script;
use super::serf_health::SerfHealth;
use super::session_lifetime::SessionLifetime;
use super::state_machine_safety::StateMachineSafety;
use super::storage_recovery::StorageRecovery;
use super::transactions::Transactions;
use super::user_events::UserEvents;
use super::views_converge::ViewsConverge;
use super::vote_durability::VoteDurability;
use super::watch_complete::WatchComplete;
use super::windows::{ReadWindow, stale_reads};

/// Everything that is judged, but for the plan.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Hosts and times.
    pub header: Header,
    /// The trace.
    pub events: Vec<TraceEvent>,
    /// What the users did and saw, by id.
    pub history: Vec<Operation>,
}

impl Evidence {
    /// From a trace and a history.
    #[must_use]
    pub fn new(recording: Recording, history: Vec<Operation>) -> Self {
        Self { header: recording.header, events: recording.events, history }
    }
}

/// The verdict on a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One judgement per property, in the order of [`PROPERTIES`].
    pub judgements: Vec<Judgement>,
    /// Names of the events of the scenario language that occurred.
    pub seen: Vec<String>,
    /// What `sometimes` asked for, and whether this run shows it.
    pub sometimes: Vec<(String, bool)>,
}

/// Judges a run. `windows`: from [`windows`](super::windows::windows). `given`: judgements that are
/// made elsewhere (`linearizable`, `determinism`); properties that nobody judged are skipped.
#[must_use]
pub fn judge(
    evidence: &Evidence,
    plan: &Plan,
    windows: &BTreeMap<u64, ReadWindow>,
    given: Vec<Judgement>,
) -> Outcome {
    let stale = stale_reads(evidence, windows);
    let mut judgements = pass(evidence, oracles(plan, evidence));
    judgements.extend(given);
    let expected = expectations::judge(evidence, &plan.expects, &stale);
    if let Some(script) = judgements.iter_mut().find(|j| j.property == "script") {
        script.judged += expected.judged;
        expected.missed.into_iter().for_each(|missed| add(script, missed));
    }
    let rank = |judgement: &Judgement| {
        PROPERTIES.iter().position(|property| *property == judgement.property)
    };
    for property in PROPERTIES {
        if !judgements.iter().any(|judgement| judgement.property == *property) {
            judgements.push(skipped(property, "nothing in the evidence to judge it by"));
        }
    }
    judgements.sort_by_key(rank);
    exceptions(plan, &mut judgements);
    Outcome { judgements, seen: seen(evidence, &stale), sometimes: expected.sometimes }
}

fn oracles(plan: &Plan, evidence: &Evidence) -> Vec<Box<dyn Oracle>> {
    let header = &evidence.header;
    vec![
        Box::new(Script::new(plan)),
        Box::new(BootOracle::new()),
        Box::new(NoPanic::new()),
        Box::new(ElectionSafety::new()),
        Box::new(LogMatching::new()),
        Box::new(LeaderCompleteness::new()),
        Box::new(StateMachineSafety::new()),
        Box::new(CommitMonotonic::new()),
        Box::new(VoteDurability::new()),
        Box::new(Durability::new()),
        Box::new(StorageRecovery::new()),
        Box::new(Liveness::new()),
        Box::new(GossipCompleteness::new(plan, header)),
        Box::new(GossipAccuracy::new(plan, header)),
        Box::new(IncarnationMonotonic::new()),
        Box::new(NoStaleResurrection::new(plan, header)),
        Box::new(ViewsConverge::new(plan, header)),
        Box::new(UserEvents),
        Box::new(CatalogChanges::new("catalog-unique", twice)),
        Box::new(CatalogMatchesAgents::new(plan, header)),
        Box::new(NoResurrection::new(plan, header)),
        Box::new(SerfHealth::new(plan, header)),
        Box::new(CatalogChanges::new("no-orphan-checks", orphans)),
        Box::new(LockExclusion::new(plan, header)),
        Box::new(SessionLifetime::new(plan, header)),
        Box::new(IndexMonotonic::new(plan, header)),
        Box::new(WatchComplete::new(plan, header)),
        Box::new(DnsSound::new(plan, evidence)),
        Box::new(Transactions::new()),
    ]
}

/// Adds an expectation that was not met to the judgement of `script`.
fn add(script: &mut Judgement, missed: Missed) {
    script.verdict = Verdict::Violated;
    script.because = None;
    script.violations.push(Violation {
        property: script.property.clone(),
        at: missed.at,
        summary: missed.summary,
        signature: format!("{}: expected {}", script.property, missed.fact),
        operations: Vec::new(),
        events: missed.event.into_iter().collect(),
        detail: Vec::new(),
    });
}

/// Applies `violates` and `skip`.
fn exceptions(plan: &Plan, judgements: &mut [Judgement]) {
    for expect in &plan.expects {
        let of = |name: &str, judgements: &mut [Judgement]| {
            judgements.iter().position(|judgement| judgement.property == name)
        };
        match &expect.rule {
            Rule::Skip { property, because } => {
                if let Some(place) = of(property, judgements) {
                    judgements[place] = skipped(property, because.as_str());
                }
            }
            Rule::Violates(property) => {
                let found = of(property, judgements)
                    .filter(|place| judgements[*place].verdict == Verdict::Violated);
                if let Some(place) = found {
                    judgements[place].verdict = Verdict::Expected;
                } else if let Some(place) = of("script", judgements) {
                    let summary =
                        format!("a violation of {property} was expected ({})", expect.place);
                    let fact = format!("violates {property}");
                    add(&mut judgements[place], Missed { at: 0, fact, summary, event: None });
                }
            }
            _ => {}
        }
    }
}

/// Names of the events that occurred: the plain ones in the order of the language, then marks.
fn seen(evidence: &Evidence, stale: &[i64]) -> Vec<String> {
    let mut view = View::new(&evidence.header, []);
    let mut tallies = Tallies::new(PLAIN);
    let mut marks = BTreeSet::new();
    for event in &evidence.events {
        let happened = view.apply(event);
        match &event.what {
            What::Deliver { .. } | What::Drop { .. } => continue,
            What::Mark { name } if event.at >= 0 => {
                marks.insert(name.as_str());
            }
            _ => {}
        }
        tallies.observe(event, happened, &view);
    }
    stale.iter().for_each(|at| tallies.add(&happened::STALE_READ, *at));
    let plain = PLAIN.iter().filter(|p| tallies.get(p).is_some_and(|tally| tally.count > 0));
    plain.map(happened::name).chain(marks.into_iter().map(|name| format!("mark:{name}"))).collect()
}
