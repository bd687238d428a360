//! Golden transcripts: small stories of a gossip pool, one file each in `golden/swim/`, with everything
//! the members say and believe. `UPDATE_GOLDENFILES=1 cargo test --test agent swim_golden` writes them
//! anew; read the difference before it is committed.
//!
//! A story is a list of commands:
//!
//! | command | what it does |
//! |---|---|
//! | `hosts 3 [reclaim=yes]` | n1, n2, … with the LAN preset, none started; `reclaim`: Consul's 30 s |
//! | `pool 3 […]` | the same, started and joined, all quiet; nothing of that is written down |
//! | `start n1 [at=9] [versions="3,5,3,2,5,4"] [meta=x]` | starts it, at another address |
//! | `crash n1` | power off |
//! | `join n1 n2 [n3…]` | n1 exchanges states with these, one after the other |
//! | `run 500ms`, `loud 500ms` | lets time pass; the second shows datagrams, quiet probes and exchanges too |
//! | `cut n1 n2 [streams]`, `heal` | nothing goes between them any more (datagrams; streams too) |
//! | `hear n1 alive n2 5 [at=9] and dead n3 1 n2 …` | n1 gets a datagram with these: node, incarnation, accuser |
//! | `exchange n1 n2=dead@1 …` | somebody exchanges states with n1, knowing this |
//! | `leave n1`, `meta n1 x`, `event n1 x`, `refuse n1 n2` | goodbye, new meta, a user event, its delegate's rule |
//! | `members n1` | what n1 knows, and its health score |

use std::error::Error;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use proconsul::base::{Duration, go_duration};
use proconsul::gossip::swim::{Config, Input};
use proconsul::gossip::{
    Accusation, Alive, Incarnation, MemberState, Message, NodeState, Ping, PushPull,
    SequenceNumber, SerfMessage, Source, UserEvent,
};

use crate::swim_cluster::{Cluster, addr_of};
use crate::swim_describe::describe_node;
use crate::swim_random::joined;

type Outcome<T> = Result<T, Box<dyn Error>>;

const VERSIONS: [u8; 6] = [1, 5, 2, 2, 5, 4];

#[derive(Default)]
struct Script {
    cluster: Option<Cluster>,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        if matches!(command.name.as_str(), "hosts" | "pool") {
            let count = args.next_pos().ok_or("how many?")?.parse()?;
            let reclaims = args.take_key("reclaim").is_some();
            args.reject_next()?;
            let tune =
                if reclaims { |config: Config| config.for_consul() } else { |config| config };
            let mut cluster = if command.name == "pool" {
                let mut cluster = joined(count, 42, tune);
                cluster.run(Duration::from_secs(10));
                cluster
            } else {
                Cluster::new(count, 42, tune)
            };
            cluster.transcript.clear();
            self.cluster = Some(cluster);
            return Ok(String::new());
        }
        let cluster = self.cluster.as_mut().ok_or("begin with: pool 3")?;
        let shown = run_command(cluster, &command.name, &mut args)?;
        args.reject_next()?;
        let mut lines = std::mem::take(&mut cluster.transcript);
        if command.name == "run" {
            lines.retain(|line| !line.contains(": acked by ") && !line.contains(": ⇄ "));
        }
        lines.extend(shown);
        Ok(lines.join("\n"))
    }
}

fn run_command(
    cluster: &mut Cluster,
    name: &str,
    args: &mut ArgumentConsumer<'_>,
) -> Outcome<Vec<String>> {
    if name == "heal" {
        cluster.network.cut_datagrams.clear();
        cluster.network.cut_streams.clear();
        return Ok(Vec::new());
    }
    if matches!(name, "run" | "loud") {
        let span = args.next_pos().ok_or("how long?")?;
        let span = go_duration::parse_span(span).ok_or("a duration looks like 50ms")?;
        cluster.loud = name == "loud";
        cluster.run(span);
        cluster.loud = false;
        return Ok(Vec::new());
    }
    let at = host(cluster, args.next_pos().ok_or("who?")?)?;
    match name {
        "start" => start(cluster, at, args)?,
        "crash" => cluster.crash(at),
        "join" => {
            let mut to = Vec::new();
            while let Some(arg) = args.next_pos() {
                to.push(cluster.hosts[host(cluster, arg)?].addr);
            }
            cluster.join(at, &to);
        }
        "cut" => {
            let other = host(cluster, args.next_pos().ok_or("from whom?")?)?;
            let streams = args.next_pos().is_some();
            for there in [(at, other), (other, at)] {
                cluster.network.cut_datagrams.insert(there);
                if streams {
                    cluster.network.cut_streams.insert(there);
                }
            }
        }
        "hear" => hear(cluster, at, args)?,
        "exchange" => exchange(cluster, at, args)?,
        "leave" => cluster.step(at, Input::Leave),
        "meta" => {
            let meta = args.next_pos().ok_or("which?")?.to_owned();
            cluster.step(at, Input::SetMeta(meta.into()));
        }
        "event" => {
            let name = args.next_pos().ok_or("which?")?.to_owned();
            let time = Default::default();
            let event = UserEvent { time, name, payload: None, coalesce: false };
            cluster.hosts[at].above.queue.push(None, 40, SerfMessage::UserEvent(event));
            cluster.step(at, Input::BroadcastsQueued);
        }
        "refuse" => {
            let whom = args.next_pos().ok_or("whom?")?;
            cluster.hosts[at].above.refused = Some(whom.into());
        }
        "members" => {
            let swim = cluster.swim(at);
            let mut lines: Vec<String> = swim.members().map(describe_node).collect();
            lines.push(format!("health score {}, queued {}", swim.health_score(), swim.queued()));
            return Ok(lines);
        }
        other => return Err(format!("unknown command {other}").into()),
    }
    Ok(Vec::new())
}

fn host(cluster: &Cluster, name: &str) -> Outcome<usize> {
    let found = cluster.hosts.iter().position(|host| host.name.as_str() == name);
    found.ok_or_else(|| format!("no host {name}").into())
}

fn start(cluster: &mut Cluster, at: usize, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
    if let Some(number) = args.take_key("at").map(str::parse).transpose()? {
        cluster.readdress(at, addr_of(number));
    }
    let versions = match args.take_key("versions") {
        Some(arg) => {
            let numbers: Result<Vec<u8>, _> = arg.split(',').map(str::parse).collect();
            numbers?.try_into().map_err(|_| "six numbers")?
        }
        None => VERSIONS,
    };
    let meta = args.take_key("meta").map(str::to_owned).unwrap_or_default();
    cluster.start(at, |config| {
        config.versions = versions;
        config.meta = meta.into();
    });
    Ok(())
}

/// Messages, with `and` between them.
fn hear(cluster: &mut Cluster, at: usize, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
    let elsewhere: Option<usize> = args.take_key("at").map(str::parse).transpose()?;
    let mut words = Vec::new();
    while let Some(arg) = args.next_pos() {
        words.push(arg);
    }
    let mut messages = Vec::new();
    for words in words.split(|word| *word == "and") {
        let [kind, node, rest @ ..] = words else { return Err("kind and node".into()) };
        let number =
            |index: usize| -> Outcome<u32> { Ok(rest.get(index).ok_or("incarnation")?.parse()?) };
        let accusation = || -> Outcome<Accusation> {
            let from = (*rest.get(1).ok_or("accuser")?).into();
            Ok(Accusation { incarnation: Incarnation(number(0)?), node: (*node).into(), from })
        };
        messages.push(match *kind {
            "alive" => {
                let addr = elsewhere.map_or_else(
                    || host(cluster, node).map(|at| cluster.hosts[at].addr),
                    |number| Ok(addr_of(number)),
                )?;
                Message::Alive(Alive {
                    incarnation: Incarnation(number(0)?),
                    node: (*node).into(),
                    addr: addr.ip(),
                    port: 0,
                    meta: (*rest.get(1).unwrap_or(&"")).to_owned().into(),
                    versions: Some(VERSIONS),
                })
            }
            "suspect" => Message::Suspect(accusation()?),
            "dead" => Message::Dead(accusation()?),
            "ping" => {
                let (sequence, source) = (SequenceNumber(number(0)?), Source::default());
                Message::Ping(Ping { sequence, node: (*node).into(), source })
            }
            other => return Err(format!("unknown message {other}").into()),
        });
    }
    cluster.loud = true;
    cluster.step(at, Input::Packet { from: addr_of(240), messages });
    cluster.loud = false;
    Ok(())
}

fn exchange(cluster: &mut Cluster, at: usize, args: &mut ArgumentConsumer<'_>) -> Outcome<()> {
    let mut nodes = Vec::new();
    while let Some((node, rest)) = args.next_key() {
        let (state, incarnation) = rest.split_once('@').ok_or("n2=dead@1")?;
        nodes.push(NodeState {
            node: node.into(),
            addr: cluster.hosts[host(cluster, node)?].addr.ip(),
            port: 0,
            meta: Default::default(),
            incarnation: Incarnation(incarnation.parse()?),
            state: match state {
                "alive" => MemberState::Alive,
                "suspect" => MemberState::Suspect,
                "dead" => MemberState::Dead,
                _ => MemberState::Left,
            },
            versions: Some(VERSIONS),
        });
    }
    cluster.push_pull_from_nobody(at, PushPull { join: false, nodes, user: None });
    Ok(())
}

macro_rules! stories {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/agent/golden/swim/", stringify!($name), ".txt"
            );
            goldenscript::run(&mut Script::default(), path).expect("a readable script");
        }
    )*};
}

stories! {
    conflicting_address,
    dead_node_reclaim,
    delegate_refuses,
    failed_with_confirmations,
    failed_without_confirmations,
    gossip_to_the_dead,
    indirect_probe,
    join,
    leave,
    newest_first,
    probe,
    push_pull_of_a_dead_node,
    refute,
    restart,
    stream_fallback,
    version_mismatch,
    wrong_name,
}
