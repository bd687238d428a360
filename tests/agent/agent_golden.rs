//! Golden transcripts: the life of a request in one agent, one file each in `golden/agent/`.
//! `UPDATE_GOLDENFILES=1 cargo test --test agent agent_golden` writes them anew; read the difference
//! before it is committed.
//!
//! | command | what it does |
//! |---|---|
//! | `agent` | starts n1, one of three servers, bootstrapped |
//! | `lead` | makes it the leader of a new term, with all it asks for granted |
//! | `follow n2 9 [k=v …]` | a heartbeat from n2, leader of term 9, and these writes, committed |
//! | `put k v`, `get k`, `list k`, `keys k` `[stale] [consistent] [index=3] [wait=10s]`, `status`, `peers`, `self` | asks |
//! | `raft`, `remove id n2`, `remove address n2`, `transfer`, `transfer n2`, `save` `[stale]`, `restore k=v` | an operator asks |
//! | `forget 2` | the asker of r2 goes away |
//! | `forwarded 1 written\|read\|done\|no-leader\|not-leader\|not-sent\|broke\|lost\|not-ready` | ends call 1 |
//! | `persist`, `settle` | completes a write; the disk and the peers do all they are asked |
//! | `agree`, `unreached`, `newer 9` | a peer agrees to the oldest call, is not reached, knows term 9 |
//! | `fail-disk` | the disk refuses |
//! | `advance 10s` | lets time pass; nobody answers |
//! | `stop` | the process is about to end |
//! | `unanswered`, `calls` | shows how many requests wait, which calls are out |

use std::error::Error;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command as Line, Context};
use proconsul::agent::{
    Failure, Input, PeerName, ReadMeta, ReadMode, ReadOptions, Reply, Request, StateImage,
};
use proconsul::base::{CallId, Duration, Faults, RequestId, Term};
use proconsul::raft::describe::describe_request;
use proconsul::state::{Answer, Command, CommandResult, KvCommand, Query, Rows, StateStore};

use crate::agent_bench::{Bench, address};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Script {
    bench: Option<Bench>,
}

impl goldenscript::Runner for Script {
    type Command = Line;

    fn run(&mut self, line: &Line, _: &Context) -> Outcome<String> {
        let mut args = line.consume_args();
        if line.name == "agent" {
            self.bench = Some(Bench::new(1));
            return Ok(String::new());
        }
        let bench = self.bench.as_mut().ok_or("begin with: agent")?;
        let shown = run_line(bench, &line.name, &mut args)?;
        args.reject_next()?;
        let mut lines = std::mem::take(&mut bench.transcript);
        lines.extend(shown);
        Ok(lines.join("\n"))
    }
}

fn run_line(
    bench: &mut Bench,
    name: &str,
    args: &mut ArgumentConsumer<'_>,
) -> Outcome<Vec<String>> {
    match name {
        "lead" => bench.lead(),
        "follow" => {
            let leader = args.next_pos().ok_or("which leader?")?.to_owned();
            let term = Term(args.next_pos().ok_or("which term?")?.parse()?);
            let writes: Vec<Command> = std::iter::from_fn(|| args.next_key())
                .map(|(key, value)| set(key, value))
                .collect();
            bench.follow(&leader, term, &writes);
        }
        "forget" => bench.forget(RequestId(number(args)?)),
        "forwarded" => {
            let call = CallId(number(args)?);
            bench.forwarded(call, ending(args.next_pos().ok_or("how?")?)?);
        }
        "persist" => drop(bench.persist()),
        "settle" => bench.settle(),
        "agree" => drop(bench.answer_call(None, true)),
        "unreached" => drop(bench.answer_call(None, false)),
        "newer" => {
            let term = Term(number(args)?);
            bench.answer_call(Some(term), true);
        }
        "fail-disk" => bench.fail_disk(),
        "advance" => bench.advance(seconds(args.next_pos().ok_or("how long?")?)?),
        "stop" => bench.step(Input::Stop),
        "unanswered" => return Ok(vec![bench.agent.unanswered().to_string()]),
        "calls" => {
            return Ok(bench.calls.iter().map(|(_, request)| describe_request(request)).collect());
        }
        asked => drop(bench.ask(request(asked, args)?)),
    }
    Ok(Vec::new())
}

fn request(name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<Request> {
    match name {
        "status" => return Ok(Request::StatusLeader),
        "peers" => return Ok(Request::StatusPeers),
        "self" => return Ok(Request::AgentSelf),
        "raft" => return Ok(Request::RaftConfiguration { stale: args.next_pos().is_some() }),
        "save" => return Ok(Request::SnapshotSave { stale: args.next_pos().is_some() }),
        "transfer" => {
            return Ok(Request::TransferLeadership { to: args.next_pos().map(Into::into) });
        }
        "remove" => {
            let (kind, name) = (args.next_pos(), args.next_pos().ok_or("which peer?")?);
            return Ok(Request::RemoveRaftPeer(match kind {
                Some("id") => PeerName::Id(name.into()),
                _ => PeerName::Address(address(name)),
            }));
        }
        "restore" => return Ok(Request::SnapshotRestore(image(args))),
        _ => {}
    }
    let key = args.next_pos().ok_or("which key?")?.to_owned();
    let query = match name {
        "put" => {
            let value = args.next_pos().unwrap_or("");
            return Ok(Request::Write(set(&key, value)));
        }
        "get" => Query::KvGet { key },
        "list" => Query::KvList { prefix: key },
        "keys" => Query::KvKeys { prefix: key, separator: String::new() },
        other => return Err(format!("no command {other}").into()),
    };
    let min_index = args.take_key("index").map_or(Ok(0), str::parse)?;
    let max_wait = seconds(args.take_key("wait").unwrap_or("300s"))?;
    let mode = match args.next_pos() {
        Some("stale") => ReadMode::Stale,
        Some("consistent") => ReadMode::Consistent,
        _ => ReadMode::Default,
    };
    Ok(Request::Read { query, options: ReadOptions { mode, min_index, max_wait } })
}

fn set(key: &str, value: &str) -> Command {
    let value = Bytes::copy_from_slice(value.as_bytes());
    Command::Kv(KvCommand::Set { key: key.to_owned(), value, flags: 0 })
}

/// A state with these writes, at index 1, 2 …
fn image(args: &mut ArgumentConsumer<'_>) -> StateImage {
    let mut state = StateStore::new();
    while let Some((key, value)) = args.next_key() {
        state.apply(state.applied().next(), &set(key, value), &Faults::none());
    }
    StateImage(Box::new(state))
}

/// How a forwarded request may end.
pub fn ending(name: &str) -> Outcome<Result<Reply, Failure>> {
    Ok(match name {
        "written" => Ok(Reply::Written(CommandResult::Flag(true))),
        "read" => Ok(Reply::Read {
            answer: Answer { index: 7, rows: Rows::Entries(Vec::new()) },
            meta: ReadMeta { index: 7, known_leader: true, last_contact: Duration::ZERO },
        }),
        "done" => Ok(Reply::Done),
        "refused" => Err(Failure::Remote("stale not allowed for restore".to_owned())),
        "no-leader" => Err(Failure::NoLeader),
        "not-leader" => Err(Failure::NotLeader),
        "not-sent" => Err(Failure::NotSent("connection refused".to_owned())),
        "broke" => Err(Failure::Rpc("EOF".to_owned())),
        "lost" => Err(Failure::LeadershipLost),
        "not-ready" => Err(Failure::NotReady),
        other => return Err(format!("no ending {other}").into()),
    })
}

fn number(args: &mut ArgumentConsumer<'_>) -> Outcome<u64> {
    Ok(args.next_pos().ok_or("which number?")?.parse()?)
}

fn seconds(text: &str) -> Outcome<Duration> {
    let millis = match text.strip_suffix("ms") {
        Some(millis) => millis.parse()?,
        None => text.strip_suffix('s').ok_or("a time looks like 10s")?.parse::<u64>()? * 1000,
    };
    Ok(Duration::from_millis(millis))
}

macro_rules! stories {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/agent/golden/agent/", stringify!($name), ".txt"
            );
            goldenscript::run(&mut Script::default(), path).expect("a readable script");
        }
    )*};
}

stories! {
    blocking_on_the_leader,
    blocking_through_a_follower,
    broken_connections,
    disk_failure,
    forwarding,
    holding,
    leadership_lost,
    operators,
    operators_change_the_cluster,
    reads,
    stopping,
    verify_batching,
    writes,
}
