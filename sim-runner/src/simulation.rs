//! One simulated run, from boot to settle: the life inside the simulation's thread.
//!
//! ```text
//!   boot (negative time) ── 0 ── script, workloads, chaos ── run ── heal ── settle ── end
//! ```
//!
//! Nothing here judges: the run yields a trace and a history, and the checkers read those.

use std::hash::RandomState;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use proconsul::base::runtime::{Runtime, Task};
use proconsul::base::{self, Faults};
use proconsul::planted;

use crate::cluster::{Cluster, Progress};
use crate::fabric::simulate;
use crate::history::History;
use crate::nemesis::script::Script;
use crate::nemesis::settle::missing;
use crate::scenario::model::{Boot, Plan, Workload, WorkloadKind};
use crate::trace::Trace;
use crate::trace::event::{Host, What};
use crate::workload::client::Client;
use crate::workload::events::EventUser;
use crate::workload::kv::KvUser;
use crate::workload::{catalog, dns, locks, sessions, transactions, watches};

/// What a run leaves behind.
pub struct Evidence {
    /// What happened.
    pub trace: Trace,
    /// What the users did and saw.
    pub history: History,
    /// Wall time of simulating `[time].run`.
    pub run_wall: Duration,
}

/// A run that is not explicitly timed goes on this long after its last step.
const AFTER_THE_SCRIPT: Duration = Duration::from_secs(10);
/// And at most this long after the time at which the script should have ended, whatever it waits for.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// Runs a plan.
///
/// # Errors
/// The testbed itself failed; the text says where.
pub fn run(plan: Plan, plant: Option<&str>, progress: &Arc<Progress>) -> Result<Evidence, String> {
    let scheduler_seed = plan.seed.stream("scheduler").next_u64();
    let stopwatch = Stopwatch::start();
    let marks = stopwatch.marks.clone();
    // Oracle: determinism. The simulator seeds the hash maps that are made inside; these keys come
    // from outside, so every process has others.
    let faults = Faults::armed(plant, None);
    let unseeded = planted!(faults, "hash-order").then(RandomState::new);
    let main = || async move {
        let cluster = Cluster::new(plan, faults, unseeded, progress);
        let life = Life { script: Script::new(&cluster), cluster, marks };
        life.run().await
    };
    let evidence = simulate(scheduler_seed, main).map_err(|crashed| crashed.0);
    let run_wall = stopwatch.stop();
    evidence.map(|(trace, history)| Evidence { trace, history, run_wall })
}

struct Life {
    cluster: Cluster,
    script: Script,
    marks: mpsc::SyncSender<()>,
}

impl Life {
    async fn run(self) -> (Trace, History) {
        let mut run_ns = 0;
        if self.boot().await {
            self.mark();
            let zero = self.cluster.now();
            self.run_time(zero).await;
            run_ns = self.cluster.recorder().run_time(self.cluster.now());
            self.mark();
            self.settle().await;
        }
        let evidence = self.cluster.recorder().finish(run_ns);
        self.cluster.shut_down().await;
        evidence
    }

    /// Whether the cluster came up.
    async fn boot(&self) -> bool {
        let recorder = self.cluster.recorder();
        let plan = self.cluster.plan();
        if plan.cluster.boot == Boot::Manual {
            recorder.begin(self.cluster.now());
            self.push(What::Booted);
            return true;
        }
        for host in self.cluster.agents() {
            self.cluster.start(host, &[], None);
        }
        let up = recorder.until(|view| missing(&self.cluster, view).is_none());
        let testbed = self.cluster.runtime(self.cluster.testbed());
        let booted = testbed.timeout(plan.time.boot_within, up).await.is_ok();
        recorder.begin(self.cluster.now());
        if booted {
            self.push(What::Booted);
        } else {
            let found = recorder.with_view(|view| missing(&self.cluster, view));
            let (fact, detail) = found.unwrap_or_default();
            self.push(What::NotBooted { fact: fact.to_owned(), detail });
        }
        booted
    }

    fn mark(&self) {
        // The stopwatch outlives the simulation.
        let _ = self.marks.send(());
    }

    fn push(&self, what: What) {
        self.cluster.push(self.cluster.testbed(), what);
    }

    /// `[time].run`: script, chaos and workloads.
    async fn run_time(&self, zero: base::Instant) {
        let plan = self.cluster.plan();
        self.start_users();
        let steps = self.script.start();
        let testbed = self.cluster.runtime(self.cluster.testbed());
        let end = zero + plan.time.run;
        testbed.sleep(end.since(self.cluster.now())).await;
        if plan.time.run_is_explicit {
            self.fail_unfinished("the run was over before this step had finished");
        } else if !self.script.unfinished().is_empty() {
            let all = self.script.finished();
            if testbed.timeout(LONGEST_DELAY, all).await.is_ok() {
                testbed.sleep(AFTER_THE_SCRIPT).await;
            }
            self.fail_unfinished("an hour after its script should have ended, this step had not");
        }
        // A step that fired now would undo what settle does.
        steps.iter().for_each(Task::abort);
    }

    fn fail_unfinished(&self, why: &str) {
        for (index, id) in self.script.unfinished() {
            self.push(What::StepFailed { step: index as u32, id, message: why.to_owned() });
        }
    }

    fn start_users(&self) {
        let plan = self.cluster.plan();
        let mut hosts = self.cluster.users().into_iter();
        for (number, workload) in plan.workloads.iter().enumerate() {
            for host in hosts.by_ref().take(workload.users as usize) {
                self.start_user(host, number + 1, workload);
            }
        }
    }

    fn start_user(&self, host: Host, number: usize, workload: &Workload) {
        let runtime = self.cluster.runtime(host);
        let name = self.cluster.name(host).to_owned();
        let prng = self.cluster.plan().seed.stream(&format!("user/{name}"));
        let (cluster, plan) = (self.cluster.clone(), workload.clone());
        match &workload.kind {
            WorkloadKind::Kv(kv) => {
                let own = runtime.clone();
                let user =
                    KvUser { cluster, runtime: own, host, name, workload: number, plan, prng };
                runtime.spawn("user", user.run(kv.clone()));
            }
            WorkloadKind::Event(event) => {
                let user = EventUser { cluster, runtime: runtime.clone(), host, name, plan, prng };
                runtime.spawn("user", user.run(*event));
            }
            WorkloadKind::Lock(lock) => {
                let (client, lock) = (Client::new(cluster, host, plan), *lock);
                runtime.spawn("user", locks::run(client, lock));
            }
            WorkloadKind::Session(session) => {
                let (client, session) = (Client::new(cluster, host, plan), *session);
                runtime.spawn("user", sessions::run(client, session));
            }
            WorkloadKind::Catalog(services) => {
                let (client, services) = (Client::new(cluster, host, plan), *services);
                runtime.spawn("user", catalog::catalog(client, services));
            }
            WorkloadKind::Health(services) => {
                let (client, services) = (Client::new(cluster, host, plan), *services);
                runtime.spawn("user", catalog::health(client, services));
            }
            WorkloadKind::Watch(watch) => {
                let (client, watch) = (Client::new(cluster, host, plan), *watch);
                runtime.spawn("user", watches::run(client, watch));
            }
            WorkloadKind::Txn(txn) => {
                let (client, txn) = (Client::new(cluster, host, plan), *txn);
                runtime.spawn("user", transactions::run(client, txn));
            }
            WorkloadKind::Dns(lookups) => {
                let (client, lookups) = (Client::new(cluster, host, plan), lookups.clone());
                runtime.spawn("user", dns::run(client, lookups));
            }
        }
    }

    async fn settle(&self) {
        self.push(What::SettleBegan);
        if !self.cluster.plan().time.settle.is_zero() {
            self.script.undo_all().await;
            self.script.settle().await;
        }
    }
}

/// The wall times at which a simulation passed its marks. Inside a simulation every clock is virtual,
/// so a thread outside takes the times; the simulation only says "now", and waits until it was heard: on a
/// busy machine the other thread may be late, and both marks would be taken at once.
struct Stopwatch {
    marks: mpsc::SyncSender<()>,
    times: thread::JoinHandle<Vec<Instant>>,
}

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "measures the simulator from outside")]
    fn start() -> Self {
        let (marks, passed) = mpsc::sync_channel(0);
        let times = thread::spawn(move || passed.iter().map(|()| Instant::now()).collect());
        Self { marks, times }
    }

    /// Wall time between the first two marks; zero when the run did not get that far.
    fn stop(self) -> Duration {
        drop(self.marks);
        match self.times.join().as_deref() {
            Ok([begin, end, ..]) => end.duration_since(*begin),
            _ => Duration::ZERO,
        }
    }
}
