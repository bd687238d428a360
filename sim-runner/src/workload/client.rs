//! What the users of sessions, locks, watches, transactions and the catalog have in common: a host of
//! their own, turns at the workload's rate, and requests that go into the history.
//!
//! All draws come from the user's own stream, so that what one user meets does not move another's
//! choices. A user does one thing after the other; what slow answers have put off is caught up with.

use proconsul::base::runtime::Runtime;
use proconsul::base::{Duration, Instant, Prng};

use crate::cluster::Cluster;
use crate::fabric::SimRuntime;
use crate::history::lookup::Question;
use crate::history::operation::{Call, Outcome, Output};
use crate::history::request::{Reply, Request};
use crate::scenario::model::Workload;
use crate::trace::event::Host;

use super::choice::choose;
use super::encode::{encode, judge};
use super::resolver;
use super::user::User;

/// One user.
pub struct Client {
    cluster: Cluster,
    runtime: SimRuntime,
    host: Host,
    /// Its name.
    pub name: String,
    plan: Workload,
    /// Its draws.
    pub prng: Prng,
    user: User,
    sticky: Option<Host>,
    next: Instant,
    to: Instant,
}

/// A time as requests have it, ns.
#[must_use]
pub fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was answered.
    Reply(Reply, Option<u64>),
    /// It certainly had no effect.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Client {
    /// On this host; it begins somewhere in its first turn.
    #[must_use]
    pub fn new(cluster: Cluster, host: Host, plan: Workload) -> Self {
        let (runtime, name) = (cluster.runtime(host), cluster.name(host).to_owned());
        let mut prng = cluster.plan().seed.stream(&format!("user/{name}"));
        let zero = cluster.recorder().zero();
        let next = zero + plan.between.0 + prng.duration(Duration::ZERO, plan.pause());
        let (to, user) = (zero + plan.between.1, User::new(runtime.clone()));
        Self { cluster, runtime, host, name, plan, prng, user, sticky: None, next, to }
    }

    /// Waits for its next turn; false when its time is over.
    pub async fn turn(&mut self) -> bool {
        let pause = self.plan.pause();
        let at = self.next;
        self.next += self.prng.duration(pause / 2, pause * 3 / 2);
        self.sleep_until(at).await
    }

    /// Sleeps until then, or until its time is over; false in the second case.
    pub async fn sleep_until(&self, at: Instant) -> bool {
        let left = at.min(self.to).since(self.now());
        if !left.is_zero() {
            self.runtime.sleep(left).await;
        }
        // What slow answers have put off ends with its time: settle waits for quiet users.
        self.now() < self.to
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.cluster.now()
    }

    /// After this an operation has no known outcome.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.plan.timeout
    }

    /// Whom to ask now.
    pub fn agent(&mut self) -> Option<Host> {
        choose(&self.cluster, &self.plan.via, &mut self.prng, &mut self.sticky)
    }

    /// An agent's node.
    #[must_use]
    pub fn node(&self, agent: Host) -> &str {
        self.cluster.name(agent)
    }

    /// The names of all agents.
    #[must_use]
    pub fn agents(&self) -> Vec<String> {
        let agents = self.cluster.agents().into_iter();
        agents.map(|agent| self.cluster.name(agent).to_owned()).collect()
    }

    /// Looks a name up, and writes it down.
    pub async fn lookup(&mut self, agent: Host, key: &str, question: Question) {
        let id = self.prng.below(1 << 16) as u16;
        let call = Call::Of(Request::Lookup(question.clone()));
        let op = self.cluster.invoke(self.host, &self.name, agent, key, &call);
        let (to, patience) = (self.cluster.dns_address(agent), self.plan.timeout);
        let result = resolver::resolve(&self.runtime, to, &question, id, patience).await;
        self.cluster.complete(self.host, op, resolver::judge(&result));
    }

    /// Makes a request about `key`, and writes it down.
    pub async fn ask(&mut self, agent: Host, key: &str, request: Request) -> Told {
        let call = Call::Of(request.clone());
        let op = self.cluster.invoke(self.host, &self.name, agent, key, &call);
        let to = self.cluster.http_address(agent);
        let (method, path, body) = encode(key, &request);
        let result = self.user.request(to, method, &path, body, self.plan.timeout).await;
        let answered = judge(&request, &result);
        let told = match (&answered.output, answered.outcome) {
            (Some(Output::Of(reply)), _) => Told::Reply(reply.clone(), answered.index),
            (_, Outcome::Fail) => Told::Refused,
            _ => Told::Unknown,
        };
        self.cluster.complete(self.host, op, answered);
        told
    }
}
