//! Whether a condition of the scenario language (section 7) holds in a view.
//!
//! ```text
//!  one-leader and not leader(n1)          in the eyes of every live server, and all must agree
//!  leader(n2) at n3                       in the eyes of n3 alone
//! ```
//!
//! A condition is evaluated once per live server, with its eyes; it holds when it holds for all of
//! them. `not` turns the answer of one pair of eyes, so while servers disagree neither a condition nor
//! its negation holds. Facts that are no server's opinion (`up`, `writable`, counts) look the same to
//! all. When no server is live, nobody names a leader, and that is all that can be said. A server that
//! was removed from the configuration has no view of the cluster any more.

use proconsul::base::quorum::majority;

use crate::scenario::model::{Comparison, Condition, EventPattern, Fact, Number, State};

use super::event::Host;
use super::happened::Tallies;
use super::resolve::resolve;
use super::view::{Named, View};

const SECOND_NS: u64 = 1_000_000_000;

/// Whether the condition holds now, with counts over the whole run.
#[must_use]
pub fn holds(condition: &Condition, view: &View) -> bool {
    holds_counting(condition, view, &view.tallies)
}

/// The same with other counts: those of a window.
#[must_use]
pub fn holds_counting(condition: &Condition, view: &View, counts: &Tallies) -> bool {
    let mut live = view.live_members().peekable();
    if live.peek().is_none() {
        return Eyes { view, counts, of: None, asked: false }.see(condition);
    }
    live.all(|host| Eyes { view, counts, of: Some(host), asked: false }.see(condition))
}

/// The patterns that a condition counts: to be watched from the start of the run.
#[must_use]
pub fn patterns_of(condition: &Condition) -> Vec<&EventPattern> {
    match condition {
        Condition::And(a, b) | Condition::Or(a, b) => {
            let mut patterns = patterns_of(a);
            patterns.extend(patterns_of(b));
            patterns
        }
        Condition::Not(inner) | Condition::At(inner, _) => patterns_of(inner),
        Condition::Compare(Number::Count(pattern), ..) => vec![pattern],
        Condition::Compare(..) | Condition::State(_) => Vec::new(),
    }
}

/// The patterns that a fact counts or waits for.
#[must_use]
pub fn patterns_of_fact(fact: &Fact) -> Vec<&EventPattern> {
    match fact {
        Fact::Condition(condition) => patterns_of(condition),
        Fact::Event(pattern) => vec![pattern],
    }
}

/// Somebody's view of the cluster.
#[derive(Clone, Copy)]
struct Eyes<'a> {
    view: &'a View,
    counts: &'a Tallies,
    /// Whose; nobody's when no server is live.
    of: Option<Host>,
    /// Asked for with `at`: then it is that node's belief and no statement about the cluster.
    asked: bool,
}

impl Eyes<'_> {
    fn see(self, condition: &Condition) -> bool {
        match condition {
            Condition::And(a, b) => self.see(a) && self.see(b),
            Condition::Or(a, b) => self.see(a) || self.see(b),
            Condition::Not(inner) => !self.see(inner),
            Condition::State(state) => self.state(state),
            Condition::Compare(number, comparison, with) => {
                self.compare(number, *comparison, *with)
            }
            Condition::At(inner, target) => resolve(target, self.view).satisfy(|host| {
                let live = self.view.node(host).live();
                Eyes { of: live.then_some(host), asked: true, ..self }.see(inner)
            }),
        }
    }

    fn state(self, state: &State) -> bool {
        let view = self.view;
        match state {
            State::OneLeader => {
                let leader = self.named();
                leader != Named::Nobody && (self.asked || leader_count(view) == 1)
            }
            State::NoLeader => self.named() == Named::Nobody && !self.leads(),
            State::Leader(target) => {
                let named = self.named();
                resolve(target, view).satisfy(|host| named == Named::Host(host))
            }
            State::Up(target) => resolve(target, view).satisfy(|host| view.node(host).running),
            State::Down(target) => resolve(target, view).satisfy(|host| !view.node(host).running),
            State::Voter(target) => {
                let voters = self.voters();
                resolve(target, view).satisfy(|host| voters.contains(&host))
            }
            State::Writable => writable(view),
            State::LogsConverged => logs_converged(view),
        }
    }

    fn named(self) -> Named {
        self.of.map_or(Named::Nobody, |host| self.view.node(host).leader)
    }

    /// Who votes, in these eyes.
    fn voters(self) -> Vec<Host> {
        let own = self.of.and_then(|host| self.view.node(host).configuration.as_ref());
        match own {
            Some(configuration) => configuration.voters.iter().copied().collect(),
            None => self.view.voters(),
        }
    }

    fn leads(self) -> bool {
        self.of.is_some_and(|host| self.view.node(host).leads())
    }

    /// Compares `value / parts` with `with`, without division.
    fn compare(self, number: &Number, comparison: Comparison, with: u64) -> bool {
        let Some((value, parts)) = self.number(number) else { return false };
        let (value, with) = (u128::from(value), u128::from(with) * u128::from(parts));
        match comparison {
            Comparison::Less => value < with,
            Comparison::LessOrEqual => value <= with,
            Comparison::Equal => value == with,
            Comparison::NotEqual => value != with,
            Comparison::GreaterOrEqual => value >= with,
            Comparison::Greater => value > with,
        }
    }

    /// A number as a fraction; none when nobody can tell it.
    fn number(self, number: &Number) -> Option<(u64, u64)> {
        let view = self.view;
        let operations = &view.operations;
        let whole = |value| Some((value, 1));
        match number {
            Number::Count(pattern) => whole(self.counts.get(pattern).map_or(0, |t| t.count)),
            Number::Leaders => whole(leader_count(view)),
            Number::LeadersPerTerm => whole(view.most_leaders_per_term()),
            Number::Voters => whole(self.voters().len() as u64),
            Number::Term => self.of.map(|host| (view.node(host).term, 1)),
            // Before the first answer nothing has failed.
            Number::OkRatio if operations.ended() == 0 => whole(100),
            Number::OkRatio => Some((operations.ok * 100, operations.ended())),
            Number::UnknownOps => whole(operations.unknown),
            Number::LongestOutage => Some((operations.longest_outage_ns(), SECOND_NS)),
        }
    }
}

/// Live servers that take themselves for leader.
fn leader_count(view: &View) -> u64 {
    view.live_servers().filter(|host| view.node(*host).leads()).count() as u64
}

/// "A leader with a committed entry of its term and a quorum within the lease." The quorum: voters
/// that are live, not cut off from it, and follow it in its term. The trace does not show contact
/// times, so a link counts as silent from the cut on, not a lease later.
fn writable(view: &View) -> bool {
    let leading = view.live_servers().filter(|host| view.node(*host).leads());
    leading.into_iter().any(|leader| {
        let own = view.node(leader);
        let voters: Vec<Host> = match &own.configuration {
            Some(configuration) => configuration.voters.iter().copied().collect(),
            None => view.servers().collect(),
        };
        let committed = own.log.get(own.commit).is_some_and(|slot| slot.term == own.term);
        let follows = |host: &Host| {
            let node = view.node(*host);
            *host == leader
                || (node.term == own.term
                    && node.leader == Named::Host(leader)
                    && view.connected(leader, *host))
        };
        let following = view.live_servers().filter(|host| voters.contains(host)).filter(follows);
        committed && following.count() >= majority(voters.len())
    })
}

/// All live members have the same log, all of it committed, and applied the same part of it.
fn logs_converged(view: &View) -> bool {
    let mut states = view.live_members().map(|host| {
        let node = view.node(host);
        let last = node.log.last_index();
        (last, node.log.last().map(|slot| slot.chain), node.commit == last, node.applied)
    });
    states.next().is_some_and(|first| first.2 && states.all(|other| other == first))
}
