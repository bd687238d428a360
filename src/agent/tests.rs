//! What an agent does with outputs of Raft that take a cluster's life to come about: they are put in
//! its way by hand.

use super::core::{Agent, AgentConfig};
use super::event::Event;
use super::images::Images;
use super::io::{Input, Output};
use super::pending::{Pending, Waiting};
use super::types::{Failure, ReadMode, ReadOptions, Reply, Request, StateImage};
use crate::base::{
    Duration, Faults, Instant, LogIndex, PersistId, Prng, ReplyToken, RequestId, Term, WallTime,
};
use crate::raft::{
    self, Committed, Configuration, Entry, EntryKind, Install, InstallSnapshot,
    InstallSnapshotResponse, Persist, Profile, RaftConfig, Refusal, Response, Restored, Server,
    SnapshotMeta, SnapshotSource, Suffrage,
};
use crate::state::{Command, KvCommand, Query, Rows, StateStore};
use crate::wire;

struct Scene {
    agent: Agent,
    now: Instant,
    next_request: u64,
}

impl Scene {
    /// A server that is a cluster by itself, and leads it.
    fn leader() -> Self {
        let server = Server { suffrage: Suffrage::Voter, id: "n1".into(), address: "n1:1".into() };
        let servers = Configuration { servers: vec![server] };
        let (hard_state, entries) = raft::bootstrap(wire::raft::encode_configuration(&servers));
        let raft = RaftConfig::with_multiplier("n1".into(), "n1:1".into(), 1).expect("valid");
        let config = AgentConfig {
            raft,
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
        let restored = Restored { hard_state, entries, ..Restored::default() };
        let (prng, now, mut out) = (Prng::new(1), Instant::ZERO, Vec::new());
        let agent =
            Agent::new(config, restored, StateStore::new(), &prng, Faults::none(), now, &mut out);
        let mut scene = Self { agent, now, next_request: 1 };
        while !scene.agent.raft().is_leader() {
            scene.now = scene.agent.deadline().expect("a timer");
            let out = scene.step(Input::Wake);
            scene.persist(out);
        }
        scene
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.agent.step(self.now, input, &mut out);
        out
    }

    /// The disk does what it is asked, and what follows from that; the answers.
    fn persist(&mut self, mut out: Vec<Output>) -> Vec<(RequestId, Result<Reply, Failure>)> {
        let mut answers = Vec::new();
        while !out.is_empty() {
            for output in std::mem::take(&mut out) {
                match output {
                    Output::Persist(persist, _) => {
                        out.extend(self.step(Input::Persisted(persist.id)));
                    }
                    Output::Answer(id, result) => answers.push((id, result)),
                    _ => {}
                }
            }
        }
        answers
    }

    fn ask(&mut self, request: Request) -> (RequestId, Vec<Output>) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let out = self.step(Input::Ask(id, request));
        (id, out)
    }

    fn put(&mut self, key: &str, value: &str) {
        let (_, out) = self.ask(Request::Write(set(key, value)));
        assert_eq!(self.persist(out).len(), 1);
    }

    /// Puts this in Raft's mouth.
    fn says(&mut self, outputs: Vec<raft::Output>) -> Vec<Output> {
        let mut out = Vec::new();
        self.agent.raft_out = outputs;
        self.agent.absorb(self.now, &mut out);
        out
    }

    fn get(&self, key: &str) -> Option<String> {
        match self.agent.state().query(&Query::KvGet { key: key.to_owned() }).rows {
            Rows::Entries(rows) => {
                rows.first().map(|row| String::from_utf8_lossy(&row.value).into_owned())
            }
            _ => None,
        }
    }

    /// A snapshot that comes after all there is.
    fn meta(&self) -> SnapshotMeta {
        let index = self.agent.applied().next();
        SnapshotMeta { index, term: self.agent.raft().term(), ..SnapshotMeta::default() }
    }

    /// A request that Raft has accepted.
    fn accept(&mut self, id: RequestId, request: Request, waiting: Waiting) {
        self.agent.pending.insert(id, Pending::new(self.now, request));
        self.agent.pending.wait(id, waiting);
    }

    /// A restore that Raft has accepted: it waits, and its image too.
    fn restoring(&mut self) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let request = Request::SnapshotRestore(image("old"));
        self.accept(id, request, Waiting::Commit);
        self.agent.images.give(id, image("old"));
        id
    }
}

fn set(key: &str, value: &str) -> Command {
    let value = bytes::Bytes::copy_from_slice(value.as_bytes());
    Command::Kv(KvCommand::Set { key: key.to_owned(), value, flags: 0 })
}

fn image(value: &str) -> StateImage {
    let mut state = StateStore::new();
    state.apply(LogIndex(1), &set("a", value), &Faults::none());
    StateImage(Box::new(state))
}

fn blocked(key: &str) -> Request {
    let max_wait = Duration::from_secs(300);
    let options = ReadOptions { mode: ReadMode::Default, min_index: 1_000, max_wait };
    Request::Read { query: Query::KvGet { key: key.to_owned() }, options }
}

fn answers(out: &[Output]) -> Vec<String> {
    let answer = |output: &Output| match output {
        Output::Answer(id, Ok(Reply::Read { answer, .. })) => {
            Some(format!("{id} read at {}", answer.index))
        }
        Output::Answer(id, result) => Some(format!("{id} {result:?}")),
        _ => None,
    };
    out.iter().filter_map(answer).collect()
}

#[test]
fn an_operators_snapshot_takes_the_place_of_the_state() {
    let mut scene = Scene::leader();
    scene.put("a", "new");
    scene.put("b", "extra");
    let (reader, out) = scene.ask(blocked("a"));
    assert!(answers(&out).is_empty());
    let id = scene.restoring();
    let meta = scene.meta();
    let source = SnapshotSource::Operator(id);
    let install = Install { meta: meta.clone(), source, keeps_log: false };
    let install = Some(Box::new(install));
    let persist = Persist { id: PersistId(99), install, ..Persist::default() };
    let out = scene.says(vec![raft::Output::Persist(persist)]);
    assert!(
        matches!(&out[..], [Output::Persist(_, Some(written))] if *written == image("old")),
        "{out:?}"
    );
    let out = scene.says(vec![raft::Output::Installed { meta: meta.clone(), source }]);
    // Blocked on an index far ahead, and answered all the same, from the new state.
    assert_eq!(answers(&out), [format!("{reader} read at 1")]);
    assert_eq!((scene.get("a").as_deref(), scene.get("b")), (Some("old"), None));
    assert_eq!((scene.agent.applied(), scene.agent.state().applied()), (meta.index, meta.index));
    // The Noop that follows carries the request's name.
    let kind = EntryKind::Noop;
    let entry = Entry { index: meta.index.next(), term: meta.term, kind, data: Default::default() };
    let committed = Committed { entry, proposal: Some(id) };
    let out = scene.says(vec![raft::Output::Commit(vec![committed])]);
    assert_eq!(answers(&out), [format!("{id} Ok(Done)")]);
    assert_eq!(scene.agent.unanswered(), 0);
}

#[test]
fn a_restore_that_is_refused_before_the_disk_leaves_nothing() {
    let mut scene = Scene::leader();
    let id = scene.restoring();
    let refusal = Refusal::TransferInProgress;
    let out = scene.says(vec![raft::Output::Refused { id, refusal }]);
    assert_eq!(answers(&out), [format!("{id} Err(Raft(TransferInProgress))")]);
    assert_eq!(scene.agent.images.len(), 0);
}

#[test]
fn a_restore_that_reached_the_disk_is_installed_though_its_request_is_refused_or_forgotten() {
    let mut scene = Scene::leader();
    let id = scene.restoring();
    let (meta, source) = (scene.meta(), SnapshotSource::Operator(id));
    let install = Install { meta: meta.clone(), source, keeps_log: false };
    let install = Some(Box::new(install));
    let persist = Persist { id: PersistId(99), install, ..Persist::default() };
    scene.says(vec![raft::Output::Persist(persist)]);
    scene.step(Input::Forget(id));
    let refusal = Refusal::LeadershipLost;
    let out = scene.says(vec![raft::Output::Refused { id, refusal }]);
    assert!(answers(&out).is_empty());
    scene.says(vec![raft::Output::Installed { meta, source }]);
    assert_eq!(scene.get("a").as_deref(), Some("old"));
    assert_eq!(scene.agent.images.len(), 0);
}

#[test]
fn a_leaders_snapshot_takes_the_place_of_the_state() {
    let mut scene = Scene::leader();
    scene.put("b", "extra");
    let (meta, token) = (scene.meta(), ReplyToken(5));
    scene.agent.images.receive(token, image("theirs"));
    let source = SnapshotSource::Received(token);
    let done = InstallSnapshotResponse { term: meta.term, success: true };
    let reply = raft::Output::Reply { token, response: Response::InstallSnapshot(done) };
    // The answer may stand before the news.
    scene.says(vec![reply, raft::Output::Installed { meta: meta.clone(), source }]);
    assert_eq!((scene.get("a").as_deref(), scene.get("b")), (Some("theirs"), None));
    assert_eq!((scene.agent.applied(), scene.agent.images.len()), (meta.index, 0));
    let info = scene.agent.self_info(scene.now);
    assert_eq!(info.raft.expect("a server").last_snapshot, (meta.index, meta.term));
}

#[test]
fn a_leaders_snapshot_that_is_not_taken_is_dropped() {
    let mut scene = Scene::leader();
    // From a term that is over: refused at once.
    let request = InstallSnapshot { term: Term(1), leader: "n2:1".into(), snapshot: scene.meta() };
    let out = scene.step(Input::InstallSnapshot(ReplyToken(5), request, image("theirs")));
    assert!(
        out.iter().any(|output| matches!(output, Output::RaftReply(ReplyToken(5), _))),
        "{out:?}"
    );
    assert_eq!((scene.get("a"), scene.agent.images.len()), (None, 0));
}

#[test]
fn a_snapshot_is_taken_of_all_that_is_applied() {
    let mut scene = Scene::leader();
    scene.put("a", "1");
    let index = scene.agent.applied();
    let meta = SnapshotMeta { index, ..scene.meta() };
    let out = scene.says(vec![raft::Output::TakeSnapshot(meta.clone())]);
    let [Output::Event(Event::SnapshotBegun { .. }), Output::SaveSnapshot(wanted, state)] =
        &out[..]
    else {
        panic!("{out:?}")
    };
    assert_eq!((wanted, state.0.applied()), (&meta, index));
    scene.step(Input::SnapshotSaved(meta.clone()));
    assert_eq!(
        scene.agent.self_info(scene.now).raft.expect("a server").last_snapshot,
        (index, meta.term)
    );
}

#[test]
#[should_panic(expected = "a snapshot at 1 is wanted")]
fn a_snapshot_of_another_moment_is_a_mistake() {
    let mut scene = Scene::leader();
    let meta = SnapshotMeta { index: LogIndex(1), ..scene.meta() };
    scene.says(vec![raft::Output::TakeSnapshot(meta)]);
}

#[test]
fn a_change_of_the_servers_and_a_transfer_end_as_raft_says() {
    let mut scene = Scene::leader();
    for (result, said) in
        [(Ok(()), "Ok(Done)"), (Err(Refusal::NoSuchPeer), "Err(Raft(NoSuchPeer))")]
    {
        let id = RequestId(scene.next_request);
        scene.next_request += 1;
        scene.accept(id, Request::TransferLeadership { to: None }, Waiting::Transfer);
        let out = scene.says(vec![raft::Output::Transferred { id, result }]);
        assert_eq!(answers(&out), [format!("{id} {said}")]);
    }
    let id = scene.restoring();
    let index = scene.agent.applied().next();
    let (term, kind) = (scene.agent.raft().term(), EntryKind::Configuration);
    let entry = Entry { index, term, kind, data: Default::default() };
    let out = scene.says(vec![raft::Output::Commit(vec![Committed { entry, proposal: Some(id) }])]);
    assert_eq!(answers(&out), [format!("{id} Ok(Done)")]);
}

#[test]
fn images_are_kept_by_name() {
    let mut images = Images::default();
    images.give(RequestId(1), image("one"));
    images.receive(ReplyToken(1), image("two"));
    assert_eq!(images.install(SnapshotSource::Operator(RequestId(2))), None);
    assert_eq!(images.install(SnapshotSource::Received(ReplyToken(1))), Some(image("two")));
    assert_eq!(images.install(SnapshotSource::Operator(RequestId(1))), Some(image("one")));
    assert_eq!(images.len(), 0);
}
