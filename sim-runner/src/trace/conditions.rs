//! Whether a condition of the scenario language (section 7) holds in a view.
//!
//! ```text
//!  one-leader and not leader(n1)          in the eyes of every live server, and all must agree
//!  leader(n2) at n3                       in the eyes of n3 alone
//! ```
//!
//! A condition is evaluated once per live agent, with its eyes; it holds when it holds for all of
//! them. `not` turns the answer of one pair of eyes, so while agents disagree neither a condition nor
//! its negation holds. Facts that are no agent's opinion (`up`, `writable`, counts) look the same to
//! all.
//!
//! Not everybody has an opinion of everything: of leaders and voters only servers have one, and one
//! that was removed from the configuration no more; of members those that belong to a pool. What an
//! agent has no opinion of drops out of the condition in its eyes: to a client, `one-leader and
//! alive(n1)` is `alive(n1)`. Of what nobody has an opinion of there is the view of nobody, in which
//! no leader is named and no member listed.

use std::cell::OnceCell;

use proconsul::base::quorum::majority;

use crate::scenario::model::{Comparison, Condition, EventPattern, Fact, Number, State, Target};

use super::event::{Host, Pool};
use super::happened::Tallies;
use super::members::{self, MemberStatus};
use super::resolve::resolve;
use super::services;
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
    let servers: Vec<Host> = view.live_members().collect();
    let members: Vec<Host> = members::live_with_view(view, Pool::Lan).collect();
    let whose = Whose { servers: &servers, members: &members };
    let facts = Facts::default();
    let see = |of| Eyes { view, counts, facts: &facts, whose, of, asked: false }.see(condition);
    let agents = members::agents(view).filter(|host| view.node(*host).live());
    let mut answers = agents.filter_map(|host| see(Some(host))).peekable();
    if answers.peek().is_none() {
        return see(None) == Some(true);
    }
    answers.all(|answer| answer)
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

/// Who has an opinion of what.
#[derive(Clone, Copy)]
struct Whose<'a> {
    /// Of leaders and voters.
    servers: &'a [Host],
    /// Of members.
    members: &'a [Host],
}

/// What is dear to find out and the same to everybody: found out once, when somebody asks.
#[derive(Default)]
struct Facts {
    members_converged: OnceCell<bool>,
    catalog_converged: OnceCell<bool>,
    writable: OnceCell<bool>,
    logs_converged: OnceCell<bool>,
}

/// Somebody's view of the cluster.
#[derive(Clone, Copy)]
struct Eyes<'a> {
    view: &'a View,
    counts: &'a Tallies,
    facts: &'a Facts,
    whose: Whose<'a>,
    /// Whose; nobody's when nobody who could have one is live.
    of: Option<Host>,
    /// Asked for with `at`: then it is that node's belief and no statement about the cluster.
    asked: bool,
}

impl Eyes<'_> {
    /// What they say; none when they have no opinion.
    fn see(self, condition: &Condition) -> Option<bool> {
        match condition {
            Condition::And(a, b) => join(self.see(a), self.see(b), |a, b| a && b),
            Condition::Or(a, b) => join(self.see(a), self.see(b), |a, b| a || b),
            Condition::Not(inner) => self.see(inner).map(|seen| !seen),
            Condition::State(state) => Some(self.with_opinion(topic(state))?.state(state)),
            Condition::Compare(number, comparison, with) => {
                let topic = match number {
                    Number::Voters | Number::Term | Number::Instances(_) | Number::Healthy(_) => {
                        Topic::Raft
                    }
                    Number::Members => Topic::Members,
                    _ => Topic::Fact,
                };
                Some(self.with_opinion(topic)?.compare(number, *comparison, *with))
            }
            Condition::At(inner, target) => Some(resolve(target, self.view).satisfy(|host| {
                let live = self.view.node(host).live();
                let eyes = Eyes { of: live.then_some(host), asked: true, ..self };
                eyes.see(inner) == Some(true)
            })),
        }
    }

    /// These eyes if they have an opinion of that; nobody's if nobody has one.
    fn with_opinion(self, topic: Topic) -> Option<Self> {
        let whose = match topic {
            Topic::Fact => return Some(self),
            Topic::Raft => self.whose.servers,
            Topic::Members => self.whose.members,
        };
        // One that is asked by name speaks of leaders even when it was removed.
        let asked = |host: Host| self.asked && self.speaks_of_leaders(host, topic);
        match self.of {
            Some(host) if whose.contains(&host) || asked(host) => Some(self),
            Some(_) if !whose.is_empty() => None,
            _ => Some(Eyes { of: None, ..self }),
        }
    }

    fn speaks_of_leaders(self, host: Host, topic: Topic) -> bool {
        matches!(topic, Topic::Raft) && self.view.servers().any(|server| server == host)
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
            State::Alive(target) => self.lists(target, |it| it == MemberStatus::Alive),
            State::Failed(target) => self.lists(target, |it| it == MemberStatus::Failed),
            State::Left(target) => self.lists(target, |it| it == MemberStatus::Left),
            State::Member(target) => self.lists(target, |_| true),
            State::MembersConverged => {
                let converged = || members::unconverged(view, false).is_none();
                *self.facts.members_converged.get_or_init(converged)
            }
            State::CatalogConverged => {
                let converged = || services::unconverged(view).is_none();
                *self.facts.catalog_converged.get_or_init(converged)
            }
            State::Registered(service) => self.statuses(service).next().is_some(),
            State::Passing(service) => {
                let mut statuses = self.statuses(service).peekable();
                statuses.peek().is_some() && statuses.all(|status| status == "passing")
            }
            State::Critical(service) => self.statuses(service).any(|status| status == "critical"),
            State::Locked(key) => {
                self.of.is_some_and(|host| view.node(host).locks.holder(key).is_some())
            }
            State::Writable => *self.facts.writable.get_or_init(|| writable(view)),
            State::LogsConverged => *self.facts.logs_converged.get_or_init(|| logs_converged(view)),
        }
    }

    /// Whether these eyes list them in the LAN pool, with such a status.
    fn lists(self, target: &Target, status: impl Fn(MemberStatus) -> bool) -> bool {
        let Some(of) = self.of else { return false };
        let seen = |host| members::seen_by(self.view, Pool::Lan, of, host);
        resolve(target, self.view).satisfy(|host| seen(host).is_some_and(&status))
    }

    /// How the instances of a service stand in the catalog of these eyes.
    fn statuses<'b>(self, service: &'b str) -> impl Iterator<Item = &'b str>
    where
        Self: 'b,
    {
        let catalog = self.of.map(|host| &self.view.node(host).catalog);
        catalog.into_iter().flat_map(move |catalog| {
            catalog.instances(service).map(move |place| catalog.status(place))
        })
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
            Number::Members => {
                let alive = |host| self.view.node(host).members.alive(Pool::Lan);
                whole(self.of.map_or(0, alive))
            }
            Number::Term => self.of.map(|host| (view.node(host).term, 1)),
            // Before the first answer nothing has failed.
            Number::OkRatio if operations.ended() == 0 => whole(100),
            Number::OkRatio => Some((operations.ok * 100, operations.ended())),
            Number::UnknownOps => whole(operations.unknown),
            Number::Instances(service) => whole(self.statuses(service).count() as u64),
            Number::Healthy(service) => {
                whole(self.statuses(service).filter(|status| *status == "passing").count() as u64)
            }
            Number::LongestOutage => Some((operations.longest_outage_ns(), SECOND_NS)),
        }
    }
}

/// What a condition is about: who has an opinion of it.
#[derive(Clone, Copy)]
enum Topic {
    /// Everybody, and all the same.
    Fact,
    /// Servers.
    Raft,
    /// Agents that belong to the LAN pool.
    Members,
}

fn topic(state: &State) -> Topic {
    match state {
        State::OneLeader | State::NoLeader | State::Leader(_) | State::Voter(_) => Topic::Raft,
        State::Registered(_) | State::Passing(_) | State::Critical(_) | State::Locked(_) => {
            Topic::Raft
        }
        State::Alive(_) | State::Failed(_) | State::Left(_) | State::Member(_) => Topic::Members,
        State::Up(_)
        | State::Down(_)
        | State::Writable
        | State::LogsConverged
        | State::MembersConverged
        | State::CatalogConverged => Topic::Fact,
    }
}

/// Two answers; one that there is not drops out.
fn join(a: Option<bool>, b: Option<bool>, both: fn(bool, bool) -> bool) -> Option<bool> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (one, other) => one.or(other),
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
