//! What one key holds, and what each kind of operation makes of it.
//!
//! A state is a value and what is known of its version:
//!
//! ```text
//!   State { value, version }     version = 2 × rank of the newest known index  + 1 if it is this version's own
//!
//!   absent ──put a──▶ a, unnamed ──put b──▶ b = version 7 ──put c──▶ c, unnamed (after 7)
//! ```
//!
//! `ModifyIndex` names versions, but only reads tell it, so a write does not know its own name.
//! [`Model::apply`] therefore *foretells* it: a write of `b` may become any version that somebody saw
//! with value `b`, or remain unnamed (nobody saw it). Names grow along the order of the log (spec
//! checkers 1.5), so a state remembers the newest one. With unique values there is exactly one
//! possible name, and nothing branches.
//!
//! A put of the value already stored may change nothing and keep its version (spec checkers 1.2).

use std::collections::BTreeMap;

/// An interned value; [`ABSENT`] is no value.
pub(super) type Value = u32;
/// Place of a known index among the known indexes of its key, from 1; 0: not known.
pub(super) type Rank = u32;

/// The key does not exist.
pub(super) const ABSENT: Value = 0;
/// A value written once that nobody asks for.
pub(super) const BLANK: Value = Value::MAX;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    pub value: Value,
    version: u32,
}

impl State {
    /// Before anything was written.
    pub(super) fn initial(value: Value) -> Self {
        Self { value, version: 0 }
    }

    /// All of it in a word, for memory of what was tried.
    pub(super) fn word(self) -> u64 {
        u64::from(self.value) << 32 | u64::from(self.version)
    }

    fn rank(self) -> Rank {
        self.version >> 1
    }

    fn named(value: Value, rank: Rank) -> Self {
        Self { value, version: rank << 1 | 1 }
    }

    fn unnamed(value: Value, after: Rank) -> Self {
        Self { value, version: after << 1 }
    }
}

/// A condition on a state: on its value, or its version, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub value: Option<Value>,
    pub version: Rank,
}

impl Test {
    /// The value is this one.
    pub(super) fn value(value: Value) -> Self {
        Self { value: Some(value), version: 0 }
    }

    pub(super) fn holds(self, state: State) -> bool {
        self.value.is_none_or(|value| value == state.value)
            && (self.version == 0
                || state.version == self.version << 1 | 1 && state.value != ABSENT)
    }
}

/// What an operation does to a key, or says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// put, delete. `made` is the version it made, if its answer told.
    Write { to: Value, made: Rank },
    /// A compare-and-set whose comparison held.
    Cas { from: Test, to: Value, made: Rank },
    /// Adds to the value.
    Append { token: Value },
    /// A read.
    See(Test),
    /// A compare-and-set whose comparison failed: an observation.
    Not(Test),
}

impl Kind {
    /// Whether it changes nothing.
    pub(super) fn observes(self) -> bool {
        matches!(self, Self::See(_) | Self::Not(_))
    }

    /// Whether an observation agrees with the state.
    pub(super) fn agrees(self, state: State) -> bool {
        match self {
            Self::See(test) => test.holds(state),
            Self::Not(test) => !test.holds(state),
            _ => false,
        }
    }

    /// The value it leaves behind, when that is known before it runs.
    pub(super) fn leaves(self) -> Option<Value> {
        match self {
            Self::Write { to, .. } | Self::Cas { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// The values and versions of one key.
#[derive(Clone, Debug)]
pub(super) struct Model {
    texts: Vec<String>,
    ids: BTreeMap<String, Value>,
    joined: BTreeMap<(Value, Value), Value>,
    initial: Value,
    value_of: BTreeMap<Rank, Value>,
    /// Per value: the versions somebody saw it as.
    named: Vec<Vec<Rank>>,
    /// Versions of which only the name is known.
    nameless: Vec<Rank>,
    /// Per rank: the next version that surely existed. Versions come in order, so no write may become
    /// a later one before it.
    next_sure: Vec<Rank>,
    /// Values with one writer, seen as exactly one version: the write has no choice.
    settled: Vec<bool>,
}

impl Model {
    /// A key that is absent at first, or (`grows`) the empty string.
    pub(super) fn new(grows: bool) -> Self {
        let mut model = Self {
            texts: vec![String::new()],
            ids: BTreeMap::new(),
            joined: BTreeMap::new(),
            initial: ABSENT,
            value_of: BTreeMap::new(),
            named: Vec::new(),
            nameless: Vec::new(),
            next_sure: Vec::new(),
            settled: Vec::new(),
        };
        if grows {
            model.initial = model.intern("");
        }
        model
    }

    pub(super) fn initial(&self) -> State {
        State::initial(self.initial)
    }

    /// The number of this value.
    pub(super) fn intern(&mut self, text: &str) -> Value {
        if let Some(value) = self.ids.get(text) {
            return *value;
        }
        let value = self.texts.len() as Value;
        self.texts.push(text.to_owned());
        self.ids.insert(text.to_owned(), value);
        value
    }

    /// How the value is shown.
    pub(super) fn show(&self, value: Value) -> String {
        if value == ABSENT {
            "absent".to_owned()
        } else {
            format!("{:?}", self.texts[value as usize])
        }
    }

    /// Tells which versions the operations name: their values, if known, and whether they surely
    /// existed; and which values have a single writer.
    pub(super) fn name_versions(
        &mut self,
        seen: &BTreeMap<Rank, (Option<Value>, bool)>,
        one_writer: impl Fn(Value) -> bool,
    ) {
        let count = self.texts.len();
        self.named = vec![Vec::new(); count];
        self.nameless.clear();
        self.value_of = seen.iter().filter_map(|(rank, of)| Some((*rank, of.0?))).collect();
        let mut sure = vec![false; count];
        for (rank, (value, surely)) in seen {
            match value {
                Some(value) => {
                    self.named[*value as usize].push(*rank);
                    sure[*value as usize] |= surely;
                }
                None => self.nameless.push(*rank),
            }
        }
        let last = seen.keys().next_back().map_or(0, |rank| *rank as usize);
        self.next_sure = vec![Rank::MAX; last + 1];
        for rank in (0..last).rev() {
            let next = rank as Rank + 1;
            let sure = seen.get(&next).is_some_and(|(_, surely)| *surely);
            self.next_sure[rank] = if sure { next } else { self.next_sure[rank + 1] };
        }
        let settled = |value: usize| {
            sure[value] && self.named[value].len() == 1 && one_writer(value as Value)
        };
        self.settled = (0..count).map(settled).collect();
    }

    /// The value a test asks for, if that is known.
    pub(super) fn value_of(&self, test: Test) -> Option<Value> {
        test.value.or_else(|| self.value_of.get(&test.version).copied())
    }

    /// The states a change can lead to; none when it cannot run here.
    pub(super) fn apply(&mut self, state: State, kind: Kind, into: &mut Vec<State>) {
        match kind {
            Kind::Write { to, made } => self.write(state, to, made, into),
            Kind::Cas { from, to, made } => {
                if from.holds(state) {
                    self.write(state, to, made, into);
                }
            }
            Kind::Append { token } => {
                let value = self.join(state.value, token);
                self.write(state, value, 0, into);
            }
            Kind::See(_) | Kind::Not(_) => {}
        }
    }

    fn write(&self, state: State, to: Value, made: Rank, into: &mut Vec<State>) {
        let after = state.rank();
        let sure = self.next_sure.get(after as usize).copied().unwrap_or(Rank::MAX);
        let possible = |rank: &&Rank| after < **rank && **rank <= sure;
        if made != 0 {
            if possible(&&made) {
                into.push(State::named(to, made));
            }
            return;
        }
        let none: &[Rank] = &[];
        let named = self.named.get(to as usize).map_or(none, Vec::as_slice);
        let nameless = if to == ABSENT { none } else { &self.nameless };
        if named.is_empty() && nameless.is_empty() {
            into.push(State::unnamed(to, after));
        } else {
            let later = named.iter().chain(nameless).filter(possible);
            into.extend(later.map(|rank| State::named(to, *rank)));
            // Somebody saw the one version of this value, and this is its only write.
            if !self.settled.get(to as usize).copied().unwrap_or(false) {
                into.push(State::unnamed(to, after));
            }
        }
        if state.value == to && to != BLANK && !into.contains(&state) {
            into.push(state);
        }
    }

    fn join(&mut self, value: Value, token: Value) -> Value {
        if let Some(joined) = self.joined.get(&(value, token)) {
            return *joined;
        }
        let text = format!("{}{}", self.texts[value as usize], self.texts[token as usize]);
        let joined = self.intern(&text);
        self.joined.insert((value, token), joined);
        joined
    }
}
