//! Two sessions against each other, and against frames that nobody should send.

use std::collections::BTreeMap;

use super::{Event, HEADER_BYTES, Header, Kind, Session, StreamId, Violation, WINDOW_BYTES, flag};
use crate::base::Prng;

/// An event that owns what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Opened(StreamId),
    Data(StreamId, Vec<u8>),
    Finished(StreamId),
    Reset(StreamId),
    GoAway(u32),
}

fn take(session: &mut Session, mut input: &[u8]) -> Result<Vec<Told>, Violation> {
    let mut told = Vec::new();
    while let Some(event) = session.next(&mut input)? {
        told.push(match event {
            Event::Opened(id) => Told::Opened(id),
            Event::Data(id, bytes) => Told::Data(id, bytes.to_vec()),
            Event::Finished(id) => Told::Finished(id),
            Event::Reset(id) => Told::Reset(id),
            Event::GoAway(code) => Told::GoAway(code),
        });
    }
    assert!(input.is_empty());
    Ok(told)
}

/// All that there is to write now.
fn written(session: &mut Session) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let bytes = session.outgoing().to_vec();
        if bytes.is_empty() {
            return all;
        }
        session.wrote(bytes.len());
        all.extend(bytes);
    }
}

fn frame(kind: Kind, flags: u16, stream: StreamId, length: u32) -> Vec<u8> {
    Header { kind, flags, stream, length }.encode().to_vec()
}

fn frames(mut bytes: &[u8]) -> Vec<Header> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() {
        let header = Header::decode(*head).expect("ours");
        let body = if header.kind == Kind::Data { header.length as usize } else { 0 };
        bytes = &rest[body..];
        all.push(header);
    }
    assert!(bytes.is_empty());
    all
}

fn serving() -> Session {
    Session::serving(4)
}

#[test]
fn a_stream_opens_carries_bytes_and_ends_as_hashicorp_writes_it() {
    let (mut caller, mut server) = (Session::calling(&[4]), serving());
    let id = caller.open().expect("a number");
    caller.send(id, b"ask");
    let bytes = written(&mut caller);
    let expected = [
        &[4][..],
        &[0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3],
        b"ask",
    ];
    assert_eq!(bytes, expected.concat());
    let told = take(&mut server, &bytes[1..]).expect("ours");
    assert_eq!(told, [Told::Opened(1), Told::Data(1, b"ask".to_vec())]);
    server.send(1, b"answer");
    server.finish(1);
    let answer = written(&mut server);
    let kinds: Vec<_> = frames(&answer).iter().map(|it| (it.kind, it.flags, it.length)).collect();
    let grant = (Kind::WindowUpdate, flag::ACK, 0);
    assert_eq!(kinds, [grant, (Kind::Data, 0, 6), (Kind::WindowUpdate, flag::FIN, 0)]);
    let told = take(&mut caller, &answer).expect("ours");
    assert_eq!(told, [Told::Data(1, b"answer".to_vec()), Told::Finished(1)]);
    caller.finish(1);
    assert_eq!(take(&mut server, &written(&mut caller)), Ok(vec![Told::Finished(1)]));
    assert_eq!((caller.open_streams(), server.open_streams()), (0, 0));
}

#[test]
fn a_stream_that_is_not_read_delays_no_other() {
    let (mut caller, mut server) = (Session::calling(&[]), serving());
    let (one, other) = (caller.open().expect("one"), caller.open().expect("two"));
    caller.send(one, &vec![1; 3 * WINDOW_BYTES as usize]);
    caller.send(other, b"quick");
    // The peer does not grant more: its frames do not come here.
    let bytes = written(&mut caller);
    let of = |wanted: StreamId| -> u32 {
        let of_it = |it: &&Header| it.kind == Kind::Data && it.stream == wanted;
        frames(&bytes).iter().filter(of_it).map(|it| it.length).sum()
    };
    assert_eq!((of(one), of(other)), (WINDOW_BYTES, 5));
    // And the quick one did not wait for all that the other may send.
    let place = frames(&bytes).iter().position(|it| it.stream == other && it.kind == Kind::Data);
    assert_eq!(place, Some(3), "two that open, one of the first stream, then it");
    assert_eq!(caller.blocked_at(one), Some(u64::from(WINDOW_BYTES)));
    assert_eq!(caller.blocked_at(other), None);
    // What it reads, it grants again.
    take(&mut server, &bytes).expect("ours");
    let granted: u32 = frames(&written(&mut server))
        .iter()
        .filter(|it| it.stream == one)
        .map(|it| it.length)
        .sum();
    assert_eq!(granted, WINDOW_BYTES);
}

#[test]
fn what_has_left_is_known_to_the_byte() {
    let mut caller = Session::calling(&[4]);
    let id = caller.open().expect("a number");
    caller.send(id, b"ask");
    assert!(!caller.has_left(id));
    let all = caller.outgoing().len();
    assert_eq!(all, 1 + 12 + 12 + 3);
    caller.wrote(all - 3);
    assert!(!caller.has_left(id), "announcement, opening and header say nothing");
    caller.wrote(1);
    assert!(caller.has_left(id));
    caller.wrote(2);
    caller.send(id, b"next");
    assert!(!caller.has_left(id), "it is asked of what was last sent");
}

#[test]
fn pings_are_answered_and_streams_beyond_the_limit_refused() {
    let mut server = Session::serving(1);
    let input = [
        frame(Kind::Ping, flag::SYN, 0, 77),
        frame(Kind::WindowUpdate, flag::SYN, 1, 0),
        frame(Kind::Data, flag::SYN, 3, 2),
        b"no".to_vec(),
        frame(Kind::Data, 0, 3, 4),
        b"more".to_vec(),
        frame(Kind::Data, flag::FIN, 1, 3),
        b"yes".to_vec(),
        frame(Kind::GoAway, 0, 0, 0),
    ];
    let expected =
        [Told::Opened(1), Told::Data(1, b"yes".to_vec()), Told::Finished(1), Told::GoAway(0)];
    assert_eq!(take(&mut server, &input.concat()), Ok(expected.to_vec()));
    let answers: Vec<_> =
        frames(&written(&mut server)).iter().map(|it| (it.flags, it.stream, it.length)).collect();
    assert_eq!(answers, [(flag::ACK, 0, 77), (flag::ACK, 1, 0), (flag::RST, 3, 0)]);
    // The first is ended, so there is room again.
    server.finish(1);
    let told = take(&mut server, &frame(Kind::Data, flag::SYN | flag::FIN, 5, 0));
    assert_eq!(told, Ok(vec![Told::Opened(5), Told::Finished(5)]));
}

#[test]
fn a_reset_ends_both_directions_and_what_is_under_way_is_skipped() {
    let mut server = serving();
    take(&mut server, &frame(Kind::WindowUpdate, flag::SYN, 1, 0)).expect("it opens");
    server.send(1, &[0; 100]);
    assert_eq!(
        take(&mut server, &frame(Kind::WindowUpdate, flag::RST, 1, 0)),
        Ok(vec![Told::Reset(1)])
    );
    assert_eq!((server.waiting(), server.open_streams()), (0, 0));
    take(&mut server, &frame(Kind::WindowUpdate, flag::SYN, 3, 0)).expect("it opens");
    server.reset(3);
    let late = [frame(Kind::Data, 0, 3, 200), vec![9; 200], frame(Kind::Ping, flag::SYN, 0, 1)];
    assert_eq!(take(&mut server, &late.concat()), Ok(Vec::new()));
    let last = frames(&written(&mut server)).last().copied().expect("it is answered");
    assert_eq!((last.kind, last.flags), (Kind::Ping, flag::ACK));
}

#[test]
fn who_breaks_the_rules_is_told_and_heard_no_more() {
    let open = frame(Kind::WindowUpdate, flag::SYN, 1, 0);
    let http = b"GET / HTTP/1.1\r\n".to_vec();
    let after = |second: Vec<u8>| [open.clone(), second].concat();
    let fin = frame(Kind::WindowUpdate, flag::FIN, 1, 0);
    let cases = [
        (http, Violation::Version(b'G')),
        (vec![0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Violation::Kind(4)),
        (after(open.clone()), Violation::OpenedTwice(1)),
        (frame(Kind::Data, flag::SYN, 2, 0), Violation::NotTheirs(2)),
        (frame(Kind::Data, flag::SYN, 0, 0), Violation::NotTheirs(0)),
        (after(frame(Kind::Data, 0, 1, WINDOW_BYTES + 1)), Violation::MoreThanGranted(1)),
        (after(frame(Kind::WindowUpdate, 0, 1, u32::MAX)), Violation::GrantedTooMuch(1)),
        (after([fin, frame(Kind::Data, 0, 1, 1)].concat()), Violation::AfterEnd(1)),
        (frame(Kind::Ping, flag::SYN, 0, 1).repeat(100_000), Violation::DoesNotRead),
    ];
    for (input, violation) in cases {
        let mut server = serving();
        assert_eq!(take(&mut server, &input), Err(violation));
        let last = frames(&written(&mut server)).last().copied().expect("it is told");
        assert_eq!((last.kind, last.length), (Kind::GoAway, 1));
    }
}

/// One end and what came of each stream on it.
struct End {
    session: Session,
    came: BTreeMap<StreamId, Vec<u8>>,
    /// Bytes under way from here.
    wire: Vec<u8>,
}

#[test]
fn every_byte_of_every_stream_arrives_once_and_in_order_however_bytes_are_cut() {
    for seed in 0..12 {
        let mut random = Prng::new(seed).fork("yamux");
        let end = |session| End { session, came: BTreeMap::new(), wire: Vec::new() };
        let mut ends = [end(Session::calling(&[])), end(Session::serving(8))];
        let mut sent = [BTreeMap::new(), BTreeMap::<StreamId, Vec<u8>>::new()];
        let ids: Vec<StreamId> = (0..8).filter_map(|_| ends[0].session.open()).collect();
        let mut rounds = 0;
        loop {
            let from = random.below(2) as usize;
            let id = ids[random.below(8) as usize];
            let is_known = from == 0 || ends[1].came.contains_key(&id);
            if rounds < 200 && is_known {
                let byte = random.below(256) as u8;
                let bytes = vec![byte; random.below(100_000) as usize];
                ends[from].session.send(id, &bytes);
                sent[from].entry(id).or_default().extend(bytes);
            }
            rounds += 1;
            let most = if rounds < 200 { random.below(60_000) as usize } else { usize::MAX };
            let quiet = (0..2).all(|from| !carry(&mut ends, from, most));
            if rounds > 200 && quiet {
                break;
            }
        }
        for from in 0..2 {
            sent[from].retain(|_, bytes| !bytes.is_empty());
            ends[1 - from].came.retain(|_, bytes| !bytes.is_empty());
            assert!(sent[from] == ends[1 - from].came, "seed {seed} from {from}");
            assert_eq!(ends[from].session.waiting(), 0);
        }
    }
}

/// Moves up to so many bytes from one end to the other; whether there were any.
fn carry(ends: &mut [End; 2], from: usize, most: usize) -> bool {
    let sender = &mut ends[from];
    let bytes = sender.session.outgoing();
    let taken = bytes.len().min(most);
    sender.wire.extend_from_slice(&bytes[..taken]);
    sender.session.wrote(taken);
    let arrived: Vec<u8> = sender.wire.drain(..sender.wire.len().min(most / 2 + 1)).collect();
    let receiver = &mut ends[1 - from];
    for told in take(&mut receiver.session, &arrived).expect("both are ours") {
        match told {
            Told::Opened(id) => drop(receiver.came.insert(id, Vec::new())),
            Told::Data(id, bytes) => receiver.came.entry(id).or_default().extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    !arrived.is_empty() || taken > 0
}
