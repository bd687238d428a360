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

mod observers;
pub mod operations;
mod recorder;
mod texts;

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use proconsul::base::runtime::{Level, Runtime, Signal};
use proconsul::base::{Duration, Faults, Instant, Ratio};
use proconsul::config::{AGENT_FLAGS, AgentConfig, flags};
use proconsul::driver::{Exit, Node};
use proconsul::planted;
use serde_json::{Value, json};

use crate::fabric::{DiskPolicy, Fabric, HostId, Keep, LinkPolicy, SimRuntime};
use crate::scenario::model::{NodePlan, Plan, Target};
use crate::trace::event::{Header, Host, HostInfo, HostKind, What};
use crate::trace::view::View;

pub use observers::mode_name;
use observers::{FabricObserver, NodeObserver};
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
    /// Which directed links are cut, and by how many faults.
    cuts: Mutex<BTreeMap<(Host, Host), u32>>,
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
        let network = LinkPolicy {
            loss: plan.network.loss,
            ..LinkPolicy::healthy(plan.network.latency.low, plan.network.latency.high)
        };
        let observer = Arc::new(FabricObserver::new(recorder.clone()));
        let fabric = Fabric::new(&streams, network, observer);
        // Oracle: determinism. Latencies that no seed explains.
        fabric.set_nondeterministic(planted!(faults, "real-entropy"));
        let mut outside = BTreeMap::new();
        for info in &hosts {
            let ip = info.address.parse().expect("addresses are made by hosts_of");
            let id = fabric.add_host(&info.name, ip, DiskPolicy::default());
            if matches!(info.kind, HostKind::User | HostKind::Testbed) {
                outside.insert(Host(id.0), fabric.start(id));
            }
        }
        let cluster = Self {
            shared: Arc::new(Shared {
                faults,
                unseeded,
                added: Mutex::new(vec![Value::Null; plan.cluster.nodes.len()]),
                cuts: Mutex::default(),
                outside,
                plan,
                fabric,
                recorder,
                hosts,
            }),
        };
        cluster.free_links_of_the_testbed();
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

    /// A host's IP address.
    #[must_use]
    pub fn ip(&self, host: Host) -> IpAddr {
        let text = &self.shared.hosts[usize::from(host.0)].address;
        text.parse().expect("addresses are made by hosts_of")
    }

    /// Where an agent serves HTTP.
    #[must_use]
    pub fn http_address(&self, host: Host) -> SocketAddr {
        SocketAddr::new(self.ip(host), 8500)
    }

    /// The agents of a target that are up, for a workload's choice.
    #[must_use]
    pub fn up(&self, target: &Target) -> Vec<Host> {
        let mut up: Vec<Host> = self.shared.recorder.with_view(|view: &View| {
            let whom = crate::trace::resolve::resolve(target, view);
            whom.hosts.into_iter().filter(|host| view.node(*host).running).collect()
        });
        if let Some(keys) = &self.shared.unseeded {
            up = in_hash_order(up, keys);
        }
        up
    }

    /// Starts the agent of a node that is down. `added` configuration stays for later starts.
    pub fn start(&self, host: Host, args: &[String], added: Option<&Value>) {
        if let Some(added) = added {
            let mut all = self.lock_added();
            merge(&mut all[usize::from(host.0)], added);
        }
        let config = self.node_config(host, args);
        let cluster = self.clone();
        self.push(host, What::Started);
        self.shared.fabric.boot(HostId(host.0), move |runtime| async move {
            let recorder = cluster.shared.recorder.clone();
            let clock = cluster.shared.fabric.clone();
            let observer = Arc::new(NodeObserver::new(recorder, clock, host));
            let faults = cluster.shared.faults.clone();
            let found = match config {
                Ok(config) => {
                    let servers = config.servers(&runtime).await;
                    servers.map(|servers| (config, servers)).map_err(|error| error.to_string())
                }
                Err(why) => Err(why),
            };
            match found {
                Ok((config, servers)) => {
                    // It has logged why it ended.
                    let _: Exit = Node::run(runtime, config, servers, observer, faults).await;
                }
                Err(why) => runtime.log(Level::Error, "agent", format_args!("{why}")),
            }
        });
    }

    fn lock_added(&self) -> MutexGuard<'_, Vec<Value>> {
        self.shared.added.lock().expect("a simulation has one thread")
    }

    /// What the node is configured with: the agent's own reader reads a file that we write.
    fn node_config(&self, host: Host, args: &[String]) -> Result<AgentConfig, String> {
        let place = usize::from(host.0);
        let node: &NodePlan = &self.shared.plan.cluster.nodes[place];
        let ip = self.ip(host);
        let servers = self.servers();
        let mut file = json!({
            "node_name": node.name,
            "server": node.server,
            "bind_addr": ip.to_string(),
            "client_addr": ip.to_string(),
            "data_dir": "data",
            "bootstrap_expect": servers.len(),
            "retry_join": servers.iter().map(|s| self.ip(*s).to_string()).collect::<Vec<_>>(),
        });
        merge(&mut file, &node.config);
        merge(&mut file, &self.lock_added()[place]);
        self.fill_value(&mut file)?;
        let args = args.iter().map(|text| self.fill(text)).collect::<Result<Vec<_>, _>>()?;
        let flags = flags::parse(AGENT_FLAGS, &args).map_err(|error| format!("{error:?}"))?;
        let name = format!("{}.json", node.name);
        AgentConfig::from_parts(&[(&name, &file.to_string())], &flags, &node.name)
            .map_err(|error| error.to_string())
    }

    /// Cuts the power of a host.
    pub fn kill(&self, host: Host, keep: Keep) {
        self.shared.fabric.kill(HostId(host.0), keep);
    }

    /// Sends a signal to the agent.
    pub fn signal(&self, host: Host, signal: Signal) {
        self.shared.recorder.expect_stop(host);
        self.shared.fabric.signal(HostId(host.0), signal);
    }

    /// SIGSTOP.
    pub fn pause(&self, host: Host) {
        self.push(host, What::Paused);
        self.shared.fabric.pause(HostId(host.0));
    }

    /// SIGCONT.
    pub fn resume(&self, host: Host) {
        self.push(host, What::Resumed);
        self.shared.fabric.resume(HostId(host.0));
    }

    /// Loses what `from` sends to `to`, until as many [`Cluster::heal`]s.
    pub fn cut(&self, from: Host, to: Host) {
        let mut cuts = self.shared.cuts.lock().expect("a simulation has one thread");
        let count = cuts.entry((from, to)).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.shared.fabric.cut(cut_name(from, to), HostId(from.0), HostId(to.0));
            self.push(from, What::Cut { to });
        }
    }

    /// Takes one cut back.
    pub fn heal(&self, from: Host, to: Host) {
        let mut cuts = self.shared.cuts.lock().expect("a simulation has one thread");
        if let Some(count) = cuts.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                cuts.remove(&(from, to));
                self.shared.fabric.heal(cut_name(from, to));
                self.push(from, What::Healed { to });
            }
        }
    }
}

/// The fabric knows cuts by the fault that makes them; we count per link, so each link is a fault.
fn cut_name(from: Host, to: Host) -> u64 {
    u64::from(from.0) << 16 | u64::from(to.0)
}

/// Objects are merged key by key, everything else is replaced.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (into, from) => *into = from.clone(),
    }
}

fn hosts_of(plan: &Plan) -> Vec<HostInfo> {
    let address = |net: u8, number: usize| {
        let (high, low) = ((number / 250) as u8, (number % 250) as u8);
        Ipv4Addr::new(10, net, high, low + 1).to_string()
    };
    let mut hosts: Vec<HostInfo> = Vec::new();
    for (number, node) in plan.cluster.nodes.iter().enumerate() {
        let kind = if node.server { HostKind::Server } else { HostKind::Client };
        hosts.push(HostInfo { name: node.name.clone(), kind, address: address(0, number) });
    }
    let users: u32 = plan.workloads.iter().map(|workload| workload.users).sum();
    for number in 0..users as usize {
        let name = format!("u{}", number + 1);
        hosts.push(HostInfo { name, kind: HostKind::User, address: address(9, number) });
    }
    let name = "testbed".to_owned();
    hosts.push(HostInfo { name, kind: HostKind::Testbed, address: address(255, 0) });
    hosts
}

fn header_of(plan: &Plan, hosts: &[HostInfo]) -> Header {
    Header {
        version: 1,
        title: plan.title.clone(),
        seed: plan.seed.text.clone(),
        hosts: hosts.to_vec(),
        run_ns: plan.time.run.as_nanos() as i64,
        settle_ns: plan.time.settle.as_nanos() as i64,
        lease_ns: lease(plan).as_nanos() as i64,
    }
}

/// The longest LeaderLeaseTimeout of any server: 500 ms times its `raft_multiplier`.
fn lease(plan: &Plan) -> Duration {
    let multiplier = |node: &NodePlan| {
        node.config.pointer("/performance/raft_multiplier").and_then(Value::as_u64).unwrap_or(5)
    };
    let greatest = plan.cluster.nodes.iter().map(multiplier).max().unwrap_or(5);
    Duration::from_millis(500) * u32::try_from(greatest).unwrap_or(5)
}

/// For the planted bug: as a hash set gives them, so that the same draw hits another node.
#[expect(clippy::disallowed_types, reason = "the planted bug is what this type does")]
fn in_hash_order(hosts: Vec<Host>, keys: &RandomState) -> Vec<Host> {
    let mut set = std::collections::HashSet::with_hasher(keys.clone());
    set.extend(hosts);
    set.into_iter().collect()
}
