//! Sessions of many streams: what is promised of both ends, whatever the other sends.
//!
//! * No panic; what it takes for the same bytes does not depend on how they are cut.
//! * Streams within the limit, and an answer in proportion to what came.
//! * What goes out is frames, whatever is done with the streams meanwhile.

use std::collections::BTreeMap;

use proconsul::wire::yamux::{Event, HEADER_BYTES, Header, Kind, Session, Violation, flag};

use super::Target;
use super::targets::way;

pub const ALL: &[Target] = &[
    Target { name: "yamux_header", run: header, corpus: headers },
    Target { name: "yamux_serving", run: serving, corpus: sessions },
    Target { name: "yamux_calling", run: calling, corpus: sessions },
];

/// So many streams may be open.
const STREAMS: usize = 3;

fn frame(kind: Kind, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    Header { kind, flags, stream, length }.encode().to_vec()
}

fn headers() -> Vec<Vec<u8>> {
    vec![
        frame(Kind::Data, 0, 1, 5),
        frame(Kind::WindowUpdate, flag::SYN | flag::FIN, 3, 1 << 18),
        frame(Kind::Ping, flag::ACK, 0, 7),
        frame(Kind::GoAway, 0, 0, 2),
    ]
}

fn sessions() -> Vec<Vec<u8>> {
    let data = |flags, stream, text: &str| {
        [frame(Kind::Data, flags, stream, text.len() as u32), text.into()].concat()
    };
    let one = [
        frame(Kind::WindowUpdate, flag::SYN, 1, 0),
        data(0, 1, "ask"),
        frame(Kind::Ping, flag::SYN, 0, 9),
        data(flag::SYN, 3, "quick"),
        frame(Kind::WindowUpdate, 0, 1, 1 << 17),
        data(flag::FIN, 3, "end"),
        frame(Kind::WindowUpdate, flag::RST, 1, 0),
        frame(Kind::GoAway, 0, 0, 0),
    ];
    // What a called server answers on streams that are open.
    let answers = [
        frame(Kind::WindowUpdate, flag::ACK, 1, 0),
        data(flag::ACK, 3, "answer"),
        data(flag::FIN, 1, "answer"),
        frame(Kind::WindowUpdate, flag::RST, 3, 0),
        frame(Kind::Ping, flag::ACK, 0, 1),
    ];
    let crowd: Vec<u8> =
        (0..6).flat_map(|n| frame(Kind::WindowUpdate, flag::SYN, 2 * n + 1, 0)).collect();
    vec![one.concat(), answers.concat(), crowd, frame(Kind::Ping, flag::SYN, 0, 1).repeat(40)]
}

fn header(bytes: &[u8]) -> String {
    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else { return "short".to_owned() };
    match Header::decode(*head) {
        Err(error) => way(&error),
        Ok(header) => {
            assert_eq!(header.encode(), *head);
            format!("{:?}", header.kind)
        }
    }
}

/// What a session told, however its bytes were cut.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    events: Vec<String>,
    data: BTreeMap<(u32, usize), Vec<u8>>,
    violation: Option<Violation>,
}

/// Lets the session take it in pieces. It answers every stream that the peer ends.
fn told(session: &mut Session, bytes: &[u8], piece: usize) -> Told {
    let mut told = Told::default();
    let mut opened: BTreeMap<u32, usize> = BTreeMap::new();
    for mut input in bytes.chunks(piece) {
        while told.violation.is_none() {
            match session.next(&mut input) {
                Ok(None) => {
                    assert!(input.is_empty());
                    break;
                }
                Ok(Some(Event::Data(id, data))) => {
                    assert!(!data.is_empty());
                    let life = opened.get(&id).copied().unwrap_or_default();
                    told.data.entry((id, life)).or_default().extend_from_slice(data);
                }
                Ok(Some(event)) => {
                    told.events.push(format!("{event:?}"));
                    match event {
                        Event::Opened(id) => *opened.entry(id).or_default() += 1,
                        Event::Finished(id) => {
                            session.send(id, b"answer");
                            session.finish(id);
                        }
                        _ => {}
                    }
                }
                Err(violation) => told.violation = Some(violation),
            }
        }
    }
    told
}

fn check(new: impl Fn() -> Session, most: usize, bytes: &[u8]) -> String {
    let mut session = new();
    let at_once = told(&mut session, bytes, bytes.len().max(1));
    assert!(session.open_streams() <= most);
    let mut out = Vec::new();
    loop {
        let more = session.outgoing().to_vec();
        if more.is_empty() {
            break;
        }
        session.wrote(more.len());
        out.extend(more);
    }
    // A frame of twelve bytes is answered with a few of them, and may end a stream.
    assert!(out.len() <= 8 * bytes.len() + 1_000, "{} for {}", out.len(), bytes.len());
    let mut rest = out.as_slice();
    while let Some((head, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let header = Header::decode(*head).expect("ours");
        let body = if header.kind == Kind::Data { header.length as usize } else { 0 };
        rest = &behind[body..];
    }
    assert!(rest.is_empty());
    for piece in [1, 7, 13] {
        assert_eq!(told(&mut new(), bytes, piece), at_once, "in pieces of {piece}");
    }
    match at_once.violation {
        Some(violation) => way(&violation),
        None => format!("{} events, {} of data", at_once.events.len(), at_once.data.len()),
    }
}

fn serving(bytes: &[u8]) -> String {
    check(|| Session::serving(STREAMS), STREAMS, bytes)
}

fn calling(bytes: &[u8]) -> String {
    let new = || {
        let mut session = Session::calling(&[]);
        for _ in 0..STREAMS {
            let id = session.open().expect("a number");
            session.send(id, b"request");
        }
        session
    };
    check(new, STREAMS, bytes)
}
