//! What an oracle gathers while it watches: a count of things judged and a few counter-examples.

use crate::property::{Judgement, Verdict, Violation};

/// Counter-examples kept in all, and of one signature: the first explain, the rest repeat.
const KEPT: usize = 6;
const KEPT_ALIKE: usize = 2;

/// The growing judgement of one property.
#[derive(Clone, Debug)]
pub struct Findings {
    property: &'static str,
    judged: u64,
    undecided: Option<String>,
    violations: Vec<Violation>,
}

impl Findings {
    /// Nothing judged yet.
    #[must_use]
    pub fn new(property: &'static str) -> Self {
        Self { property, judged: 0, undecided: None, violations: Vec::new() }
    }

    /// So many more things were judged.
    pub fn judge(&mut self, things: u64) {
        self.judged = self.judged.saturating_add(things);
    }

    /// A counter-example: when it was proven, the normalised fact, the sentence, and the trace event
    /// that proves it.
    pub fn violation(&mut self, at: i64, fact: &str, summary: String, event: Option<u64>) {
        self.report(at, fact, summary, event, &[]);
    }

    /// The same, proven by operations of the history too.
    pub fn report(
        &mut self,
        at: i64,
        fact: &str,
        summary: String,
        event: Option<u64>,
        operations: &[u64],
    ) {
        let signature = format!("{}: {fact}", self.property);
        let alike = self.violations.iter().filter(|v| v.signature == signature).count();
        if alike >= KEPT_ALIKE || self.violations.len() >= KEPT {
            return;
        }
        self.violations.push(Violation {
            property: self.property.to_owned(),
            at,
            summary,
            signature,
            operations: operations.to_vec(),
            events: event.into_iter().collect(),
            detail: Vec::new(),
        });
    }

    /// Nothing can be said, for this reason, unless a counter-example is found.
    pub fn undecided(&mut self, because: impl Into<String>) {
        self.undecided.get_or_insert(because.into());
    }

    /// Whether a counter-example was found.
    #[must_use]
    pub fn violated(&self) -> bool {
        !self.violations.is_empty()
    }

    /// The judgement; skipped for this reason where nothing was judged: what was never looked at does
    /// not hold.
    #[must_use]
    pub fn finish_or_skip(self, because: &str) -> Judgement {
        match self.judged == 0 && self.violations.is_empty() && self.undecided.is_none() {
            true => skipped(self.property, because),
            false => self.finish(),
        }
    }

    /// The judgement.
    #[must_use]
    pub fn finish(self) -> Judgement {
        let verdict = match (self.violations.is_empty(), &self.undecided) {
            (false, _) => Verdict::Violated,
            (true, Some(_)) => Verdict::Undecided,
            (true, None) => Verdict::Holds,
        };
        Judgement {
            property: self.property.to_owned(),
            verdict,
            judged: self.judged,
            because: self.undecided.filter(|_| verdict == Verdict::Undecided),
            violations: self.violations,
        }
    }
}

/// The judgement of a property that was not judged.
#[must_use]
pub fn skipped(property: &str, because: impl Into<String>) -> Judgement {
    Judgement {
        property: property.to_owned(),
        verdict: Verdict::Skipped,
        judged: 0,
        because: Some(because.into()),
        violations: Vec::new(),
    }
}

/// A text without what differs between equal causes: numbers become `N`, quoted text `…`.
#[must_use]
pub fn normalised(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '0'..='9' => {
                while rest.next_if(|c| c.is_ascii_digit() || *c == '.').is_some() {}
                out.push('N');
            }
            '"' | '`' => {
                let closed = rest.by_ref().any(|c| c == letter);
                out.push_str(if closed { "…" } else { "" });
            }
            '\n' => break,
            other => out.push(other),
        }
    }
    out
}
