//! The cluster under test: hosts, the agents on them, and what can be done to them from outside.
//!
//! ```text
//!   n1 10.0.0.1   n2 10.0.0.2   n3 10.0.0.3      servers: the shipped agent on a SimRuntime
//!   u1 10.0.9.1   u2 10.0.9.2                    users of the workloads
//!   testbed 10.0.255.1                           steps' own requests, over links without latency
//! ```
//!
//! Mechanism only: what to do, to whom and when is the [`nemesis`](crate::nemesis)'s business. Every
//! change is an event of the trace.

mod agents;
pub mod backends;
mod catalog_facts;
mod commands;
mod gossip_facts;
mod hosts;
mod links;
mod machines;
mod observers;
pub mod operations;
mod recorder;
mod texts;

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use proconsul::base::{Duration, Faults, Instant, Ratio};
use proconsul::planted;
use serde_json::{Value, json};

use crate::fabric::{DiskPolicy, Fabric, HostId, LinkPolicy, SimRuntime};
use crate::scenario::fault::DiskPlan;
use crate::scenario::model::{Plan, Target};
use crate::trace::event::{Host, HostInfo, HostKind, What};
use crate::trace::resolve::resolve;
use crate::trace::view::View;

use backends::Backends;
pub use commands::Ran;
pub use gossip_facts::{gossip_fact, user_event_fact};
use hosts::{header_of, hosts_of};
use machines::Ailments;
pub use machines::{Ailment, Edit};
use observers::FabricObserver;
pub use recorder::{Progress, Recorder};

/// Cheap to clone; all clones act on the same cluster.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Plan,
    fabric: Fabric,
    recorder: Recorder,
    faults: Faults,
    /// Set for the planted non-determinism only: keys that differ in every process.
    unseeded: Option<RandomState>,
    hosts: Vec<HostInfo>,
    /// The operating systems of hosts that no agent runs on.
    outside: BTreeMap<Host, SimRuntime>,
    /// Configuration that a `start` or `restart` added, by node.
    added: Mutex<Vec<Value>>,
    /// What stands behind the services that steps registered.
    backends: Backends,
    /// What is wrong with the machines.
    ailments: Mutex<Ailments>,
    /// Which directed links are cut, and by how many faults.
    cuts: Mutex<BTreeMap<(Host, Host), u32>>,
    /// On which hosts name lookups fail, and by how many faults.
    lookups: Mutex<BTreeMap<Host, u32>>,
    /// How often a host was given another address.
    moves: Mutex<BTreeMap<Host, u32>>,
}

impl Cluster {
    /// All hosts of the plan, with nothing running on them. `unseeded` is a planted bug of its own.
    #[must_use]
    pub fn new(
        plan: Plan,
        faults: Faults,
        unseeded: Option<RandomState>,
        progress: &Arc<Progress>,
    ) -> Self {
        let hosts = hosts_of(&plan);
        let recorder = Recorder::new(header_of(&plan, &hosts), &plan, progress.clone());
        let streams = plan.seed.stream("fabric");
        let network = links::policy(&plan.network);
        let observer = Arc::new(FabricObserver::new(recorder.clone()));
        let fabric = Fabric::new(&streams, network, observer);
        // Oracle: determinism. Latencies that no seed explains.
        fabric.set_nondeterministic(planted!(faults, "real-entropy"));
        let mut outside = BTreeMap::new();
        for info in &hosts {
            let ip = info.address.parse().expect("addresses are made by hosts_of");
            let disk = match info.kind {
                HostKind::Server | HostKind::Client => disk_policy(&plan.disk),
                HostKind::User | HostKind::Testbed => DiskPolicy::default(),
            };
            let id = fabric.add_host(&info.name, ip, disk);
            if matches!(info.kind, HostKind::User | HostKind::Testbed) {
                outside.insert(Host(id.0), fabric.start(id));
            }
        }
        let cluster = Self {
            shared: Arc::new(Shared {
                faults,
                unseeded,
                added: Mutex::new(vec![json!({}); plan.cluster.nodes.len()]),
                backends: Backends::default(),
                ailments: Mutex::default(),
                cuts: Mutex::default(),
                lookups: Mutex::default(),
                moves: Mutex::default(),
                outside,
                plan,
                fabric,
                recorder,
                hosts,
            }),
        };
        cluster.set_links();
        cluster.free_links_of_the_testbed();
        cluster.set_clocks();
        cluster
    }

    /// The testbed's requests stand for those of somebody logged in on the node itself.
    fn free_links_of_the_testbed(&self) {
        let testbed = HostId(self.testbed().0);
        let free =
            LinkPolicy { loss: Ratio::ZERO, ..LinkPolicy::healthy(Duration::ZERO, Duration::ZERO) };
        for host in (0..self.shared.plan.cluster.nodes.len() as u16).map(HostId) {
            self.shared.fabric.set_link(testbed, host, free);
            self.shared.fabric.set_link(host, testbed, free);
        }
    }

    /// What is run.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// Where facts go.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// The operating system of a host that no agent runs on.
    #[must_use]
    pub fn runtime(&self, host: Host) -> SimRuntime {
        self.shared.outside.get(&host).expect("only users and the testbed have one").clone()
    }

    /// The time of the whole simulation.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shared.fabric.now()
    }

    /// Ends every process and the fabric with them.
    pub async fn shut_down(&self) {
        self.shared.fabric.shut_down().await;
    }

    /// Records a fact.
    pub fn push(&self, host: Host, what: What) {
        self.shared.recorder.push(self.now(), host, what);
    }

    /// The host that stands for the testbed itself.
    #[must_use]
    pub fn testbed(&self) -> Host {
        Host(self.shared.hosts.len() as u16 - 1)
    }

    /// What stands behind the services that steps registered.
    #[must_use]
    pub fn backends(&self) -> &Backends {
        &self.shared.backends
    }

    /// All agents, servers first.
    #[must_use]
    pub fn agents(&self) -> Vec<Host> {
        (0..self.shared.plan.cluster.nodes.len() as u16).map(Host).collect()
    }

    /// All servers.
    #[must_use]
    pub fn servers(&self) -> Vec<Host> {
        let nodes = &self.shared.plan.cluster.nodes;
        self.agents().into_iter().filter(|host| nodes[usize::from(host.0)].server).collect()
    }

    /// All users, in the order of the workloads.
    #[must_use]
    pub fn users(&self) -> Vec<Host> {
        let of_kind = |(_, info): &(u16, &HostInfo)| info.kind == HostKind::User;
        (0..).zip(&self.shared.hosts).filter(of_kind).map(|(place, _)| Host(place)).collect()
    }

    /// A host's name.
    #[must_use]
    pub fn name(&self, host: Host) -> &str {
        &self.shared.hosts[usize::from(host.0)].name
    }

    /// A host's IP address as it is now.
    #[must_use]
    pub fn ip(&self, host: Host) -> IpAddr {
        self.shared.fabric.ip(HostId(host.0))
    }

    /// Where an agent serves HTTP.
    #[must_use]
    pub fn http_address(&self, host: Host) -> SocketAddr {
        SocketAddr::new(self.ip(host), 8500)
    }

    /// Where an agent serves DNS, by UDP and TCP.
    #[must_use]
    pub fn dns_address(&self, host: Host) -> SocketAddr {
        SocketAddr::new(self.ip(host), 8600)
    }

    /// The agents of a target that are up, for a workload's choice.
    #[must_use]
    pub fn up(&self, target: &Target) -> Vec<Host> {
        let mut up: Vec<Host> = self.shared.recorder.with_view(|view: &View| {
            let whom = resolve(target, view);
            whom.hosts.into_iter().filter(|host| view.node(*host).running).collect()
        });
        if let Some(keys) = &self.shared.unseeded {
            up = in_hash_order(up, keys);
        }
        up
    }
}

fn disk_policy(plan: &DiskPlan) -> DiskPolicy {
    DiskPolicy {
        sync_low: plan.fsync.low,
        sync_high: plan.fsync.high,
        read_low: plan.read.low,
        read_high: plan.read.high,
        write_low: plan.write.low,
        write_high: plan.write.high,
        capacity: plan.capacity,
    }
}

/// For the planted bug: as a hash set gives them, so that the same draw hits another node.
#[expect(clippy::disallowed_types, reason = "the planted bug is what this type does")]
fn in_hash_order(hosts: Vec<Host>, keys: &RandomState) -> Vec<Host> {
    let mut set = std::collections::HashSet::with_hasher(keys.clone());
    set.extend(hosts);
    set.into_iter().collect()
}
