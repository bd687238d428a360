//! After the run: every fault is undone, and the cluster must converge (language section 3).
//!
//! Converged means: every agent runs and is not paused, one leader that all name, its own term
//! committed, all logs and applied states equal; and where there is gossip, all list the same members
//! (after a joined boot, each other), and the catalog says what they say. It must stay so for five seconds, and a write must get through. What is
//! missing when the time is up is said as a fact without names or times first, because equal causes must make
//! equal signatures.

use proconsul::base::Duration;
use proconsul::base::runtime::Runtime;

use crate::cluster::Cluster;
use crate::scenario::model::{Boot, Condition, State};
use crate::trace::conditions::holds;
use crate::trace::event::{Host, Pool, What};
use crate::trace::members;
use crate::trace::services;
use crate::trace::view::{Named, View};

use super::script::Script;

/// How long everything must stay converged.
const CALM: Duration = Duration::from_secs(5);

/// In a calm cluster an entry is everywhere, and applied, within that time.
const REPLICATION: Duration = Duration::from_secs(1);

/// The fact that entries are not everywhere, or not applied.
const LOGS_DIFFER: &str = "logs or applied states differ";

/// What is missing: the normalised fact, and the detail.
type Missing = (&'static str, String);

impl Script {
    /// Takes back every fault and every step that can be, and starts whatever is down.
    pub async fn undo_all(&self) {
        for index in 0..self.steps() {
            self.undo(index).await;
        }
        let (down, paused) = self.cluster.recorder().with_view(|view| {
            let agents = self.cluster.agents();
            let down = |host: &&Host| !view.node(**host).running && view.node(**host).lives > 0;
            let paused = |host: &&Host| view.node(**host).running && view.node(**host).paused;
            let down: Vec<Host> = agents.iter().filter(down).copied().collect();
            (down, agents.iter().filter(paused).copied().collect::<Vec<Host>>())
        });
        for host in paused {
            self.cluster.resume(host);
        }
        for host in down {
            self.cluster.start(host, &[], None);
        }
    }

    /// Waits until the cluster has converged and stayed so; says how it went.
    pub async fn settle(&self) {
        let limit = self.cluster.plan().time.settle;
        let converged = self.converge();
        if self.runtime.timeout(limit, converged).await.is_ok() {
            self.push(What::Settled);
            return;
        }
        let missing = self.cluster.recorder().with_view(|view| missing(&self.cluster, view));
        let (fact, detail) = missing.unwrap_or_else(|| {
            ("no write gets through", "all has converged, but writes are not accepted".to_owned())
        });
        self.push(What::NotSettled { fact: fact.to_owned(), detail });
    }

    async fn converge(&self) {
        let recorder = self.cluster.recorder();
        for number in 0.. {
            recorder.until(|view| missing(&self.cluster, view).is_none()).await;
            let leader = recorder.with_view(View::leader);
            let Some(leader) = leader else { continue };
            if !self.accepts_a_write(leader, number).await {
                // Not to spin in the same instant where the refusal costs no time.
                self.sleep(Duration::from_millis(100)).await;
                continue;
            }
            recorder.until(|view| missing(&self.cluster, view).is_none()).await;
            if self.stays_converged().await {
                return;
            }
        }
    }

    /// Whether what has converged stays so. A leader writes on its own account now and then (where agents
    /// are), and then logs differ for as long as replication takes: that alone is no unrest.
    async fn stays_converged(&self) -> bool {
        let recorder = self.cluster.recorder();
        let end = self.cluster.now() + CALM;
        loop {
            let left = end.since(self.cluster.now());
            let broken = recorder.until(|view| missing(&self.cluster, view).is_some());
            if self.runtime.timeout(left, broken).await.is_err() {
                return true;
            }
            let fact = recorder.with_view(|view| missing(&self.cluster, view).map(|it| it.0));
            if fact.is_some_and(|fact| fact != LOGS_DIFFER) {
                return false;
            }
            let mended = recorder.until(|view| missing(&self.cluster, view).is_none());
            if self.runtime.timeout(REPLICATION, mended).await.is_err() {
                return false;
            }
        }
    }
}

/// What keeps the cluster from being converged; none when it is.
#[must_use]
pub fn missing(cluster: &Cluster, view: &View) -> Option<Missing> {
    let started = cluster.agents().into_iter().filter(|host| view.node(*host).lives > 0);
    let asleep: Vec<&str> =
        started.filter(|host| !view.node(*host).live()).map(|host| cluster.name(host)).collect();
    if !asleep.is_empty() {
        return Some(("an agent is not running", format!("not running: {}", asleep.join(", "))));
    }
    let member = |host: &Host| view.is_member(*host);
    let abstaining: Vec<&str> = (view.servers().filter(member))
        .filter(|host| view.node(*host).abstains)
        .map(|host| cluster.name(host))
        .collect();
    let lacks = |state: State| !holds(&Condition::State(state), view);
    let roles = || {
        let describe = |host: Host| {
            let node = view.node(host);
            let named = match node.leader {
                Named::Host(leader) => cluster.name(leader),
                Named::Nobody => "nobody",
                Named::Stranger => "a stranger",
            };
            let (name, role) = (cluster.name(host), format!("{:?}", node.role).to_lowercase());
            format!("{name} is {role} in term {} and takes {named} for leader", node.term)
        };
        view.servers().filter(member).map(describe).collect::<Vec<_>>().join("; ")
    };
    if lacks(State::OneLeader) {
        return Some(("no leader that all servers name", roles()));
    }
    if lacks(State::Writable) {
        return Some(("the leader has not committed an entry of its term", roles()));
    }
    if lacks(State::LogsConverged) {
        let describe = |host: Host| {
            let node = view.node(host);
            let (name, last) = (cluster.name(host), node.log.last_index());
            format!("{name}: last {last}, commit {}, applied {}", node.commit, node.applied)
        };
        let logs = view.servers().filter(member).map(describe).collect::<Vec<_>>().join("; ");
        return Some((LOGS_DIFFER, logs));
    }
    if !abstaining.is_empty() {
        let detail = format!("abstaining: {}", abstaining.join(", "));
        return Some(("a server has not got back what damage took", detail));
    }
    // An agent without gossip says nothing of members, and nobody waits for it.
    members::agents(view).find(|host| view.node(*host).members.known(Pool::Lan))?;
    let joined = cluster.plan().cluster.boot == Boot::Joined;
    if let Some(detail) = members::unconverged(view, joined) {
        return Some(("agents list different members", detail));
    }
    let differs = services::unconverged(view);
    differs.map(|detail| ("the catalog is not what the agents say", detail))
}
