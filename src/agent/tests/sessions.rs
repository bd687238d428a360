//! What a leader does by its clock about sessions, closed keys and tombstones.

use super::*;
use crate::state::{CommandResult, Node, Register, Session, SessionCommand};

type Answers = Vec<(RequestId, Result<Reply, Failure>)>;

impl Scene {
    /// Asks, and lets the disk do what follows.
    fn done(&mut self, request: Request) -> Result<Reply, Failure> {
        let (id, out) = self.ask(request);
        let answers: Answers = self.persist(out);
        let mut own = answers.into_iter().filter(|(of, _)| *of == id).map(|(_, result)| result);
        own.next().expect("it is answered at once")
    }

    fn write(&mut self, command: Command) -> CommandResult {
        match self.done(Request::Write(command)) {
            Ok(Reply::Written(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    /// A leader with a node that sessions can be bound to.
    fn with_node() -> Self {
        let mut scene = Self::leader();
        let (node, address) = ("n".to_owned(), "10.0.0.1".to_owned());
        let what =
            Register { node: Node { node, address, ..Node::default() }, ..Register::default() };
        assert_eq!(scene.write(Command::Register(Box::new(what))), CommandResult::Flag(true));
        scene
    }

    fn create(&mut self, ttl: &str, lock_delay: Duration) -> CommandResult {
        let (node, ttl) = ("n".to_owned(), ttl.to_owned());
        let session = Box::new(Session { node, ttl, lock_delay, ..Session::default() });
        self.write(Command::Session(SessionCommand::Create(session)))
    }

    fn session(&mut self, ttl: &str) -> String {
        match self.create(ttl, Duration::from_secs(15)) {
            CommandResult::Id(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn destroy(&mut self, session: &str) {
        let destroy = SessionCommand::Destroy { id: session.to_owned() };
        assert_eq!(self.write(Command::Session(destroy)), CommandResult::Flag(true));
    }

    fn lock(&mut self, session: &str) -> CommandResult {
        let (key, value) = ("k".to_owned(), bytes::Bytes::new());
        self.write(Command::Kv(KvCommand::Lock {
            key,
            value,
            flags: 0,
            session: session.to_owned(),
        }))
    }

    fn renew(&mut self, session: &str) -> bool {
        match self.done(Request::SessionRenew { id: session.to_owned() }) {
            Ok(Reply::SessionRenewed(found)) => found.is_some(),
            other => panic!("{other:?}"),
        }
    }

    fn is_there(&self, session: &str) -> bool {
        self.agent.state().session(session).is_some()
    }

    /// Lets time pass, with a disk that works.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.agent.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let out = self.step(Input::Wake);
            self.persist(out);
            self.agent.check_invariants();
        }
        self.now = end;
    }
}

#[test]
fn a_session_ends_after_twice_its_time_unless_it_is_renewed() {
    let mut scene = Scene::with_node();
    let (left, renewed, free) = (scene.session("10s"), scene.session("10s"), scene.session(""));
    scene.pass(19);
    assert!(scene.is_there(&left) && scene.renew(&renewed.to_uppercase()) && scene.renew(&free));
    scene.pass(2);
    assert!(!scene.is_there(&left) && !scene.renew(&left));
    assert!(scene.is_there(&renewed) && scene.is_there(&free));
    scene.pass(17);
    assert!(scene.is_there(&renewed));
    scene.pass(2);
    assert!(!scene.is_there(&renewed) && scene.is_there(&free));
    scene.agent.check_invariants();
}

#[test]
fn a_session_that_cannot_be_ended_is_tried_again_later_and_later() {
    let mut scene = Scene::with_node();
    let session = scene.session("10s");
    let mut wait = 20;
    for next in [10, 20, 40, 80, 160, 320, 320] {
        // It is asked for, and Raft refuses: the disk's answer never comes.
        let due = scene.now + Duration::from_secs(wait);
        assert_eq!(scene.agent.session_timers.deadline(), Some(due));
        scene.now = due;
        let mut out = Vec::new();
        let (attempts, now) = (scene.agent.session_timers.take_due(due), scene.now);
        let [(attempt, id)] = &attempts[..] else { panic!("{attempts:?}") };
        assert_eq!(*id, session);
        scene.agent.on_session_ended(now, *attempt, Err(Failure::NotLeader), &mut out);
        assert_eq!(out.len(), 1, "{out:?}");
        scene.agent.check_invariants();
        wait = next;
    }
    assert!(scene.renew(&session), "a renewal saves it even now");
    scene.pass(19);
    assert!(scene.is_there(&session));
    scene.pass(2);
    assert!(!scene.is_there(&session));
}

#[test]
fn a_new_leader_counts_anew_and_one_that_does_not_lead_does_not_count() {
    let mut scene = Scene::with_node();
    let session = scene.session("10s");
    scene.pass(15);
    let now = scene.now;
    scene.agent.begin_sessions(now);
    scene.pass(19);
    assert!(scene.is_there(&session));
    scene.pass(2);
    assert!(!scene.is_there(&session));
    scene.session("10s");
    scene.agent.end_sessions();
    assert_eq!(scene.agent.session_timers.deadline(), None);
}

#[test]
fn a_key_is_closed_for_the_lock_delay_after_its_holder_ended() {
    let mut scene = Scene::with_node();
    let (first, second) = (scene.session(""), scene.session(""));
    assert_eq!(scene.lock(&first), CommandResult::Flag(true));
    assert_eq!(scene.lock(&second), CommandResult::Flag(false));
    scene.destroy(&first);
    let applied = scene.agent.applied();
    scene.pass(14);
    assert_eq!(scene.lock(&second), CommandResult::Flag(false));
    assert_eq!(scene.agent.applied(), applied, "refused before the log");
    scene.pass(1);
    assert_eq!(scene.lock(&second), CommandResult::Flag(true));
    // Nothing is closed when there is no delay, and never for more than a minute.
    scene.destroy(&second);
    scene.pass(15);
    for (delay, closed) in [(0, 0), (3600, 60)] {
        let CommandResult::Id(holder) = scene.create("", Duration::from_secs(delay)) else {
            panic!("refused")
        };
        assert_eq!(scene.lock(&holder), CommandResult::Flag(true));
        scene.destroy(&holder);
        let next = scene.session("");
        assert_eq!(scene.lock(&next), CommandResult::Flag(closed == 0));
        scene.destroy(&next);
        scene.pass(closed.max(15));
    }
}

#[test]
fn what_is_no_session_is_refused_before_the_log() {
    let mut scene = Scene::with_node();
    let applied = scene.agent.applied();
    let ttl =
        |text: &str| Session { node: "n".to_owned(), ttl: text.to_owned(), ..Session::default() };
    let cases = [
        (ttl("9s"), "Invalid Session TTL '9000000000', must be between [10s=24h0m0s]"),
        (ttl("-10s"), "Invalid Session TTL '-10000000000', must be between [10s=24h0m0s]"),
        (ttl("24h1s"), "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"),
        (ttl("x"), "Session TTL 'x' invalid: time: invalid duration \"x\""),
        (Session::default(), "Must provide Node"),
        (Session { behavior: "keep".to_owned(), ..ttl("") }, "Invalid Behavior setting 'keep'"),
    ];
    for (session, text) in cases {
        let create = SessionCommand::Create(Box::new(session));
        let result = scene.write(Command::Session(create));
        assert_eq!(result, CommandResult::Error(text.to_owned()));
    }
    let destroy = |id: &str| Command::Session(SessionCommand::Destroy { id: id.to_owned() });
    let text = "failed session lookup: index error: UUID must be 36 characters".to_owned();
    assert_eq!(scene.write(destroy("")), CommandResult::Error("Must provide ID".to_owned()));
    assert_eq!(scene.write(destroy("abc")), CommandResult::Error(text.clone()));
    let renewed = scene.done(Request::SessionRenew { id: "abc".to_owned() });
    assert_eq!(renewed, Err(Failure::Refused(text)));
    assert_eq!(scene.agent.applied(), applied);
}

#[test]
fn tombstones_go_after_a_quarter_of_an_hour() {
    let mut scene = Scene::leader();
    scene.put("a", "1");
    assert_eq!(scene.agent.tombstones.deadline(), None);
    let removal = Command::Kv(KvCommand::Delete { key: "a".to_owned() });
    assert_eq!(scene.write(removal), CommandResult::Flag(true));
    let index = scene.agent.state().tombstone_index();
    scene.pass(899);
    assert_eq!(scene.agent.state().oldest_tombstone(), Some(index));
    scene.pass(31);
    assert_eq!(scene.agent.state().oldest_tombstone(), None);
    let applied = scene.agent.applied();
    scene.pass(3600);
    assert_eq!(scene.agent.applied(), applied, "nothing is left to reap");
}
