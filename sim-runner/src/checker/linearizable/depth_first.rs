//! Exact search, depth first (Wing and Gong 1993, with Lowe's memory of configurations).
//!
//! ```text
//!   configuration = (operations placed, state, optional operations used)
//!
//!   placed = first .. : everything before `first`, and the marked ones in the window behind it
//!   next   = an open operation called no later than the least return among those not placed
//! ```
//!
//! The window, not a set over all operations, keeps a remembered configuration at a few words.
//! Observers that agree are placed at once: they change nothing, so the result dominates every
//! other choice (spec checkers 4d, rule 1). It finds witnesses fast, and is the engine for repeated
//! values; proving a violation among many open operations is [`super::frontier`]'s strength.

use super::memo::Memo;
use super::model::{Model, State};
use super::problem::{Problem, Progress, sees_change};

/// The search, which can be left and taken up again.
pub(super) struct DepthFirst<'a> {
    problem: &'a Problem,
    model: Model,
    stack: Vec<Frame>,
    trail: Vec<u64>,
    memo: Memo,
    started: bool,
    pub steps: u64,
}

struct Frame {
    config: Config,
    /// Best last.
    choices: Vec<Choice>,
    /// How much of the trail leads here.
    trail: usize,
}

#[derive(Clone, Copy)]
enum Choice {
    Definite(usize, State),
    Optional(usize, State),
}

#[derive(Clone)]
struct Config {
    placed: Window,
    state: State,
    /// Per class of optional operations: how many are used.
    used: Vec<u16>,
    /// The state before an optional change that nobody has seen yet.
    unseen: Option<State>,
}

/// A set of operations: all below `first`, and those marked relative to it.
#[derive(Clone)]
struct Window {
    first: usize,
    marks: Vec<u64>,
}

impl Window {
    fn has(&self, item: usize) -> bool {
        item < self.first || {
            let at = item - self.first;
            self.marks.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
        }
    }

    fn add(&mut self, item: usize) {
        let at = item - self.first;
        if self.marks.len() <= at / 64 {
            self.marks.resize(at / 64 + 1, 0);
        }
        self.marks[at / 64] |= 1 << (at % 64);
        while self.marks.first().is_some_and(|word| *word == u64::MAX) {
            self.marks.remove(0);
            self.first += 64;
        }
        let shift = self.marks.first().map_or(0, |word| word.trailing_ones());
        if shift > 0 {
            self.first += shift as usize;
            let mut carry = 0;
            for word in self.marks.iter_mut().rev() {
                let low = *word << (64 - shift);
                *word = *word >> shift | carry;
                carry = low;
            }
        }
        while self.marks.last() == Some(&0) {
            self.marks.pop();
        }
    }
}

impl<'a> DepthFirst<'a> {
    pub(super) fn new(problem: &'a Problem) -> Self {
        Self {
            problem,
            model: problem.model.clone(),
            stack: Vec::new(),
            trail: Vec::new(),
            memo: Memo::default(),
            started: false,
            steps: 0,
        }
    }

    /// Goes on for this many steps (configurations made).
    pub(super) fn run(&mut self, steps: u64) -> Progress {
        let until = self.steps.saturating_add(steps);
        if !self.started {
            self.started = true;
            let start = Config {
                placed: Window { first: 0, marks: Vec::new() },
                state: self.model.initial(),
                used: vec![0; self.problem.optional.len()],
                unseen: None,
            };
            if self.enter(start) {
                return Progress::Yes(self.trail.clone());
            }
        }
        while let Some(top) = self.stack.last_mut() {
            let Some(choice) = top.choices.pop() else {
                self.stack.pop();
                continue;
            };
            self.trail.truncate(top.trail);
            let config = top.config.clone();
            let config = self.take(config, choice);
            if self.enter(config) {
                return Progress::Yes(self.trail.clone());
            }
            if self.steps >= until {
                return Progress::More;
            }
        }
        Progress::No
    }

    fn take(&mut self, mut config: Config, choice: Choice) -> Config {
        match choice {
            Choice::Definite(item, state) => {
                self.trail.push(self.problem.definite[item].id);
                config.placed.add(item);
                config.state = state;
                config.unseen = None;
            }
            Choice::Optional(class, state) => {
                let used = usize::from(config.used[class]);
                self.trail.push(self.problem.optional[class].members[used].id);
                config.used[class] += 1;
                config.unseen = Some(config.state);
                config.state = state;
            }
        }
        config
    }

    /// Places the observers that agree, and lays out what can come next. True when all is placed.
    fn enter(&mut self, mut config: Config) -> bool {
        self.steps += 1;
        let mut open = Vec::new();
        let limit = loop {
            let limit = self.open(&config.placed, &mut open);
            let agreeing = |item: &usize| {
                let kind = self.problem.definite[*item].kind;
                kind.agrees(config.state) && config.unseen.is_none_or(|before| !kind.agrees(before))
            };
            let ready: Vec<usize> = open.iter().copied().filter(agreeing).collect();
            if ready.is_empty() {
                break limit;
            }
            config.unseen = None;
            for item in ready {
                self.trail.push(self.problem.definite[item].id);
                config.placed.add(item);
            }
        };
        if config.placed.first == self.problem.definite.len() {
            return true;
        }
        if self.memo.insert(&config.key()) {
            let choices = self.choices(&config, &open, limit);
            self.stack.push(Frame { config, choices, trail: self.trail.len() });
        }
        false
    }

    /// The operations that may come next, and the least return among those not placed.
    fn open(&self, placed: &Window, into: &mut Vec<usize>) -> i64 {
        into.clear();
        let mut limit = i64::MAX;
        for item in placed.first..self.problem.definite.len() {
            let operation = &self.problem.definite[item];
            if operation.call > limit {
                break;
            }
            if !placed.has(item) {
                limit = limit.min(operation.ret);
                into.push(item);
            }
        }
        into.retain(|item| self.problem.definite[*item].call <= limit);
        limit
    }

    fn choices(&mut self, config: &Config, open: &[usize], limit: i64) -> Vec<Choice> {
        let problem = self.problem;
        let mut choices = Vec::new();
        let mut states = Vec::new();
        for (class, optional) in problem.optional.iter().enumerate() {
            let possible =
                config.unseen.is_none_or(|before| sees_change(optional.kind, before, config.state));
            if possible && problem.next_of(class, &config.used, limit).is_some() {
                states.clear();
                self.model.apply(config.state, optional.kind, &mut states);
                states.retain(|state| *state != config.state);
                choices.extend(states.iter().map(|state| Choice::Optional(class, *state)));
            }
        }
        // Earliest return last, because the last is tried first.
        let mut changes: Vec<usize> = open.to_vec();
        changes.retain(|item| !problem.definite[*item].kind.observes());
        changes.sort_by_key(|item| std::cmp::Reverse((problem.definite[*item].ret, *item)));
        let urgent = open.iter().min_by_key(|item| problem.definite[**item].ret);
        let wanted = urgent.map(|item| problem.definite[*item].kind).filter(|kind| kind.observes());
        let mut wished = Vec::new();
        for item in changes {
            let kind = problem.definite[item].kind;
            if config.unseen.is_some_and(|before| !sees_change(kind, before, config.state)) {
                continue;
            }
            states.clear();
            self.model.apply(config.state, kind, &mut states);
            for state in &states {
                let serves = wanted.is_some_and(|observer| observer.agrees(*state));
                let list = if serves { &mut wished } else { &mut choices };
                list.push(Choice::Definite(item, *state));
            }
        }
        choices.append(&mut wished);
        choices
    }
}

impl Config {
    fn key(&self) -> Vec<u64> {
        let mut key = Vec::with_capacity(4 + self.used.len() / 4 + self.placed.marks.len());
        key.push(self.placed.first as u64);
        key.push(self.state.word());
        key.push(self.unseen.map_or(u64::MAX, State::word));
        for four in self.used.chunks(4) {
            key.push(four.iter().fold(0, |word, used| word << 16 | u64::from(*used)));
        }
        key.extend_from_slice(&self.placed.marks);
        key
    }
}
