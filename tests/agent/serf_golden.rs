//! Golden transcripts of Serf alone: one member, n1, with SWIM and the others played by the script, in
//! `golden/serf/`. `UPDATE_GOLDENFILES=1 cargo test --test agent serf_golden` writes them anew; read the
//! difference before it is committed.
//!
//! | command | what it does |
//! |---|---|
//! | `serf [tag=value…]` | starts n1 at 10.0.0.1:8301, known to itself |
//! | `replay [rejoin=1] LINE…` | the same with a snapshot file of these lines; shows what was read |
//! | `joined n2 [tag=value…]`, `gone n2`, `updated n2 tag=value…` | what SWIM says of nX at 10.0.0.X |
//! | `conflict n2 10.0.0.9:8301` | somebody else claims the name |
//! | `intent join n2 5`, `intent leave n2 5 [prune=yes]` | an intent comes |
//! | `event 5 deploy [payload]`, `query 5 77 NAME [payload] [tag=TAG:EXPR] [nodes=a,b] [ack=yes] [quiet=yes] [relay=2]` | comes |
//! | `answer 1 n2 [payload]` | an answer to our query of that time; without a payload an ack |
//! | `state time=… [status=n2:5,…] [left=n3,…] [event-time=…] [events=5:deploy,…] [join=yes]` | a push/pull is merged |
//! | `join 10.0.0.2:8301 [ignore-old=yes]`, `end-join 1 contacted=1` | a join begins; SWIM ends it |
//! | `leave`, `swim-left [unheard=yes]`, `force-leave n2 [prune=yes]` | |
//! | `fire deploy [payload]`, `ask NAME [payload] [tag=…] [nodes=…] [ack=yes] [relay=2] [timeout=1s]`, `respond 5 77 payload` | |
//! | `tags tag=value…` | our own are these now |
//! | `draw [limit=1000]`, `drain` | one transmission of broadcasts; all of them |
//! | `run 5s` | lets time pass, waking when it is due |
//! | `members`, `clocks`, `told` | shows the members, the clocks, what we would tell in a push/pull |

use std::error::Error;
use std::net::SocketAddr;

use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use proconsul::base::{Duration, Instant, NodeName, Prng, RequestId, go_duration};
use proconsul::gossip::pool_io;
use proconsul::gossip::serf::{self, Config, Input, Output, Previous, Question, Serf};
use proconsul::gossip::swim::{Delegate, Node};
use proconsul::gossip::{
    Coordinate, EventSlot, Incarnation, JoinReport, LamportTime, MemberState, Query, QueryFilter,
    QueryKey, QueryResponse, SerfMessage, SerfState, SnapshotWrite, Tags, UserEvent,
};

use crate::gossip_codec::{CODEC, OneDatacenter, decode_tags};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Script {
    serf: Option<Serf>,
    now: Instant,
    lines: Vec<String>,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        match command.name.as_str() {
            "serf" => self.start(tags(&mut args)?, Previous::default()),
            "replay" => {
                let rejoin = number(&mut args, "rejoin", 0)? > 0;
                let lines: Vec<String> = std::iter::from_fn(|| args.next_pos())
                    .map(|line| format!("{line}\n"))
                    .collect();
                let previous = serf::parse(&lines.concat(), rejoin);
                self.start(Tags::default(), previous);
            }
            "run" => {
                let span = go_duration::parse_span(&word(&mut args)?).ok_or("a span of time")?;
                self.pass(span);
            }
            "members" | "clocks" | "told" => self.show(&command.name)?,
            "draw" => {
                let limit = number(&mut args, "limit", 1000)? as usize;
                self.draw(limit)?;
            }
            "drain" => {
                while self.serf()?.has_broadcasts() {
                    self.draw(100_000)?;
                }
            }
            name => {
                let input = input(name, &mut args)?;
                self.step(input)?;
            }
        }
        args.reject_next()?;
        Ok(std::mem::take(&mut self.lines).join("\n"))
    }
}

impl Script {
    fn serf(&mut self) -> Outcome<&mut Serf> {
        Ok(self.serf.as_mut().ok_or("begin with: serf")?)
    }

    fn start(&mut self, tags: Tags, previous: Previous) {
        let config = Config::consul_lan(NodeName::from("n1"), addr_of("n1"), tags);
        self.now = Instant::ZERO;
        let mut out = Vec::new();
        let prng = Prng::new(7);
        let admission = Box::new(OneDatacenter);
        let serf = Serf::new(config, CODEC, admission, previous, &prng, self.now, &mut out);
        self.serf = Some(serf);
        self.lines.extend(out.iter().filter_map(describe));
        let own = Input::NodeJoined(node("n1", Tags::default()));
        self.step(own).expect("it has started");
    }

    fn step(&mut self, input: Input) -> Outcome<()> {
        let now = self.now;
        let mut out = Vec::new();
        let serf = self.serf()?;
        serf.step(now, input, &mut out);
        serf.check_invariants();
        self.lines.extend(out.iter().filter_map(describe));
        Ok(())
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let due = self.serf.as_ref().and_then(Serf::deadline).filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.now = self.now.max(due);
            let before = self.lines.len();
            self.step(Input::Wake).expect("it has started");
            let now = self.now;
            self.lines[before..].iter_mut().for_each(|line| *line = format!("{now:?} {line}"));
        }
        self.now = end;
    }

    fn draw(&mut self, limit: usize) -> Outcome<()> {
        let drawn = self.serf()?.broadcasts(3, limit);
        self.lines.extend(drawn.iter().map(|message| format!("gossip {}", said(message))));
        let now = self.now;
        if self.serf()?.is_due(now) {
            self.step(Input::Wake)?;
        }
        Ok(())
    }

    fn show(&mut self, what: &str) -> Outcome<()> {
        let serf = self.serf()?;
        let lines: Vec<String> = match what {
            "members" => serf
                .members()
                .map(|view| {
                    let time = serf.status_time(&view.name).unwrap_or_default();
                    let tags: Vec<String> = view
                        .tags
                        .0
                        .iter()
                        .map(|(name, value)| format!(" {name}={value}"))
                        .collect();
                    let (name, status) = (&view.name, view.status.as_str());
                    format!("{name} {} {status} at {time}{}", view.addr, tags.concat())
                })
                .collect(),
            "clocks" => {
                let clocks = serf.clocks();
                let (member, event, query) = (clocks.member, clocks.event, clocks.query);
                vec![format!("member {member} event {event} query {query}")]
            }
            _ => vec![format!("{:?}", serf.local_state(false))],
        };
        self.lines.extend(lines);
        Ok(())
    }
}

fn word(args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
    Ok(args.next_pos().ok_or("a word is missing")?.to_owned())
}

fn name(args: &mut ArgumentConsumer<'_>) -> Outcome<NodeName> {
    Ok(NodeName::from(word(args)?))
}

fn time(args: &mut ArgumentConsumer<'_>) -> Outcome<LamportTime> {
    Ok(LamportTime(word(args)?.parse()?))
}

fn number(args: &mut ArgumentConsumer<'_>, key: &str, default: u64) -> Outcome<u64> {
    Ok(args.take_key(key).map(str::parse).transpose()?.unwrap_or(default))
}

/// `prune=yes`: the value does not matter.
fn flag(args: &mut ArgumentConsumer<'_>, flag: &str) -> bool {
    args.take_key(flag).is_some()
}

fn tags(args: &mut ArgumentConsumer<'_>) -> Outcome<Tags> {
    let pairs = std::iter::from_fn(|| args.next_key());
    Ok(Tags(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

fn addr_of(name: &str) -> SocketAddr {
    let last: u8 = name.trim_start_matches('n').parse().unwrap_or(99);
    SocketAddr::from(([10, 0, 0, last], 8301))
}

fn node(name: &str, tags: Tags) -> Node {
    Node {
        name: NodeName::from(name),
        addr: addr_of(name),
        meta: (CODEC.encode_tags)(&tags),
        versions: Some([1, 5, 2, 2, 5, 4]),
        incarnation: Incarnation(1),
        state: MemberState::Alive,
        changed: Instant::ZERO,
    }
}

fn payload(args: &mut ArgumentConsumer<'_>) -> Option<Bytes> {
    args.next_pos().map(|text| Bytes::from(text.to_owned()))
}

fn filters(args: &mut ArgumentConsumer<'_>) -> Vec<QueryFilter> {
    let mut filters = Vec::new();
    if let Some(nodes) = args.take_key("nodes") {
        let nodes = nodes.split(',').map(NodeName::from).collect();
        filters.push(QueryFilter::Nodes(nodes));
    }
    if let Some(tag) = args.take_key("tag") {
        let (tag, expression) = tag.split_once(':').unwrap_or((tag, ""));
        let (tag, expression) = (tag.to_owned(), expression.to_owned());
        filters.push(QueryFilter::Tag { tag, expression });
    }
    filters
}

fn input(name_of_command: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<Input> {
    Ok(match name_of_command {
        "joined" => Input::NodeJoined(node(&word(args)?, tags(args)?)),
        "gone" => Input::NodeLeft(node(&word(args)?, Tags::default())),
        "updated" => Input::NodeUpdated(node(&word(args)?, tags(args)?)),
        "conflict" => {
            let existing = node(&word(args)?, Tags::default());
            Input::NodeConflict { existing, other: word(args)?.parse()? }
        }
        "join" => {
            let ignore_old = flag(args, "ignore-old");
            let addresses = vec![word(args)?.parse()?];
            Input::Join { request: RequestId(100), addresses, ignore_old }
        }
        "end-join" => {
            let contacted = number(args, "contacted", 0)? as usize;
            let errors = if contacted == 0 { vec!["refused".to_owned()] } else { Vec::new() };
            let token = RequestId(word(args)?.parse()?);
            Input::Joined { token, report: JoinReport { contacted, errors } }
        }
        "leave" => Input::Leave,
        "swim-left" => Input::SwimLeft { heard: !flag(args, "unheard") },
        "force-leave" => {
            let prune = flag(args, "prune");
            Input::ForceLeave { request: RequestId(200), node: name(args)?, prune }
        }
        "fire" => Input::UserEvent {
            request: RequestId(300),
            name: word(args)?,
            payload: payload(args).unwrap_or_default(),
            coalesce: true,
        },
        "ask" => {
            let timeout = args.take_key("timeout").and_then(go_duration::parse_span);
            let (acks, filters) = (flag(args, "ack"), filters(args));
            let relay_factor = number(args, "relay", 0)? as u8;
            let (name, payload) = (word(args)?, payload(args).unwrap_or_default());
            let request = RequestId(400);
            Input::Query(Question { request, name, payload, filters, acks, relay_factor, timeout })
        }
        "respond" => {
            let time = time(args)?;
            let query = QueryKey { time, id: word(args)?.parse()? };
            Input::Respond { query, payload: payload(args).unwrap_or_default() }
        }
        "tags" => Input::SetTags(tags(args)?),
        "probed" => {
            let far = Coordinate { height: 0.01, ..Coordinate::default() };
            let payload = Some((CODEC.encode_coordinate)(&far));
            Input::Probed { node: name(args)?, round_trip: Duration::from_millis(20), payload }
        }
        "state" => state(args)?,
        _ => Input::Message(message(name_of_command, args)?),
    })
}

fn message(command: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<SerfMessage> {
    Ok(match command {
        "intent" => {
            let (prune, leaves) = (flag(args, "prune"), word(args)? == "leave");
            let (node, time) = (name(args)?, time(args)?);
            if leaves {
                SerfMessage::Leave { time, node, prune }
            } else {
                SerfMessage::Join { time, node }
            }
        }
        "event" => {
            let (time, name) = (time(args)?, word(args)?);
            let payload = payload(args);
            SerfMessage::UserEvent(UserEvent { time, name, payload, coalesce: false })
        }
        "query" => {
            let (quiet, ack) = (flag(args, "quiet"), flag(args, "ack"));
            let filters = filters(args);
            let relay_factor = number(args, "relay", 0)? as u8;
            let time = time(args)?;
            SerfMessage::Query(Query {
                time,
                id: word(args)?.parse()?,
                addr: addr_of("n2").ip(),
                port: 8301,
                source_node: Some(NodeName::from("n2")),
                filters: (!filters.is_empty()).then_some(filters),
                flags: u32::from(ack) + 2 * u32::from(quiet),
                relay_factor,
                timeout_ns: 5_000_000_000,
                name: word(args)?,
                payload: payload(args),
            })
        }
        "answer" => {
            let time = time(args)?;
            let id = number(args, "id", 0)? as u32;
            let (from, payload) = (name(args)?, payload(args));
            let flags = u32::from(payload.is_none());
            SerfMessage::QueryResponse(QueryResponse { time, id, from, flags, payload })
        }
        _ => return Err(format!("no command {command}").into()),
    })
}

fn state(args: &mut ArgumentConsumer<'_>) -> Outcome<Input> {
    let join = flag(args, "join");
    let list = |args: &mut ArgumentConsumer<'_>, key: &str| -> Vec<(String, String)> {
        let value = args.take_key(key).unwrap_or_default();
        let items = value.split(',').filter(|item| !item.is_empty());
        items
            .map(|item| item.split_once(':').unwrap_or((item, "")))
            .map(|(left, right)| (left.to_owned(), right.to_owned()))
            .collect()
    };
    let mut state = SerfState {
        time: LamportTime(number(args, "time", 1)?),
        event_time: LamportTime(number(args, "event-time", 1)?),
        query_time: LamportTime(number(args, "query-time", 1)?),
        event_slots: 512,
        ..SerfState::default()
    };
    for (name, time) in list(args, "status") {
        state.status_times.push((NodeName::from(name), LamportTime(time.parse()?)));
    }
    for (name, _) in list(args, "left") {
        state.left_members.push(NodeName::from(name));
    }
    for (time, name) in list(args, "events") {
        let time = LamportTime(time.parse()?);
        let slot = (time.0 % 512) as usize;
        state.events.push(EventSlot { slot, time, events: vec![(name, None)] });
    }
    Ok(Input::State { state, join })
}

/// What Serf does, in a line.
fn describe(output: &Output) -> Option<String> {
    Some(match output {
        Output::Out(output) => return describe_out(output),
        Output::Send { to, message } => format!("send {to} {}", said(message)),
        Output::Join { token, addresses } => format!("swim join {token} {addresses:?}"),
        Output::SetMeta(meta) => format!("swim meta {:?}", decode_tags(meta).0),
        Output::Leave => "swim leave".to_owned(),
    })
}

fn describe_out(output: &pool_io::Output) -> Option<String> {
    use pool_io::Output as Out;
    let text = |payload: &Bytes| String::from_utf8_lossy(payload).into_owned();
    Some(match output {
        Out::Joined { request, report } => {
            format!("done {request} contacted {} {:?}", report.contacted, report.errors)
        }
        Out::Left => "left".to_owned(),
        Out::Done { request, result } => format!("done {request} {result:?}"),
        // The fact beside it says the same.
        Out::Member(_) => return None,
        Out::UserEvent(event) => {
            let payload = event.payload.as_ref().map(text).unwrap_or_default();
            format!("user event {} {} {payload:?}", event.time, event.name)
        }
        Out::Query { query, from, name, payload } => {
            let (from, payload) = (from.as_ref().map(NodeName::as_str), text(payload));
            format!("query {} {} {name} {payload:?} from {from:?}", query.time, query.id)
        }
        Out::QueryAnswer { request, from, payload } => match payload {
            Some(payload) => format!("answer to {request} from {from}: {:?}", text(payload)),
            None => format!("ack to {request} from {from}"),
        },
        Out::Snapshot(SnapshotWrite::Append { lines, sync }) => {
            format!("snapshot {lines:?}{}", if *sync { " synced" } else { "" })
        }
        Out::Snapshot(SnapshotWrite::Replace(text)) => format!("snapshot is now {text:?}"),
        Out::Event(event) => match (serf::log_line(event), event) {
            (Some((_, line)), _) => format!("log {line}"),
            (None, proconsul::gossip::Event::Warning { text, .. }) => format!("warn {text}"),
            (None, proconsul::gossip::Event::Information { text, .. }) => format!("log {text}"),
            (None, other) => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    })
}

fn said(message: &SerfMessage) -> String {
    match message {
        SerfMessage::Leave { time, node, prune } => {
            format!("leave {node} {time}{}", if *prune { " prune" } else { "" })
        }
        SerfMessage::Join { time, node } => format!("join {node} {time}"),
        SerfMessage::UserEvent(event) => format!("event {} {}", event.name, event.time),
        SerfMessage::Query(query) => {
            let (id, flags, relay) = (query.id, query.flags, query.relay_factor);
            let span = go_duration::format(Duration::from_nanos(query.timeout_ns.unsigned_abs()));
            format!(
                "query {} {} id {id} flags {flags} relay {relay} for {span}",
                query.name, query.time
            )
        }
        SerfMessage::QueryResponse(answer) => {
            let QueryResponse { time, flags, payload, .. } = answer;
            format!("response {time} flags {flags} {payload:?}")
        }
        SerfMessage::Relay(relay) => {
            format!("relay to {} {:?}: {}", relay.to, relay.to_node, said(&relay.message))
        }
    }
}

macro_rules! stories {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                let path = concat!(
                    env!("CARGO_MANIFEST_DIR"), "/tests/agent/golden/serf/", stringify!($name), ".txt"
                );
                goldenscript::run(&mut Script::default(), path).expect("a readable script");
            }
        )+
    };
}

stories! {
    clean_leave events exchange forced intents join leaving prune queries reap replay snapshot
    someone_else tags_and_probes
}
