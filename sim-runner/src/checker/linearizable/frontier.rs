//! Exact search, event by event (Lowe's just-in-time linearization).
//!
//! ```text
//!   call x: x is pending        return x: every configuration places pending changes until x is in;
//!                                         those in which it cannot be are dropped; none left: violated
//! ```
//!
//! Histories are prefix-closed, so the return at which the set becomes empty is the earliest proof
//! of a violation, and the set before it holds the last consistent states. Of configurations with
//! the same state and the same placed operations only those with fewest optional operations used
//! are kept (dominance, spec checkers 4d, rule 2). Hard for it: many operations open at once.

use super::memo::Memo;
use super::model::{Model, State};
use super::problem::{Problem, Progress, sees_change};

/// More configurations alive than this, and the engine gives up.
const LIVE_MAX: usize = 1 << 18;
/// Definite operations open at once that fit the mask.
const SLOTS: usize = 128;

/// The search, which can be left and taken up again.
pub(super) struct Frontier<'a> {
    problem: &'a Problem,
    model: Model,
    events: Vec<Event>,
    next: usize,
    slots: Vec<Option<usize>>,
    slot_of: Vec<usize>,
    live: Vec<Config>,
    /// While a return is being worked on: what is to be expanded, and what has placed it.
    todo: Vec<Config>,
    done: Vec<Config>,
    working: bool,
    memo: Memo,
    nodes: Vec<Node>,
    pub steps: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: i64,
    returns: bool,
    item: usize,
}

#[derive(Clone)]
struct Config {
    /// Which pending operations are placed, by slot.
    placed: u128,
    state: State,
    used: Vec<u16>,
    unseen: Option<State>,
    /// The last placed operation, 0: none.
    node: u32,
}

/// A placed operation and the node before it.
struct Node {
    before: u32,
    id: u64,
}

impl<'a> Frontier<'a> {
    pub(super) fn new(problem: &'a Problem) -> Self {
        let model = problem.model.clone();
        let mut events = Vec::with_capacity(problem.definite.len() * 2);
        for (item, operation) in problem.definite.iter().enumerate() {
            events.push(Event { at: operation.call, returns: false, item });
            if operation.ret < i64::MAX {
                events.push(Event { at: operation.ret, returns: true, item });
            }
        }
        // At equal times calls come first: intervals are closed.
        events.sort_unstable();
        let start = Config {
            placed: 0,
            state: model.initial(),
            used: vec![0; problem.optional.len()],
            unseen: None,
            node: 0,
        };
        Self {
            problem,
            model,
            events,
            next: 0,
            slots: Vec::new(),
            slot_of: vec![0; problem.definite.len()],
            live: vec![start],
            todo: Vec::new(),
            done: Vec::new(),
            working: false,
            memo: Memo::default(),
            nodes: vec![Node { before: 0, id: 0 }],
            steps: 0,
        }
    }

    /// Goes on for this many steps (configurations made).
    pub(super) fn run(&mut self, steps: u64) -> Progress {
        let until = self.steps.saturating_add(steps);
        while let Some(event) = self.events.get(self.next).copied() {
            if !event.returns {
                if !self.begin(event.item) {
                    return Progress::GaveUp;
                }
                self.next += 1;
                continue;
            }
            let slot = self.slot_of[event.item];
            if !self.working {
                self.working = true;
                self.memo.clear();
                self.todo = std::mem::take(&mut self.live);
            }
            while let Some(config) = self.todo.pop() {
                self.expand(config, slot, event.at);
                if self.todo.len() + self.done.len() > LIVE_MAX {
                    return Progress::GaveUp;
                }
                if self.steps >= until {
                    return Progress::More;
                }
            }
            self.working = false;
            if self.done.is_empty() {
                return Progress::No;
            }
            self.slots[slot] = None;
            self.live = undominated(std::mem::take(&mut self.done), slot);
            self.next += 1;
        }
        Progress::Yes(self.witness())
    }

    /// When the event that cannot be placed stands, after [`Progress::No`].
    pub(super) fn failed_at(&self) -> Option<i64> {
        self.events.get(self.next).map(|event| event.at)
    }

    fn begin(&mut self, item: usize) -> bool {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free == SLOTS {
            return false;
        }
        if free == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[free] = Some(item);
        self.slot_of[item] = free;
        true
    }

    fn place(&mut self, config: &mut Config, id: u64) {
        self.nodes.push(Node { before: config.node, id });
        config.node = (self.nodes.len() - 1) as u32;
    }

    /// Places the observers that agree; then either the returning operation is in, or every change
    /// that can come next makes a configuration to expand.
    fn expand(&mut self, mut config: Config, returning: usize, now: i64) {
        self.steps += 1;
        for slot in 0..self.slots.len() {
            let Some(item) = self.pending(&config, slot) else { continue };
            let operation = self.problem.definite[item];
            let sees = match config.unseen {
                Some(before) => sees_change(operation.kind, before, config.state),
                None => true,
            };
            if sees && operation.kind.agrees(config.state) {
                config.placed |= 1 << slot;
                self.place(&mut config, operation.id);
                if config.unseen.take().is_some() {
                    // Seen: now the observers passed over may be placed too.
                    return self.expand(config, returning, now);
                }
            }
        }
        if !self.memo.insert(&config.key()) {
            return;
        }
        if config.placed >> returning & 1 == 1 {
            self.done.push(config);
            return;
        }
        self.changes(&config);
        self.optional_changes(&config, now);
    }

    fn pending(&self, config: &Config, slot: usize) -> Option<usize> {
        self.slots[slot].filter(|_| config.placed >> slot & 1 == 0)
    }

    fn changes(&mut self, config: &Config) {
        let mut states = Vec::new();
        for slot in 0..self.slots.len() {
            let Some(item) = self.pending(config, slot) else { continue };
            let operation = self.problem.definite[item];
            if config
                .unseen
                .is_some_and(|before| !sees_change(operation.kind, before, config.state))
            {
                continue;
            }
            states.clear();
            self.model.apply(config.state, operation.kind, &mut states);
            for state in &states {
                let mut after = config.clone();
                after.placed |= 1 << slot;
                after.state = *state;
                after.unseen = None;
                self.place(&mut after, operation.id);
                self.todo.push(after);
            }
        }
    }

    fn optional_changes(&mut self, config: &Config, now: i64) {
        let mut states = Vec::new();
        for (class, optional) in self.problem.optional.iter().enumerate() {
            let possible =
                config.unseen.is_none_or(|before| sees_change(optional.kind, before, config.state));
            let Some(next) = self.problem.next_of(class, &config.used, now).filter(|_| possible)
            else {
                continue;
            };
            states.clear();
            self.model.apply(config.state, optional.kind, &mut states);
            for state in states.iter().filter(|state| **state != config.state) {
                let mut after = config.clone();
                after.used[class] += 1;
                after.unseen = Some(config.state);
                after.state = *state;
                self.nodes.push(Node { before: config.node, id: next.id });
                after.node = (self.nodes.len() - 1) as u32;
                self.todo.push(after);
            }
        }
    }

    fn witness(&self) -> Vec<u64> {
        let mut order = Vec::new();
        let mut node = self.live.first().map_or(0, |config| config.node);
        while node != 0 {
            order.push(self.nodes[node as usize].id);
            node = self.nodes[node as usize].before;
        }
        order.reverse();
        order
    }
}

impl Config {
    fn key(&self) -> Vec<u64> {
        let mut key = Vec::with_capacity(5 + self.used.len() / 4);
        key.push(self.placed as u64);
        key.push((self.placed >> 64) as u64);
        key.push(self.state.word());
        key.push(self.unseen.map_or(u64::MAX, State::word));
        for four in self.used.chunks(4) {
            key.push(four.iter().fold(0, |word, used| word << 16 | u64::from(*used)));
        }
        key
    }
}

/// Forgets the slot, and drops configurations that use more optional operations than another one
/// with the same state and placed operations: whatever they can do, it can.
fn undominated(mut configs: Vec<Config>, slot: usize) -> Vec<Config> {
    for config in &mut configs {
        config.placed &= !(1 << slot);
    }
    if configs.len() == 1 {
        return configs;
    }
    configs.sort_by(|a, b| {
        let weight = |config: &Config| config.used.iter().map(|used| u64::from(*used)).sum::<u64>();
        (a.placed, a.state, a.unseen, weight(a)).cmp(&(b.placed, b.state, b.unseen, weight(b)))
    });
    let mut kept: Vec<Config> = Vec::with_capacity(configs.len());
    let mut group = 0;
    for config in configs {
        let same = |other: &Config| {
            (other.placed, other.state, other.unseen)
                == (config.placed, config.state, config.unseen)
        };
        if !kept.get(group).is_some_and(same) {
            group = kept.len();
        }
        let dominated = kept[group..]
            .iter()
            .any(|other| other.used.iter().zip(&config.used).all(|(fewer, more)| fewer <= more));
        if !dominated {
            kept.push(config);
        }
    }
    kept
}
