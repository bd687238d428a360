//! Random runs of a watch's polling loop against a store that changes, fails, is restored, and answers
//! when it likes. What must hold:
//!
//! * What a handler is given is what the store held when it answered: nothing is invented.
//! * No handler is given what it was given last, unless a question has failed in between.
//! * Once the store is quiet and answers, the last that was handed over is what the store holds: no change
//!   that stays is missed.
//! * One question or one handler at a time.
//!
//! `WATCH_RUNS=100000 cargo test --test agent watch_random` runs longer.

use std::collections::BTreeSet;

use bytes::Bytes;
use proconsul::base::{Duration, Instant, Prng};
use proconsul::watch::{Input, Marker, Output, Poller};

struct World {
    prng: Prng,
    now: Instant,
    poller: Poller,
    /// The question that is not answered yet.
    asked: Option<Option<Marker>>,
    handling: bool,
    index: u64,
    /// An index never stands for two states: what comes back under it would be taken for no change.
    used: BTreeSet<u64>,
    value: u64,
    handed: Option<Bytes>,
    failed_since: bool,
    calls: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut out = Vec::new();
        let poller = Poller::begin(!seed.is_multiple_of(4), &mut out);
        let mut world = Self {
            prng: Prng::new(seed),
            now: Instant::ZERO,
            poller,
            asked: None,
            handling: false,
            index: 10,
            used: BTreeSet::from([10]),
            value: 0,
            handed: None,
            failed_since: false,
            calls: 0,
        };
        world.take(out);
        world
    }

    fn data(&self) -> Bytes {
        Bytes::from(self.value.to_string())
    }

    fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.poller.step(self.now, input, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Ask(after) => {
                    assert!(self.asked.is_none() && !self.handling, "one thing at a time");
                    self.asked = Some(after);
                }
                Output::Hand(marker, data) => {
                    assert!(self.asked.is_none() && !self.handling, "one thing at a time");
                    assert_eq!(data, self.data(), "invented");
                    assert_eq!(marker, Marker::Index(self.index));
                    let news = self.handed.as_ref() != Some(&data) || self.failed_since;
                    assert!(news, "{data:?} was handed over before");
                    (self.handed, self.failed_since) = (Some(data), false);
                    self.handling = true;
                    self.calls += 1;
                }
                Output::Errored(_, retry) => {
                    assert!(retry >= Duration::from_secs(5) && retry <= Duration::from_secs(180));
                    self.failed_since = true;
                }
            }
        }
    }

    fn changes(&mut self) {
        self.value = self.prng.below(4);
        let to = self.index + 1 + self.prng.below(3);
        self.moves(to);
    }

    fn moves(&mut self, mut to: u64) {
        while !self.used.insert(to) {
            to += 1;
        }
        self.index = to;
    }

    /// Whether a blocking query would be answered now.
    fn is_due(&self) -> bool {
        match &self.asked {
            Some(Some(Marker::Index(after))) => self.index > *after,
            Some(_) => true,
            None => false,
        }
    }

    fn answer(&mut self) {
        if self.asked.take().is_some() {
            self.step(Input::Answered(Marker::Index(self.index), self.data()));
        }
    }

    fn shake(&mut self) {
        match self.prng.below(12) {
            0..=2 => self.changes(),
            3 => {
                // A restore ends every blocking query.
                self.value = self.prng.below(4);
                let to = 1 + self.prng.below(self.index);
                self.moves(to);
                self.answer();
            }
            4 if self.asked.take().is_some() => self.step(Input::Failed("refused".to_owned())),
            5 => self.answer(),
            6 | 7 if self.is_due() => self.answer(),
            8 | 9 if self.handling => {
                self.handling = false;
                self.step(Input::Handled);
            }
            10 => {
                self.now += Duration::from_millis(self.prng.below(100_000));
                self.step(Input::Wake);
            }
            // What is not awaited changes nothing.
            _ if !self.handling => self.step(Input::Handled),
            _ => {}
        }
    }

    /// Nothing changes any more, and everything works.
    fn settle(&mut self) {
        for _ in 0..20 {
            if self.handling {
                self.handling = false;
                self.step(Input::Handled);
            }
            if self.asked.is_some() {
                self.answer();
            }
            if let Some(due) = self.poller.deadline() {
                self.now = self.now.max(due);
                self.step(Input::Wake);
            }
        }
        assert_eq!(self.handed, Some(self.data()), "a change that stayed was missed");
        let before = self.calls;
        for _ in 0..5 {
            self.answer();
        }
        assert_eq!(self.calls, before, "nothing has changed");
    }
}

#[test]
fn no_change_that_stays_is_missed_and_none_is_invented() {
    let runs = std::env::var("WATCH_RUNS").ok().and_then(|it| it.parse().ok()).unwrap_or(2000);
    let mut calls = 0;
    for seed in 0..runs {
        let mut world = World::new(seed);
        for _ in 0..3 {
            for _ in 0..40 {
                world.shake();
            }
            world.settle();
        }
        calls += world.calls;
    }
    assert!(calls > runs * 5, "the runs are too quiet: {calls}");
}
