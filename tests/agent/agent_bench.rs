//! One agent alone, with everything around it in lists: its disk, its peers and its askers do what the
//! holder says, when the holder says it. The agent is `n1` of three servers.

use std::collections::{BTreeMap, VecDeque};

use proconsul::agent::{
    Agent, AgentConfig, Event, Failure, Input, Output, RaftServer, Reply, Request,
};
use proconsul::base::{
    CallId, Duration, Faults, Instant, LogIndex, PersistId, Prng, ReplyToken, RequestId,
    ServerAddress, Term, WallTime,
};
use proconsul::raft::{
    self, AppendEntries, AppendEntriesResponse, CallError, Configuration, Entry, EntryKind,
    InstallSnapshotResponse, Profile, RaftConfig, RequestVoteResponse, Restored, Server, Suffrage,
};
use proconsul::state::{Command, Rows, StateStore};
use proconsul::wire;

pub fn address(name: &str) -> ServerAddress {
    format!("{name}:8300").into()
}

fn name(address: &ServerAddress) -> &str {
    address.as_str().trim_end_matches(":8300")
}

/// The agent and what it waits for.
pub struct Bench {
    pub agent: Agent,
    pub now: Instant,
    /// Raft calls that have no answer.
    pub calls: VecDeque<(CallId, raft::Request)>,
    /// Forwarded requests that have no answer.
    pub forwards: BTreeMap<CallId, Request>,
    writing: VecDeque<PersistId>,
    /// How often each request was answered; withdrawn ones are not in it.
    pub asked: BTreeMap<RequestId, u32>,
    /// What was sent to peers as the log of a leader.
    shipped: (LogIndex, Term),
    next_request: u64,
    next_token: u64,
    pub transcript: Vec<String>,
}

impl Bench {
    pub fn new(seed: u64) -> Self {
        let servers = ["n1", "n2", "n3"].map(|name| Server {
            suffrage: Suffrage::Voter,
            id: name.into(),
            address: address(name),
        });
        let servers = Configuration { servers: servers.to_vec() };
        let (hard_state, entries) = raft::bootstrap(wire::raft::encode_configuration(&servers));
        let config = AgentConfig {
            raft: RaftConfig::with_multiplier("n1".into(), address("n1"), 1).expect("valid"),
            node_name: "n1".to_owned(),
            datacenter: "dc1".to_owned(),
            profile: Profile::Modern,
            enable_single_node: false,
            rpc_hold_timeout: Duration::from_secs(7),
            members: None,
            coordinates: None,
            leave_drain: Duration::ZERO,
            session_ttl_min: Duration::from_secs(10),
            began: (Instant::ZERO, WallTime(0)),
            autopilot: Default::default(),
        };
        let mut out = Vec::new();
        let (prng, now) = (Prng::new(seed), Instant::ZERO);
        let restored = Restored { hard_state, entries, ..Restored::default() };
        let agent =
            Agent::new(config, restored, StateStore::new(), &prng, Faults::none(), now, &mut out);
        let mut bench = Self {
            agent,
            now,
            calls: VecDeque::new(),
            forwards: BTreeMap::new(),
            writing: VecDeque::new(),
            asked: BTreeMap::new(),
            shipped: (LogIndex(1), Term(1)),
            next_request: 1,
            next_token: 1,
            transcript: Vec::new(),
        };
        bench.take(out);
        bench
    }

    pub fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.agent.step(self.now, input, &mut out);
        self.agent.check_invariants();
        self.take(out);
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Persist(persist, _) => self.writing.push_back(persist.id),
                Output::RaftCall { call, request, .. } => self.calls.push_back((call, request)),
                Output::RaftReply(..) | Output::SaveSnapshot(..) => {}
                Output::Gossip(..) | Output::Exit => unreachable!("it is in no pool"),
                Output::Probe(..) | Output::CancelProbe(_) | Output::Keep(..) => {
                    unreachable!("it has no checks")
                }
                Output::Forward { call, to, request } => {
                    self.transcript.push(format!("{call} -> {}: {}", name(&to), shown(&request)));
                    self.forwards.insert(call, request);
                }
                Output::Answer(id, result) => {
                    self.transcript.push(format!("{id}: {}", answer(&result)));
                    *self.asked.get_mut(&id).expect("an answer to a question") += 1;
                }
                Output::Event(event) => self.transcript.extend(fact(&event)),
            }
        }
    }

    /// Puts a question to the agent.
    pub fn ask(&mut self, request: Request) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.asked.insert(id, 0);
        self.step(Input::Ask(id, request));
        id
    }

    /// The asker goes away.
    pub fn forget(&mut self, id: RequestId) {
        if self.asked.get(&id) == Some(&0) {
            self.asked.remove(&id);
        }
        self.step(Input::Forget(id));
    }

    /// Lets time pass, waking the agent when it is due.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.agent.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step(Input::Wake);
        }
        self.now = end;
    }

    /// Completes one write to the disk; false when there is none.
    pub fn persist(&mut self) -> bool {
        let Some(id) = self.writing.pop_front() else { return false };
        self.step(Input::Persisted(id));
        true
    }

    /// One write fails, and with it all after it.
    pub fn fail_disk(&mut self) {
        if let Some(id) = self.writing.pop_front() {
            self.writing.clear();
            self.step(Input::PersistFailed(id));
        }
    }

    /// A peer agrees to the oldest call, or (none) is not reached; or it knows a newer term.
    pub fn answer_call(&mut self, newer: Option<Term>, reached: bool) -> bool {
        let Some((call, request)) = self.calls.pop_front() else { return false };
        let response = match request {
            raft::Request::RequestVote(vote) => raft::Response::RequestVote(RequestVoteResponse {
                term: newer.unwrap_or(vote.term),
                granted: newer.is_none(),
            }),
            raft::Request::AppendEntries(append) => {
                raft::Response::AppendEntries(AppendEntriesResponse {
                    term: newer.unwrap_or(append.term),
                    last_log: append.prev_index,
                    success: newer.is_none(),
                    no_retry_backoff: false,
                })
            }
            raft::Request::InstallSnapshot(install) => {
                raft::Response::InstallSnapshot(InstallSnapshotResponse {
                    term: newer.unwrap_or(install.term),
                    success: newer.is_none(),
                })
            }
            raft::Request::TimeoutNow => raft::Response::TimeoutNow,
            other => panic!("nothing asks for {other:?} yet"),
        };
        let result = if reached { Ok(response) } else { Err(CallError::Unreachable) };
        self.step(Input::RaftReply(call, result));
        true
    }

    /// Disk and peers do all that is asked of them, until nothing is.
    pub fn settle(&mut self) {
        while self.persist() || self.answer_call(None, true) {}
    }

    /// Makes the agent the leader of a new term, unless it no longer belongs to the set.
    pub fn lead(&mut self) {
        for _ in 0..100 {
            if self.agent.raft().is_leader() {
                break;
            }
            let due = self.agent.raft().deadline().expect("a follower has a timer");
            self.advance(due.since(self.now));
            self.settle();
        }
        self.settle();
    }

    /// The agent hears from a leader of this term: a heartbeat, and these commands, committed.
    pub fn follow(&mut self, leader: &str, term: Term, commands: &[Command]) {
        let heartbeat = AppendEntries {
            term,
            leader: address(leader),
            prev_index: LogIndex(0),
            prev_term: Term(0),
            entries: Vec::new(),
            leader_commit: LogIndex(0),
        };
        self.request(raft::Request::AppendEntries(heartbeat.clone()));
        if commands.is_empty() {
            return;
        }
        let (prev_index, prev_term) = self.shipped;
        let mut index = prev_index;
        let mut entries = Vec::new();
        for command in commands {
            index = index.next();
            let data = wire::command::encode(command, "dc1");
            entries.push(Entry { index, term, kind: EntryKind::Command, data });
        }
        self.shipped = (index, term);
        let leader_commit = index;
        let append = AppendEntries { prev_index, prev_term, entries, leader_commit, ..heartbeat };
        self.request(raft::Request::AppendEntries(append));
        while self.persist() {}
    }

    fn request(&mut self, request: raft::Request) {
        let token = ReplyToken(self.next_token);
        self.next_token += 1;
        self.step(Input::RaftRequest(token, request));
    }

    /// The end of a forwarded request.
    pub fn forwarded(&mut self, call: CallId, result: Result<Reply, Failure>) {
        if self.forwards.remove(&call).is_some() {
            self.step(Input::Forwarded(call, result));
        }
    }
}

/// A request in a few words.
pub fn shown(request: &Request) -> String {
    match request {
        Request::Write(Command::Kv(command)) => format!("{command:?}"),
        Request::Read { query, options } => {
            let mut text = format!("{query:?} {:?}", options.mode);
            if options.min_index > 0 {
                text += &format!(" index={} wait={:?}", options.min_index, options.max_wait);
            }
            text
        }
        other => format!("{other:?}"),
    }
}

fn answer(result: &Result<Reply, Failure>) -> String {
    match result {
        Ok(Reply::Written(result)) => format!("written {result:?}"),
        Ok(Reply::Read { answer, meta }) => {
            let rows = match &answer.rows {
                Rows::Entries(entries) => entries
                    .iter()
                    .map(|entry| format!("{}={:?}", entry.key, entry.value))
                    .collect::<Vec<_>>(),
                Rows::Keys(keys) => keys.clone(),
                other => vec![format!("{other:?}")],
            };
            format!(
                "read [{}] index={} known_leader={} last_contact={:?}",
                rows.join(" "),
                meta.index,
                meta.known_leader,
                meta.last_contact
            )
        }
        Ok(Reply::Leader(leader)) => format!("leader {:?}", leader.as_ref().map(name)),
        Ok(Reply::Peers(peers)) => {
            format!("peers {:?}", peers.iter().map(name).collect::<Vec<_>>())
        }
        Ok(Reply::RaftStats(stats)) => format!("{stats:?}"),
        Ok(Reply::Local(reply)) => format!("{reply:?}"),
        Ok(Reply::Members(_) | Reply::Joined(_) | Reply::Keyring(_)) => {
            unreachable!("it is in no pool")
        }
        Ok(Reply::SessionRenewed(found)) => format!("renewed {found:?}"),
        Ok(Reply::UserEventFired(event)) => format!("fired {event:?}"),
        Ok(Reply::UserEvents { events, index }) => format!("events {events:?} index={index}"),
        Ok(Reply::DatacenterMaps(maps)) => format!("{maps:?}"),
        Ok(Reply::AutopilotHealth(report)) => format!("{report:?}"),
        Ok(Reply::AgentSelf(info)) => {
            let raft = info.raft.as_ref().expect("a server");
            format!("self {} term={} applied={}", raft.raft_state, raft.term, raft.applied_index)
        }
        Ok(Reply::RaftConfiguration { servers, index }) => {
            let servers: Vec<String> = servers.iter().map(peer).collect();
            format!("configuration {index}: {}", servers.join(", "))
        }
        Ok(Reply::Done) => "done".to_owned(),
        Ok(Reply::Snapshot { snapshot, state, meta }) => format!(
            "snapshot {}@{} of configuration {}, {state:?} index={} known_leader={}",
            snapshot.index,
            snapshot.term,
            snapshot.configuration_index,
            meta.index,
            meta.known_leader
        ),
        Err(failure) => format!("refused: {failure}"),
    }
}

fn peer(server: &RaftServer) -> String {
    let role = if server.leader { "leader" } else { "follower" };
    let (id, node) = (&server.id, &server.node);
    format!("{id} {node} {role} voter={} protocol={}", server.voter, server.protocol_version)
}

/// What of the agent's facts belongs into a transcript.
fn fact(event: &Event) -> Option<String> {
    Some(match event {
        Event::Raft(raft::Event::LeaderChanged(leader)) => {
            format!("leader is {}", leader.as_ref().map_or("nobody", name))
        }
        Event::Served { mode, key, applied, .. } => {
            format!("serves {key} {mode:?} with {applied} applied")
        }
        Event::LeadershipEstablished => "leadership established".to_owned(),
        Event::LeadershipLost => "leadership lost".to_owned(),
        Event::Applied { entry, done: Some((_, result)) } => {
            format!("applies {}: {result:?}", entry.index)
        }
        _ => return None,
    })
}
