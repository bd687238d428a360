//! Is what the users saw what a store with one copy would have shown them?
//!
//! ```text
//!   history ─ facts ──────▶ single answers that no order can explain
//!           ─ lower ──────▶ one problem per key ─ search ▶ depth first ⇄ frontier
//!           ─ order ──────▶ the indexes, against real time and against each other
//!           ─ stale ──────▶ stale reads, by their own promise
//!                           violated? ─ minimise ─ explain ▶ one sentence
//! ```
//!
//! Writes and `consistent` reads must be linearizable. A `default` read must be, too, unless the
//! evidence puts it inside a window (a deposed leader that had not noticed, a fresh one that had not
//! caught up): then it must be a committed prefix not older than the server's own state. A `stale`
//! read must be some committed prefix, and a server does not go back within one life (design section
//! 5, spec checkers 5). Nothing is excused without a window.
//!
//! Verdicts are exact for single keys: "no" has been proven by exhausting all orders, "yes" by an
//! order, which the report carries. What joins keys (that a list fits one instant) is checked as far
//! as indexes tell: a "no" is a proof, a "yes" is not. Steps are counted, not time, so a verdict is
//! the same everywhere; a budget that runs out gives `undecided`, never a guess.

mod depth_first;
mod explain;
mod facts;
mod frontier;
mod lower;
mod memo;
mod minimise;
mod model;
mod order;
mod problem;
mod search;
mod stale;
mod words;

use std::collections::BTreeSet;

use crate::history::History;
use crate::history::operation::{Mode, Operation};
use crate::property::{Judgement, Verdict, Violation};
use lower::Part;
use problem::{Problem, Progress};
use search::Search;

/// The property's name.
pub const PROPERTY: &str = "linearizable";

/// At most this many counter-examples are reported.
const VIOLATIONS_MAX: usize = 4;

/// Why a default read may be older than strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WindowKind {
    /// The answering server had been deposed and had not noticed.
    Deposed,
    /// It was a fresh leader that had not yet applied what earlier terms committed.
    Fresh,
}

/// A default read lies in one of its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadWindow {
    /// Which.
    pub kind: WindowKind,
    /// The index the answering server had applied: its answer shows at least that.
    pub not_older_than_index: u64,
    /// The read may be placed from here on, ns, instead of from its call.
    pub widen_from: i64,
}

/// What is known of a run beyond its history.
pub struct Evidence<'a> {
    /// The window a default read lies in, if any. Not asked for other operations' sake: only
    /// default reads can be excused.
    pub window: &'a dyn Fn(&Operation) -> Option<ReadWindow>,
    /// Which life of its process a server was in (any number that changes with each start). Stale
    /// reads of different lives are not compared.
    pub life: &'a dyn Fn(&str, i64) -> u64,
}

impl Evidence<'static> {
    /// Nothing is known: no read is excused, and every stale read is on its own.
    #[must_use]
    pub fn none() -> Self {
        Self { window: &|_| None, life: &|_, at| at.cast_unsigned() }
    }
}

/// Which engine searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Both, in turn.
    Both,
    /// Only depth first.
    DepthFirst,
    /// Only the frontier.
    Frontier,
}

/// How much may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Configurations per key.
    pub steps: u64,
    /// Who spends them.
    pub engine: Engine,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 2_000_000, engine: Engine::Both }
    }
}

/// How many reads of each kind were judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// `default`, in a window or not.
    pub default: u64,
    /// `consistent`.
    pub consistent: u64,
    /// `stale`.
    pub stale: u64,
    /// `default` reads inside a window.
    pub in_window: u64,
}

/// An order of one key's operations that explains every answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The key.
    pub key: String,
    /// Operation ids, in the order of their effects. Unknown ones that are missing had none.
    pub order: Vec<u64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearizableReport {
    /// The verdict.
    pub judgement: Judgement,
    /// Default reads inside a window that did miss an acknowledged write (ids): `stale-read`.
    pub stale_reads: Vec<u64>,
    /// The reads that were judged.
    pub reads: ReadCounts,
    /// For every key that holds.
    pub witnesses: Vec<Witness>,
    /// Configurations made.
    pub steps: u64,
}

/// Judges a history.
#[must_use]
pub fn check(history: &History, evidence: &Evidence<'_>, budget: Budget) -> LinearizableReport {
    let only_default = |operation: &Operation| match operation.call {
        crate::history::operation::Call::Get { mode: Mode::Default }
        | crate::history::operation::Call::List { mode: Mode::Default } => {
            (evidence.window)(operation)
        }
        _ => None,
    };
    let evidence = &Evidence { window: &only_default, life: evidence.life };
    let mut reads = ReadCounts::default();
    for read in lower::reads(history) {
        match read.mode {
            Mode::Default => reads.default += 1,
            Mode::Consistent => reads.consistent += 1,
            Mode::Stale => reads.stale += 1,
        }
        reads.in_window += u64::from((evidence.window)(read.operation).is_some());
    }
    let mut checker = Checker {
        history,
        budget,
        violations: facts::violations(history),
        undecided: None,
        stale_reads: BTreeSet::new(),
        witnesses: Vec::new(),
        steps: 0,
    };
    if checker.violations.is_empty() {
        checker.keys(&lower::parts(history, evidence));
    }
    if checker.violations.is_empty() {
        checker.violations.extend(order::contradicted(history, evidence));
    }
    if checker.violations.is_empty() {
        checker.violations = stale::violations(history, evidence);
    }
    checker.report(reads)
}

struct Checker<'a> {
    history: &'a History,
    budget: Budget,
    violations: Vec<Violation>,
    undecided: Option<String>,
    stale_reads: BTreeSet<u64>,
    witnesses: Vec<Witness>,
    steps: u64,
}

impl Checker<'_> {
    /// Rounds of doubling budgets over all keys: a hard key cannot hide an easy violation, and the
    /// outcome depends on nothing but the history (spec checkers 4f).
    fn keys(&mut self, parts: &[Part]) {
        let problems: Vec<Problem> =
            parts.iter().map(|part| Problem::new(&part.model, &part.items)).collect();
        let mut open: Vec<(&Part, Search<'_>)> = parts
            .iter()
            .zip(&problems)
            .map(|(part, problem)| (part, Search::new(problem, self.budget.engine)))
            .collect();
        let mut round = 1 << 12;
        while !open.is_empty() && self.violations.is_empty() {
            let mut still = Vec::new();
            for (part, mut search) in open {
                let before = search.steps();
                let left = self.budget.steps.saturating_sub(before);
                let answer = if left == 0 { Progress::GaveUp } else { search.run(round.min(left)) };
                self.steps += search.steps() - before;
                match answer {
                    Progress::More => still.push((part, search)),
                    answer => self.settle(part, answer, search.failed_at()),
                }
            }
            open = still;
            round = round.saturating_mul(2);
        }
        self.witnesses.sort_by(|a, b| a.key.cmp(&b.key));
    }

    fn settle(&mut self, part: &Part, answer: Progress, failed_at: Option<i64>) {
        match answer {
            Progress::Yes(order) => {
                self.witnesses.push(Witness { key: part.key.clone(), order });
            }
            Progress::No => self.violated(part, failed_at),
            Progress::More | Progress::GaveUp => {
                let text = explain::undecided(part, self.budget.steps);
                self.undecided.get_or_insert(text);
            }
        }
    }

    /// Strictly, the key does not hold. Do its reads inside windows explain that?
    fn violated(&mut self, part: &Part, failed_at: Option<i64>) {
        let mut strict = part.items.clone();
        let excusable: Vec<usize> =
            (0..strict.len()).filter(|item| strict[*item].widened_call.is_some()).collect();
        let mut items = strict.clone();
        for item in &excusable {
            items[*item].call = items[*item].widened_call.unwrap_or(items[*item].call);
        }
        let budget = self.budget;
        let decide = |items: &[problem::Item]| {
            search::decide(&Problem::new(&part.model, items), budget.engine, budget.steps)
        };
        let mut failed_at = failed_at;
        if !excusable.is_empty() {
            let (mut answer, at) = decide(&items);
            failed_at = at;
            if let Progress::Yes(_) = answer {
                // Excuse as few as possible: each read that can be strict beside the earlier ones is.
                for item in excusable {
                    let wide = std::mem::replace(&mut items[item].call, strict[item].call);
                    match decide(&items).0 {
                        Progress::Yes(order) => answer = Progress::Yes(order),
                        _ => {
                            items[item].call = wide;
                            self.stale_reads.insert(items[item].id);
                        }
                    }
                }
            }
            match answer {
                Progress::No => strict = items,
                answer => return self.settle(part, answer, None),
            }
        }
        let smallest = minimise::smallest(&part.model, &strict, failed_at, budget);
        self.violations.extend(explain::key(self.history, part, &smallest));
    }

    fn report(mut self, reads: ReadCounts) -> LinearizableReport {
        self.violations.sort_by(|a, b| (a.at, &a.signature).cmp(&(b.at, &b.signature)));
        self.violations.truncate(VIOLATIONS_MAX);
        let verdict = match (&self.violations[..], &self.undecided) {
            ([_, ..], _) => Verdict::Violated,
            ([], Some(_)) => Verdict::Undecided,
            ([], None) => Verdict::Holds,
        };
        let of_keys = self.history.operations().iter().filter(|it| it.call.is_of_keys());
        LinearizableReport {
            judgement: Judgement {
                property: PROPERTY.to_owned(),
                verdict,
                judged: of_keys.count() as u64,
                because: self.undecided.filter(|_| verdict == Verdict::Undecided),
                violations: self.violations,
            },
            stale_reads: self.stale_reads.into_iter().collect(),
            reads,
            witnesses: self.witnesses,
            steps: self.steps,
        }
    }
}
