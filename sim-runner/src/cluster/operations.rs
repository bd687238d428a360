//! Operations as they happen: into the history and the trace, with the same times.

use crate::history::operation::{Call, Outcome, Output};
use crate::trace::event::{Host, What};

use super::Cluster;

/// What came back.
pub struct Answered {
    /// How it ended.
    pub outcome: Outcome,
    /// What it says, when ok.
    pub output: Option<Output>,
    /// `X-Consul-Index`.
    pub index: Option<u64>,
    /// The error as the user saw it.
    pub error: Option<String>,
}

impl Answered {
    /// Nothing was learnt.
    #[must_use]
    pub fn without(outcome: Outcome, error: String) -> Self {
        Self { outcome, output: None, index: None, error: Some(error) }
    }
}

impl Cluster {
    /// Somebody on `host` calls, under the name `user`; gives the operation's id.
    pub fn invoke(&self, host: Host, user: &str, via: Host, key: &str, call: &Call) -> u64 {
        let recorder = self.recorder();
        let now = self.now();
        let (at, server) = (recorder.run_time(now), self.name(via));
        let is_write = !matches!(call, Call::Get { .. } | Call::List { .. }) && call.is_of_keys();
        let op = recorder.with_history(|h| h.invoke(user, server, key, call.clone(), at));
        if is_write {
            recorder.know_write(op);
        }
        recorder.push(now, host, What::Invoke { op });
        op
    }

    /// The operation ended.
    pub fn complete(&self, host: Host, op: u64, answered: Answered) {
        let outcome = match answered.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Unknown => "unknown",
        };
        let recorder = self.recorder();
        let now = self.now();
        recorder.push(now, host, What::Return { op, outcome: outcome.to_owned() });
        let at = recorder.run_time(now);
        recorder.with_history(|history| {
            let (output, index) = (answered.output, answered.index);
            history.complete(op, at, answered.outcome, output, index, answered.error);
        });
    }
}
