//! `bootstrap_expect`: the first set of servers, found by counting (spec cluster 3.6, 3.8).
//!
//! ```text
//!   a server joins ─► enough of them? ─► ask each for its Raft peers ─► all have none ─► bootstrap
//!                        any says how many it expects, and means another number ─► wait
//!                        any has Raft data, this server included ─► never again in this life
//! ```
//!
//! All servers come to this independently and write the same first entry, as long as they see the same
//! members. Two that see different sets make two clusters: nothing but the question for existing peers
//! stands against that, in Consul as here. Members are counted whatever gossip makes of them.
//!
//! `legacy` asks nobody, writes no entry and gives the set to Raft as its peers.

use std::collections::BTreeMap;

use crate::base::{CallId, Duration, Instant, LogIndex};
use crate::raft::{Server, Suffrage};

use super::core::Agent;
use super::io::Output;
use super::members::ServerInfo;
use super::membership::Membership;
use super::types::{Failure, Reply, Request};

/// A server that cannot be asked is asked so often before it counts as having no peers.
const ATTEMPTS: u32 = 6;

/// What is known on the way to the first set.
#[derive(Debug, Default)]
pub(super) struct Expecting {
    /// How many servers are wanted; 0: it is over, or never was.
    expect: u64,
    asking: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    servers: Vec<ServerInfo>,
    /// Under way, and when they are repeated: index into `servers`.
    calls: BTreeMap<CallId, usize>,
    retries: Vec<(Instant, usize)>,
    attempts: Vec<u32>,
}

impl Expecting {
    /// Of so many servers.
    pub fn of(expect: u64) -> Self {
        Self { expect, asking: None }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.asking.as_ref()?.retries.iter().map(|(at, _)| *at).min()
    }
}

impl Agent {
    /// A server has joined the LAN pool, or this one has just started.
    pub(super) fn maybe_bootstrap(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.expecting.expect == 0 || self.expecting.asking.is_some() {
            return;
        }
        if self.raft.last_index() != LogIndex(0) {
            if !self.is_legacy() {
                out.push(Output::member(Membership::BootstrapDisabled));
            }
            self.expecting.expect = 0;
            return;
        }
        let Some(servers) = self.expected_servers(out) else { return };
        if self.is_legacy() {
            self.expecting.expect = 0;
            self.bootstrap_with(now, &servers, out);
            return;
        }
        let attempts = vec![0; servers.len()];
        let asking = Asking { servers, calls: BTreeMap::new(), retries: Vec::new(), attempts };
        let others = 0..asking.servers.len();
        self.expecting.asking = Some(asking);
        others.for_each(|place| self.ask_for_peers(place, out));
        self.bootstrap_when_asked(now, out);
    }

    /// The servers that there are, when they are enough and of one mind; sorted by address.
    fn expected_servers(&self, out: &mut Vec<Output>) -> Option<Vec<ServerInfo>> {
        let members = self.members.as_ref()?;
        let mut servers = Vec::new();
        for server in members.lan().members().filter_map(ServerInfo::parse) {
            if server.datacenter != members.identity.datacenter {
                out.push(Output::member(Membership::BootstrapConflict {
                    member: server.name,
                    why: "Member has a conflicting datacenter, ignoring",
                }));
                continue;
            }
            if server.expect != 0 && server.expect != self.expecting.expect {
                out.push(Output::member(Membership::BootstrapConflict {
                    member: server.name,
                    why: "Member has a conflicting expect value. All nodes should expect the same \
                          number",
                }));
                return None;
            }
            if server.bootstrap {
                out.push(Output::member(Membership::BootstrapConflict {
                    member: server.name,
                    why: "Member has bootstrap mode. Expect disabled",
                }));
                return None;
            }
            servers.push(server);
        }
        let voters = servers.iter().filter(|server| !server.read_replica).count();
        servers.sort_by(|a, b| a.address.cmp(&b.address));
        (voters as u64 >= self.expecting.expect).then_some(servers)
    }

    fn ask_for_peers(&mut self, place: usize, out: &mut Vec<Output>) {
        let Some(asking) = &mut self.expecting.asking else { return };
        let to = asking.servers[place].address.clone();
        asking.attempts[place] += 1;
        // That this server has none is what it found above.
        if to != self.config.raft.address {
            let call = self.pending.new_call();
            asking.calls.insert(call, place);
            out.push(Output::Forward { call, to, request: Request::StatusPeers });
        }
    }

    /// The end of a call, when it was one of these.
    pub(super) fn on_peers_reported(
        &mut self,
        now: Instant,
        call: CallId,
        result: &Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(asking) = &mut self.expecting.asking else { return false };
        let Some(place) = asking.calls.remove(&call) else { return false };
        match result {
            Ok(Reply::Peers(peers)) if !peers.is_empty() => {
                let by = asking.servers[place].name.clone();
                out.push(Output::member(Membership::PeersReported { by }));
                self.expecting = Expecting::default();
            }
            Err(_) if asking.attempts[place] < ATTEMPTS => {
                let pause = Duration::from_secs(1 << (asking.attempts[place] - 1));
                asking.retries.push((now + pause, place));
            }
            _ => {}
        }
        self.bootstrap_when_asked(now, out);
        true
    }

    pub(super) fn on_peers_deadline(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(asking) = &mut self.expecting.asking else { return };
        let (due, later): (Vec<_>, Vec<_>) =
            asking.retries.drain(..).partition(|(at, _)| *at <= now);
        asking.retries = later;
        due.into_iter().for_each(|(_, place)| self.ask_for_peers(place, out));
    }

    /// Everybody was asked, and nobody has peers.
    fn bootstrap_when_asked(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_open = |asking: &Asking| !asking.calls.is_empty() || !asking.retries.is_empty();
        if self.expecting.asking.as_ref().is_none_or(is_open) {
            return;
        }
        if let Some(asking) = std::mem::take(&mut self.expecting).asking {
            self.bootstrap_with(now, &asking.servers, out);
        }
    }

    fn bootstrap_with(&mut self, now: Instant, servers: &[ServerInfo], out: &mut Vec<Output>) {
        let addresses = servers.iter().map(|server| server.address.clone()).collect();
        out.push(Output::member(Membership::Bootstrapping(addresses)));
        let server = |server: &ServerInfo| Server {
            suffrage: if server.read_replica { Suffrage::Nonvoter } else { Suffrage::Voter },
            id: server.id.clone(),
            address: server.address.clone(),
        };
        let servers = servers.iter().map(server).collect();
        self.bootstrap(now, servers, out);
    }
}
