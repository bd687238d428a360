//! Both ends of a session: who may send how much on which stream, and what is to be written next.

use std::collections::{BTreeMap, VecDeque};

use super::Violation;
use super::header::{HEADER_BYTES, Header, Kind, flag};

/// A stream's number on its session.
pub type StreamId = u32;

/// What a sender may have under way on a stream without having been granted more.
pub const WINDOW_BYTES: u32 = 256 * 1024;
/// Data of one stream before it is another's turn.
const TURN_BYTES: usize = 16 * 1024;
/// Data is put into frames while fewer bytes than this wait to be written, so that a small answer
/// does not queue behind all of a large one.
const AHEAD_BYTES: usize = 64 * 1024;
/// Answers to the peer's own frames that it has not read: pongs, refusals, windows. Others read them
/// as they come.
const OWED_BYTES: usize = 1 << 20;
/// A buffer that grew larger than this is given back.
const KEPT_BUFFER: usize = 256 * 1024;
/// The reason of a GoAway that says that the peer broke the protocol.
const PROTOCOL_ERROR: u32 = 1;

/// What the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It opened this stream.
    Opened(StreamId),
    /// The next bytes of a stream.
    Data(StreamId, &'a [u8]),
    /// It sends no more on this stream. It may still read: end the other direction with
    /// [`Session::finish`].
    Finished(StreamId),
    /// The stream is gone in both directions, whatever was under way.
    Reset(StreamId),
    /// It takes no more streams; 0 is a normal end, all else an error.
    GoAway(u32),
}

/// One end of a session.
#[derive(Debug)]
pub struct Session {
    streams: BTreeMap<StreamId, Stream>,
    /// The number of the next stream that this side opens.
    next: StreamId,
    /// How many streams the peer may have open.
    accepts: usize,
    opened_by_peer: usize,
    /// Streams with something to send and leave to send it, each once.
    turns: VecDeque<StreamId>,
    outgoing: Outgoing,
    /// Data that [`Session::send`] took and that is in no frame yet.
    waiting: usize,
    head: [u8; HEADER_BYTES],
    head_filled: usize,
    body: Option<Body>,
}

/// The bytes to write. Positions count from the session's first byte.
#[derive(Debug, Default)]
struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// The position of `bytes[0]`.
    start: u64,
}

/// The rest of a data frame.
#[derive(Debug)]
struct Body {
    stream: StreamId,
    left: usize,
    last: bool,
}

#[derive(Debug)]
struct Stream {
    /// What may still be sent, and received.
    send_window: u32,
    receive_window: u32,
    pending: VecDeque<u8>,
    /// In `turns`.
    has_turn: bool,
    /// Data put into frames so far.
    framed: u64,
    /// Where the first byte of what was last sent is in the outgoing bytes.
    departs: Option<u64>,
    /// FIN is to be sent once nothing is pending.
    finishing: bool,
    finished: bool,
    peer_finished: bool,
}

impl Session {
    /// The side that connected. Its first bytes announce what it speaks.
    #[must_use]
    pub fn calling(announcement: &[u8]) -> Self {
        let mut session = Self::new(1, 0);
        session.outgoing.bytes.extend_from_slice(announcement);
        session
    }

    /// The side that was connected to; the peer may have so many streams open.
    #[must_use]
    pub fn serving(accepts: usize) -> Self {
        Self::new(2, accepts)
    }

    fn new(next: StreamId, accepts: usize) -> Self {
        Self {
            streams: BTreeMap::new(),
            next,
            accepts,
            opened_by_peer: 0,
            turns: VecDeque::new(),
            outgoing: Outgoing::default(),
            waiting: 0,
            head: [0; HEADER_BYTES],
            head_filled: 0,
            body: None,
        }
    }

    /// Opens a stream; none when all numbers are used up, which only a new session can help.
    pub fn open(&mut self) -> Option<StreamId> {
        let id = self.next;
        self.next = id.checked_add(2)?;
        self.streams.insert(id, Stream::new());
        self.outgoing.frame(Kind::WindowUpdate, flag::SYN, id, 0);
        Some(id)
    }

    /// Takes bytes to send on an open stream; on any other they go nowhere.
    pub fn send(&mut self, id: StreamId, bytes: &[u8]) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.finishing {
            return;
        }
        stream.pending.extend(bytes);
        stream.departs = None;
        self.waiting += bytes.len();
        self.take_turn(id);
    }

    /// Ends this side's direction, after all that was taken to send.
    pub fn finish(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.finishing = true;
            self.say_finished(id);
        }
    }

    /// Ends both directions at once. What was taken to send and is in no frame yet is dropped.
    pub fn reset(&mut self, id: StreamId) {
        if self.remove(id) {
            self.outgoing.frame(Kind::WindowUpdate, flag::RST, id, 0);
        }
    }

    /// Asks the peer for a sign of life. It is none of the [`Event`]s: that anything came is enough.
    pub fn ping(&mut self, number: u32) {
        self.outgoing.frame(Kind::Ping, flag::SYN, 0, number);
    }

    /// Streams that are open in at least one direction.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Data of all streams that is in no frame yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Data of this stream that is in no frame yet: the peer does not read it, or others have their turn.
    #[must_use]
    pub fn pending(&self, id: StreamId) -> usize {
        self.streams.get(&id).map_or(0, |stream| stream.pending.len())
    }

    /// After how many bytes of this stream the peer's window keeps the rest from being sent.
    #[must_use]
    pub fn blocked_at(&self, id: StreamId) -> Option<u64> {
        let stream = self.streams.get(&id)?;
        (stream.send_window == 0 && !stream.pending.is_empty()).then_some(stream.framed)
    }

    /// Whether any byte of what was last given to [`Session::send`] has been written.
    #[must_use]
    pub fn has_left(&self, id: StreamId) -> bool {
        let departs = self.streams.get(&id).and_then(|stream| stream.departs);
        departs.is_some_and(|at| at < self.outgoing.position())
    }

    /// How many bytes have been written, ever.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.outgoing.position()
    }

    /// What is to be written next; empty when there is nothing.
    pub fn outgoing(&mut self) -> &[u8] {
        while self.outgoing.left().len() < AHEAD_BYTES
            && let Some(id) = self.turns.pop_front()
        {
            self.frame_data(id);
        }
        self.outgoing.left()
    }

    /// So many of these bytes were written.
    pub fn wrote(&mut self, count: usize) {
        self.outgoing.wrote(count);
    }

    /// Takes what the peer sent off the front of `input`, up to the next event; none when all of it
    /// is taken.
    ///
    /// # Errors
    /// The peer broke the protocol. The last frame to be written says so; nothing else is to be read.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        let event = self.next_event(input);
        if event.is_err() {
            self.outgoing.frame(Kind::GoAway, 0, 0, PROTOCOL_ERROR);
        }
        event
    }

    fn next_event<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        loop {
            if let Some(body) = self.body.take() {
                // A frame whose data is all there may still have the end of its stream to tell.
                let ended = body.left == 0;
                if input.is_empty() && !ended {
                    self.body = Some(body);
                    return Ok(None);
                }
                if let Some(event) = self.take_body(body, input) {
                    return Ok(Some(event));
                }
                continue;
            }
            let wanted = HEADER_BYTES - self.head_filled;
            let (taken, rest) = input.split_at(wanted.min(input.len()));
            self.head[self.head_filled..][..taken.len()].copy_from_slice(taken);
            *input = rest;
            self.head_filled += taken.len();
            if self.head_filled < HEADER_BYTES {
                return Ok(None);
            }
            self.head_filled = 0;
            if let Some(event) = self.take_frame(Header::decode(self.head)?)? {
                return Ok(Some(event));
            }
        }
    }

    /// Delivers data of a frame, and then its stream's end if the frame has that too.
    fn take_body<'a>(&mut self, body: Body, input: &mut &'a [u8]) -> Option<Event<'a>> {
        let Body { stream: id, left, last } = body;
        if left == 0 {
            return if last { self.peer_finished(id) } else { None };
        }
        let (data, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        let left = left - data.len();
        if left > 0 || last {
            self.body = Some(Body { stream: id, left, last });
        }
        // What is for a stream that this side has reset was under way when it did.
        let stream = self.streams.get_mut(&id)?;
        stream.receive_window -= data.len() as u32;
        if stream.receive_window <= WINDOW_BYTES / 2 {
            let more = WINDOW_BYTES - stream.receive_window;
            stream.receive_window = WINDOW_BYTES;
            self.outgoing.frame(Kind::WindowUpdate, 0, id, more);
        }
        Some(Event::Data(id, data))
    }

    fn take_frame<'a>(&mut self, header: Header) -> Result<Option<Event<'a>>, Violation> {
        if self.outgoing.left().len() > AHEAD_BYTES + OWED_BYTES {
            return Err(Violation::DoesNotRead);
        }
        match header.kind {
            Kind::Ping => {
                if header.has(flag::SYN) {
                    self.outgoing.frame(Kind::Ping, flag::ACK, 0, header.length);
                }
                Ok(None)
            }
            Kind::GoAway => Ok(Some(Event::GoAway(header.length))),
            Kind::Data | Kind::WindowUpdate => self.take_stream_frame(header),
        }
    }

    fn take_stream_frame<'a>(&mut self, header: Header) -> Result<Option<Event<'a>>, Violation> {
        let id = header.stream;
        let opened = header.has(flag::SYN) && self.peer_opens(id)?;
        let (is_data, length) = (header.kind == Kind::Data, header.length);
        let Some(stream) = self.streams.get_mut(&id) else {
            // Of a stream that this side has reset or refused.
            self.skip(is_data, length);
            return Ok(None);
        };
        if header.has(flag::RST) {
            self.remove(id);
            self.skip(is_data, length);
            // One that begins and ends in the same frame was never there.
            return Ok((!opened).then_some(Event::Reset(id)));
        }
        let last = header.has(flag::FIN);
        if stream.peer_finished && (last || is_data && length > 0) {
            return Err(Violation::AfterEnd(id));
        }
        if is_data {
            if length > stream.receive_window {
                return Err(Violation::MoreThanGranted(id));
            }
        } else {
            let window = stream.send_window.checked_add(length);
            stream.send_window = window.ok_or(Violation::GrantedTooMuch(id))?;
            self.take_turn(id);
        }
        let left = if is_data { length as usize } else { 0 };
        if left > 0 || last {
            self.body = Some(Body { stream: id, left, last });
        }
        Ok(opened.then_some(Event::Opened(id)))
    }

    /// Skips the data of a frame that nobody wants.
    fn skip(&mut self, is_data: bool, length: u32) {
        if is_data && length > 0 {
            self.body = Some(Body { stream: 0, left: length as usize, last: false });
        }
    }

    /// Grants the peer a new stream, or refuses it: false.
    fn peer_opens(&mut self, id: StreamId) -> Result<bool, Violation> {
        if id == 0 || id % 2 == self.next % 2 {
            return Err(Violation::NotTheirs(id));
        }
        if self.streams.contains_key(&id) {
            return Err(Violation::OpenedTwice(id));
        }
        if self.opened_by_peer >= self.accepts {
            self.outgoing.frame(Kind::WindowUpdate, flag::RST, id, 0);
            return Ok(false);
        }
        self.opened_by_peer += 1;
        self.streams.insert(id, Stream::new());
        self.outgoing.frame(Kind::WindowUpdate, flag::ACK, id, 0);
        Ok(true)
    }

    fn peer_finished<'a>(&mut self, id: StreamId) -> Option<Event<'a>> {
        let stream = self.streams.get_mut(&id)?;
        stream.peer_finished = true;
        if stream.finished {
            self.remove(id);
        }
        Some(Event::Finished(id))
    }

    /// Lets a stream send when it is its turn, if it has something to send and leave to.
    fn take_turn(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.has_turn
            && stream.send_window > 0
            && !stream.pending.is_empty()
        {
            stream.has_turn = true;
            self.turns.push_back(id);
        }
    }

    fn frame_data(&mut self, id: StreamId) {
        // A stream that was removed leaves its turn behind.
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.has_turn = false;
        let count = stream.pending.len().min(stream.send_window as usize).min(TURN_BYTES);
        if count == 0 {
            return;
        }
        stream.send_window -= count as u32;
        stream.framed += count as u64;
        self.waiting -= count;
        self.outgoing.frame(Kind::Data, 0, id, count as u32);
        stream.departs.get_or_insert(self.outgoing.end());
        let (front, back) = stream.pending.as_slices();
        let from_front = count.min(front.len());
        self.outgoing.bytes.extend_from_slice(&front[..from_front]);
        self.outgoing.bytes.extend_from_slice(&back[..count - from_front]);
        stream.pending.drain(..count);
        if stream.pending.is_empty() {
            stream.pending.shrink_to(TURN_BYTES);
        }
        self.take_turn(id);
        self.say_finished(id);
    }

    /// Sends FIN, if this side has nothing more to send.
    fn say_finished(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !stream.finishing || stream.finished || !stream.pending.is_empty() {
            return;
        }
        stream.finished = true;
        let over = stream.peer_finished;
        self.outgoing.frame(Kind::WindowUpdate, flag::FIN, id, 0);
        if over {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: StreamId) -> bool {
        let Some(stream) = self.streams.remove(&id) else { return false };
        self.waiting -= stream.pending.len();
        if id % 2 != self.next % 2 {
            self.opened_by_peer -= 1;
        }
        true
    }
}

impl Stream {
    fn new() -> Self {
        Self {
            send_window: WINDOW_BYTES,
            receive_window: WINDOW_BYTES,
            pending: VecDeque::new(),
            has_turn: false,
            framed: 0,
            departs: None,
            finishing: false,
            finished: false,
            peer_finished: false,
        }
    }
}

impl Outgoing {
    fn frame(&mut self, kind: Kind, flags: u16, stream: StreamId, length: u32) {
        self.bytes.extend_from_slice(&Header { kind, flags, stream, length }.encode());
    }

    fn left(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// The position of the next byte to be written.
    fn position(&self) -> u64 {
        self.start + self.written as u64
    }

    /// The position behind the last byte.
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn wrote(&mut self, count: usize) {
        self.written += count.min(self.left().len());
        if self.written == self.bytes.len() {
            self.start += self.written as u64;
            self.written = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BUFFER);
        } else if self.written > KEPT_BUFFER {
            // One that never runs empty does not grow for ever.
            self.start += self.written as u64;
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}
