//! Many streams on one connection to a real server (first byte 4), as another server would call.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use proconsul::agent::{ReadMode, ReadOptions};
use proconsul::agent::{Reply, Request};
use proconsul::base;
use proconsul::state::{Command, KvCommand, Query};
use proconsul::wire::rpc::{self, Return};
use proconsul::wire::yamux::{Event, Session, StreamId};

use crate::real_process::{Agent, Setup, connect, free_port, get, loopback, put};

fn dev() -> (Agent, SocketAddr) {
    let setup = Setup::new(1, free_port(), "", &["-dev"]);
    let server = SocketAddr::new(loopback(1), setup.server);
    (setup.serve(), server)
}

/// What came back.
#[derive(Debug)]
enum Came {
    Answer(StreamId, Box<Return>),
    Reset(StreamId),
    /// The session is over, and whether it was said why.
    End {
        told: bool,
    },
}

/// A client by hand.
struct Client {
    stream: TcpStream,
    session: Session,
    came: Vec<(StreamId, Vec<u8>)>,
    told: bool,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let stream = connect(server).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        Self { stream, session: Session::calling(&[4]), came: Vec::new(), told: false }
    }

    fn ask(&mut self, stream: Option<StreamId>, seq: u64, request: &Request) -> StreamId {
        let mut bytes = Vec::new();
        rpc::encode_request(seq, request, "dc1", &mut bytes).expect("it can be forwarded");
        self.send(stream, &bytes)
    }

    fn send(&mut self, stream: Option<StreamId>, bytes: &[u8]) -> StreamId {
        let id = stream.or_else(|| self.session.open()).expect("a stream");
        self.session.send(id, bytes);
        self.flush();
        id
    }

    fn flush(&mut self) {
        loop {
            let bytes = self.session.outgoing();
            if bytes.is_empty() {
                return;
            }
            self.stream.write_all(bytes).expect("it reads");
            let count = bytes.len();
            self.session.wrote(count);
        }
    }

    /// Reads until something is whole.
    fn next(&mut self) -> Came {
        let mut chunk = vec![0; 1 << 16];
        loop {
            for at in 0..self.came.len() {
                let (id, bytes) = &mut self.came[at];
                if let Some((answer, used)) = rpc::decode_response(bytes).expect("an answer") {
                    bytes.drain(..used);
                    return Came::Answer(*id, Box::new(answer));
                }
            }
            let count = self.stream.read(&mut chunk).expect("it is not silent");
            if count == 0 {
                return Came::End { told: self.told };
            }
            let mut input = &chunk[..count];
            while let Some(event) = self.session.next(&mut input).expect("yamux") {
                match event {
                    Event::Data(id, data) => match self.came.iter_mut().find(|it| it.0 == id) {
                        Some((_, bytes)) => bytes.extend_from_slice(data),
                        None => self.came.push((id, data.to_vec())),
                    },
                    Event::Reset(id) => return Came::Reset(id),
                    Event::GoAway(1) => self.told = true,
                    other => panic!("{other:?}"),
                }
            }
            self.flush();
        }
    }

    fn answer(&mut self, from: StreamId, seq: u64) -> Reply {
        match self.next() {
            Came::Answer(id, answer) if (id, answer.seq) == (from, seq) => {
                answer.result.expect("a reply")
            }
            other => panic!("not the answer {seq} on stream {from}: {other:?}"),
        }
    }
}

fn read(key: &str, min_index: u64) -> Request {
    Request::Read {
        query: Query::KvGet { key: key.to_owned() },
        options: ReadOptions {
            mode: ReadMode::Default,
            min_index,
            max_wait: base::Duration::from_secs(60),
        },
    }
}

fn index_of(reply: &Reply) -> u64 {
    match reply {
        Reply::Read { answer, .. } => answer.index,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_blocking_query_on_one_stream_delays_no_other() {
    let (agent, server) = dev();
    assert!(put(agent.at, "a", "1"));
    let mut client = Client::new(server);
    let first = client.ask(None, 0, &read("a", 0));
    let index = index_of(&client.answer(first, 0));
    // The same stream, which now waits; and another, which is answered before it.
    client.ask(Some(first), 1, &read("a", index));
    let other = client.ask(None, 0, &Request::StatusLeader);
    assert!(matches!(client.answer(other, 0), Reply::Leader(Some(_))));
    let change = KvCommand::Set { key: "a".to_owned(), value: b"2"[..].into(), flags: 0 };
    client.ask(Some(other), 1, &Request::Write(Command::Kv(change)));
    // Both are answered, in whichever order they are done.
    let mut answered = Vec::new();
    for _ in 0..2 {
        match client.next() {
            Came::Answer(id, answer) => {
                if id == first {
                    assert!(index_of(&answer.result.expect("a reply")) > index);
                }
                answered.push(id);
            }
            other => panic!("{other:?}"),
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [first, other]);
    assert_eq!(get(agent.at, "a", "").as_deref(), Some("2"));
}

#[test]
fn large_values_pass_the_window_in_both_directions() {
    let (_agent, server) = dev();
    let mut client = Client::new(server);
    let value = vec![b'x'; 500_000];
    let mut streams = Vec::new();
    for key in ["big/1", "big/2", "big/3"] {
        let set = KvCommand::Set { key: key.to_owned(), value: value.clone().into(), flags: 0 };
        streams.push(client.ask(None, 0, &Request::Write(Command::Kv(set))));
        // The peer grants what it has read.
        match client.next() {
            Came::Answer(id, answer) => {
                assert_eq!(Some(&id), streams.last());
                answer.result.expect("a reply");
            }
            other => panic!("{other:?}"),
        }
    }
    let list = Request::Read {
        query: Query::KvList { prefix: "big/".to_owned() },
        options: ReadOptions {
            mode: ReadMode::Default,
            min_index: 0,
            max_wait: base::Duration::from_secs(0),
        },
    };
    client.ask(Some(streams[0]), 1, &list);
    match client.answer(streams[0], 1) {
        Reply::Read { answer, .. } => match answer.rows {
            proconsul::state::Rows::Entries(entries) => {
                assert_eq!(entries.len(), 3);
                assert!(entries.iter().all(|entry| entry.value == value));
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_of_garbage_is_reset_and_garbage_between_streams_ends_the_session() {
    let (mut agent, server) = dev();
    let mut client = Client::new(server);
    let waits = client.ask(None, 0, &read("a", 1 << 40));
    let garbage = client.send(None, &[0xc1, 0xff, 0xc1]);
    assert!(matches!(client.next(), Came::Reset(id) if id == garbage));
    let other = client.ask(None, 0, &Request::StatusPeers);
    assert!(matches!(client.answer(other, 0), Reply::Peers(_)), "and {waits} still waits");
    client.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it reads");
    assert!(matches!(client.next(), Came::End { told: true }));
    assert!(put(agent.at, "a", "served"));
    assert!(agent.is_running());
    let log = agent.log();
    assert!(log.contains("bad RPC connection"), "{log}");
    assert!(log.contains("multiplex_v2 conn error"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}
