//! What is known at an instant: the fold of all events up to it.
//!
//! ```text
//!  event ──apply──► nodes (running, role, term, log, commit …) · links · leaders · users · tallies
//!           └─────► Happened: what only shows against the state before
//! ```
//!
//! The same fold serves the script while the run goes on and the checker afterwards, so both answer
//! "does this condition hold now" alike. Each event costs O(1) (a truncation or recovery: the entries
//! it moves). [`View::revision`] grows when something a condition can depend on changed, so whoever
//! waits need not evaluate after every delivered packet.
//!
//! Deliberately not here: judging. A view believes what it is told; contradictions are the checker's.

use std::collections::{BTreeMap, BTreeSet};

use proconsul::base::quorum::majority;

use crate::scenario::model::EventPattern;

use super::event::{EntryRef, Header, Host, HostKind, Role, SnapshotRef, TraceEvent, What};
use super::happened::{Happened, Tallies};
use super::log::NodeLog;
pub use super::node::{Configuration, Named, NodeView};
use super::operations::Operations;

/// The port of Raft addresses: a host's address with it is how servers are named.
pub const RAFT_PORT: u16 = 8300;

/// What a step did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepView {
    /// First time it fired, ns.
    pub started: Option<i64>,
    /// First time it finished.
    pub finished: Option<i64>,
    /// Whom it acted on last.
    pub targets: Vec<Host>,
}

/// The state of the run.
#[derive(Clone, Debug)]
pub struct View {
    nodes: Vec<NodeView>,
    addresses: BTreeMap<String, Host>,
    names: BTreeMap<String, Host>,
    /// By their names in lower case, as the catalog has them.
    agents: BTreeMap<String, Host>,
    now: i64,
    revision: u64,
    /// Who was elected, in order.
    elected: Vec<Host>,
    leaders_of_term: BTreeMap<u64, BTreeSet<Host>>,
    most_leaders_per_term: u64,
    cut: BTreeSet<(Host, Host)>,
    steps: BTreeMap<u32, StepView>,
    last_killed: Vec<Host>,
    /// Whom the last event made voters.
    promoted: Vec<Host>,
    /// How the users fare.
    pub operations: Operations,
    /// Occurrences of the patterns that somebody watches.
    pub tallies: Tallies,
}

impl View {
    /// Before the first event. `watched`: patterns that will be counted; see
    /// [`patterns_of`](super::conditions::patterns_of).
    pub fn new<'a>(header: &Header, watched: impl IntoIterator<Item = &'a EventPattern>) -> Self {
        Self {
            nodes: header.hosts.iter().map(NodeView::new).collect(),
            addresses: addresses(header),
            names: names(header),
            agents: agents(header),
            now: i64::MIN,
            revision: 0,
            elected: Vec::new(),
            leaders_of_term: BTreeMap::new(),
            most_leaders_per_term: 0,
            cut: BTreeSet::new(),
            steps: BTreeMap::new(),
            last_killed: Vec::new(),
            promoted: Vec::new(),
            operations: Operations::default(),
            tallies: Tallies::new(watched),
        }
    }

    /// Takes in the next event. One of a host that the header does not list changes nothing but
    /// the time.
    pub fn apply(&mut self, event: &TraceEvent) -> Happened {
        self.now = event.at;
        self.promoted.clear();
        let happened = match &event.what {
            What::Deliver { .. } | What::Drop { .. } | What::Served { .. } => {
                return Happened::default();
            }
            _ if usize::from(event.host.0) >= self.nodes.len() => return Happened::default(),
            _ => {
                let before = self.nodes[usize::from(event.host.0)].leads();
                let changed = self.nodes[usize::from(event.host.0)].process(&event.what)
                    | self.raft(event)
                    | self.testbed(event);
                let happened = self.compare(event, before);
                self.revision += u64::from(changed);
                happened
            }
        };
        let mut tallies = std::mem::take(&mut self.tallies);
        self.revision += u64::from(tallies.observe(event, happened, self));
        self.tallies = tallies;
        happened
    }

    fn raft(&mut self, event: &TraceEvent) -> bool {
        let node = &mut self.nodes[usize::from(event.host.0)];
        match &event.what {
            What::Term { term } => node.term = *term,
            What::Role { role, term } => {
                (node.role, node.term) = (*role, *term);
                if *role == Role::Leader {
                    let leaders = self.leaders_of_term.entry(*term).or_default();
                    leaders.insert(event.host);
                    self.most_leaders_per_term =
                        self.most_leaders_per_term.max(leaders.len() as u64);
                }
            }
            What::Leader { address } if address.is_empty() => node.leader = Named::Nobody,
            What::Leader { address } => {
                node.leader =
                    self.addresses.get(address).map_or(Named::Stranger, |host| Named::Host(*host));
            }
            What::Append { entries } => entries.iter().for_each(|entry| {
                node.log.append(entry);
            }),
            What::Truncate { from } => node.log.truncate(*from),
            What::Recovered { snapshot, log, .. } => self.recovers(event.host, *snapshot, log),
            What::SnapshotInstalled { snapshot, .. } => self.installs(event.host, *snapshot),
            What::Configuration { index, voters, others } => {
                let hosts = |addresses: &[String]| {
                    addresses.iter().filter_map(|it| self.addresses.get(it).copied()).collect()
                };
                let (voters, others) = (hosts(voters), hosts(others));
                self.configures(event.host, Configuration { index: *index, voters, others });
            }
            What::Commit { index } => node.commit = *index,
            What::Apply { index, .. } => node.applied = *index,
            _ => return false,
        }
        true
    }

    /// A set of servers comes into force on a host. Who votes in it and did not in the newest set
    /// that anybody had before was promoted: so each promotion is seen once.
    fn configures(&mut self, host: Host, configuration: Configuration) {
        let before = self.nodes.iter().filter_map(|node| node.configuration.as_ref());
        if let Some(before) = before.max_by_key(|it| it.index)
            && before.index < configuration.index
        {
            let voters = configuration.voters.iter();
            let promoted = voters.filter(|host| before.others.contains(host));
            self.promoted = promoted.copied().collect();
        }
        self.nodes[usize::from(host.0)].configuration = Some(configuration);
    }

    /// The log that recovery found stands on what the snapshot says: the log of whoever had it.
    fn recovers(&mut self, host: Host, snapshot: Option<SnapshotRef>, log: &[EntryRef]) {
        let found = NodeLog::of(log);
        let before = match (log.first(), snapshot) {
            (Some(first), _) => first.index.saturating_sub(1),
            (None, Some(snapshot)) => snapshot.index,
            (None, None) => 0,
        };
        let mut whole = match snapshot {
            Some(snapshot) if before > 0 => self.history(host, snapshot).up_to(before),
            _ => NodeLog::default(),
        };
        if whole.last_index() == before {
            log.iter().for_each(|entry| {
                whole.append(entry);
            });
        } else {
            whole = found;
        }
        self.nodes[usize::from(host.0)].log = whole;
    }

    /// The log goes on after the snapshot; what stood behind it stays if it agreed with it.
    fn installs(&mut self, host: Host, snapshot: SnapshotRef) {
        let kept = self.nodes[usize::from(host.0)].log.holds(snapshot.index, snapshot.term);
        if !kept {
            let mut log = self.history(host, snapshot).up_to(snapshot.index);
            // An operator's snapshot is an entry that nobody has.
            if !log.holds(snapshot.index, snapshot.term) {
                let (index, term, hash) = (snapshot.index, snapshot.term, snapshot.state);
                log.append(&EntryRef { index, term, hash });
            }
            self.nodes[usize::from(host.0)].log = log;
        }
        let node = &mut self.nodes[usize::from(host.0)];
        node.commit = node.commit.max(snapshot.index);
        node.applied = node.applied.max(snapshot.index);
    }

    /// A log with the snapshot's last entry: the own one, or anybody's; else the own one as it is.
    fn history(&self, host: Host, snapshot: SnapshotRef) -> NodeLog {
        let own = &self.nodes[usize::from(host.0)].log;
        let all = std::iter::once(own).chain(self.nodes.iter().map(|node| &node.log));
        let found = all.into_iter().find(|log| log.holds(snapshot.index, snapshot.term));
        found.unwrap_or(own).clone()
    }

    fn testbed(&mut self, event: &TraceEvent) -> bool {
        match &event.what {
            What::Readdressed { address } => {
                self.addresses.insert(raft_address(address), event.host);
            }
            What::Cut { to } => {
                self.cut.insert((event.host, *to));
            }
            What::Healed { to } => {
                self.cut.remove(&(event.host, *to));
            }
            What::StepStarted { step, verb, targets, .. } => {
                let view = self.steps.entry(*step).or_default();
                view.started.get_or_insert(event.at);
                let known = targets.iter().filter(|host| usize::from(host.0) < self.nodes.len());
                view.targets = known.copied().collect();
                if verb == "kill" {
                    self.last_killed.clone_from(&view.targets);
                }
            }
            What::StepFinished { step } => {
                self.steps.entry(*step).or_default().finished.get_or_insert(event.at);
            }
            What::Invoke { op } => self.operations.invoke(*op, event.at),
            What::Return { op, outcome } => self.operations.finish(*op, outcome, event.at),
            _ => return false,
        }
        true
    }

    /// What the event meant for leadership.
    fn compare(&mut self, event: &TraceEvent, led: bool) -> Happened {
        let lost = led && !self.nodes[usize::from(event.host.0)].leads();
        let elected = matches!(event.what, What::ElectionWon { .. });
        let changed = elected && self.elected.last().is_some_and(|last| *last != event.host);
        if elected {
            self.elected.push(event.host);
        }
        Happened { elected, lost, changed }
    }

    /// Time of the last event, ns.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Grows when something that a condition can depend on changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One host.
    ///
    /// # Panics
    /// When the header does not list it.
    #[must_use]
    pub fn node(&self, host: Host) -> &NodeView {
        &self.nodes[usize::from(host.0)]
    }

    /// All hosts of a kind.
    pub fn hosts(&self, kind: HostKind) -> impl Iterator<Item = Host> + '_ {
        let of_kind = (0..).map(Host).zip(&self.nodes).filter(move |(_, node)| node.kind == kind);
        of_kind.map(|(host, _)| host)
    }

    /// All servers.
    pub fn servers(&self) -> impl Iterator<Item = Host> + '_ {
        self.hosts(HostKind::Server)
    }

    /// Servers that are live.
    pub fn live_servers(&self) -> impl Iterator<Item = Host> + '_ {
        self.servers().filter(|host| self.node(*host).live())
    }

    /// The set of servers as the cluster has it: the leader's, or the newest that any server has.
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        let leaders = self.leader().and_then(|leader| self.node(leader).configuration.as_ref());
        leaders.or_else(|| {
            let all = self.servers().filter_map(|host| self.node(host).configuration.as_ref());
            all.max_by_key(|configuration| configuration.index)
        })
    }

    /// Servers that vote; all of them while nothing else is known.
    #[must_use]
    pub fn voters(&self) -> Vec<Host> {
        match self.configuration() {
            Some(configuration) => configuration.voters.iter().copied().collect(),
            None => self.servers().collect(),
        }
    }

    /// Whether a server belongs to the cluster. One that was removed runs on and knows nothing of it.
    #[must_use]
    pub fn is_member(&self, host: Host) -> bool {
        self.configuration().is_none_or(|configuration| configuration.contains(host))
    }

    /// Servers that are live and belong to the cluster.
    pub fn live_members(&self) -> impl Iterator<Item = Host> + '_ {
        let configuration = self.configuration();
        let belongs = move |host: &Host| configuration.is_none_or(|it| it.contains(*host));
        self.live_servers().filter(belongs)
    }

    /// The smallest majority of any configuration that some server has in force.
    #[must_use]
    pub fn smallest_quorum(&self) -> usize {
        let all = self.servers().filter_map(|host| self.node(host).configuration.as_ref());
        let voters = all.map(|configuration| configuration.voters.len()).filter(|count| *count > 0);
        majority(voters.min().unwrap_or_else(|| self.servers().count()))
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<Host> {
        self.names.get(name).copied()
    }

    /// The agent whose node this is, whatever the case of the name.
    #[must_use]
    pub fn agent(&self, node: &str) -> Option<Host> {
        self.agents.get(&node.to_lowercase()).copied()
    }

    /// The server whose tables are the cluster's: the leader, or, while there is none, the live server
    /// that has applied most.
    #[must_use]
    pub fn authority(&self) -> Option<Host> {
        let foremost = || {
            let members = self.live_members();
            members.max_by_key(|host| (self.node(*host).applied, std::cmp::Reverse(*host)))
        };
        self.leader().or_else(foremost)
    }

    /// The server that leads: of several that think so, the one with the highest term; a paused one
    /// only when there is no other.
    #[must_use]
    pub fn leader(&self) -> Option<Host> {
        let leading = self.servers().filter(|host| self.node(*host).leads());
        leading.max_by_key(|host| (self.node(*host).live(), self.node(*host).term))
    }

    /// The last that led and no longer does.
    #[must_use]
    pub fn old_leader(&self) -> Option<Host> {
        self.elected.iter().rev().copied().find(|host| !self.node(*host).leads())
    }

    /// The most servers that ever led in one term.
    #[must_use]
    pub fn most_leaders_per_term(&self) -> u64 {
        self.most_leaders_per_term
    }

    /// Whether messages get through in both directions, as far as cuts go.
    #[must_use]
    pub fn connected(&self, a: Host, b: Host) -> bool {
        a == b || !(self.cut.contains(&(a, b)) || self.cut.contains(&(b, a)))
    }

    /// What a step did so far.
    #[must_use]
    pub fn step(&self, step: u32) -> Option<&StepView> {
        self.steps.get(&step)
    }

    /// Servers that voted in no set before, were in one, and vote since the last event.
    #[must_use]
    pub fn promoted(&self) -> &[Host] {
        &self.promoted
    }

    /// Targets of the last `kill`.
    #[must_use]
    pub fn last_killed(&self) -> &[Host] {
        &self.last_killed
    }
}

/// All hosts by name; of two of one name the first.
fn names(header: &Header) -> BTreeMap<String, Host> {
    let mut names = BTreeMap::new();
    for (host, info) in (0..).map(Host).zip(&header.hosts) {
        names.entry(info.name.clone()).or_insert(host);
    }
    names
}

/// All agents by their names in lower case; of two of one name the first.
fn agents(header: &Header) -> BTreeMap<String, Host> {
    let mut agents = BTreeMap::new();
    let hosts = (0..).map(Host).zip(&header.hosts);
    for (host, info) in hosts {
        if matches!(info.kind, HostKind::Server | HostKind::Client) {
            agents.entry(info.name.to_lowercase()).or_insert(host);
        }
    }
    agents
}

/// Raft addresses of all hosts.
#[must_use]
pub fn addresses(header: &Header) -> BTreeMap<String, Host> {
    (0..)
        .map(Host)
        .zip(&header.hosts)
        .map(|(host, info)| (raft_address(&info.address), host))
        .collect()
}

fn raft_address(ip: &str) -> String {
    match ip.contains(':') {
        true => format!("[{ip}]:{RAFT_PORT}"),
        false => format!("{ip}:{RAFT_PORT}"),
    }
}
