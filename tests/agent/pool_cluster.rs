//! Whole pools in one process: several members, a network with delays that loses what is cut, and a disk
//! for each snapshot. The next thing that happens is the earliest; ties go by the order in which they
//! were caused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use proconsul::base::{Duration, Faults, Instant, NodeName, Prng, RequestId};
use proconsul::gossip::serf::{self, Previous};
use proconsul::gossip::{
    ExchangeId, Input, MemberEventKind, Output, Pool, PoolConfig, SnapshotWrite, Status, Tags,
};

use crate::gossip_codec::{CODEC, OneDatacenter};

const DELAY: Duration = Duration::from_millis(1);

/// A member, or its place.
pub struct Seat {
    pub name: NodeName,
    addr: SocketAddr,
    pub pool: Option<Pool>,
    /// Its snapshot file.
    pub file: String,
    /// Lives so far: what was sent to an earlier one is lost.
    lives: u64,
    /// On which side of a cut.
    side: u8,
    pub heard: Vec<(MemberEventKind, NodeName)>,
    pub events: Vec<String>,
    pub answers: Vec<NodeName>,
    pub has_left: bool,
    deadline: Option<Instant>,
}

/// Something on its way.
struct Parcel {
    to: usize,
    life: u64,
    input: Input,
}

pub struct Network {
    pub seats: Vec<Seat>,
    pub now: Instant,
    flying: BTreeMap<(Instant, u64), Parcel>,
    /// Deadlines, and by whom.
    due: BTreeSet<(Instant, usize)>,
    places: BTreeMap<SocketAddr, usize>,
    /// Exchanges that were answered at the other end: who began each, and how it was called there.
    streams: BTreeMap<(usize, ExchangeId), (usize, ExchangeId)>,
    sent: u64,
    next_stream: u64,
    prng: Prng,
    /// Look at everything after every step.
    pub watches: bool,
}

impl Network {
    pub fn new(members: usize, seed: u64) -> Self {
        let seat = |at: usize| Seat {
            name: NodeName::from(format!("n{}", at + 1)),
            addr: SocketAddr::from(([10, 0, (at / 200) as u8, (at % 200) as u8 + 1], 8301)),
            pool: None,
            file: String::new(),
            lives: 0,
            side: 0,
            heard: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            has_left: false,
            deadline: None,
        };
        let seats: Vec<Seat> = (0..members).map(seat).collect();
        let mut network = Self {
            places: seats.iter().enumerate().map(|(at, seat)| (seat.addr, at)).collect(),
            seats,
            due: BTreeSet::new(),
            now: Instant::ZERO,
            flying: BTreeMap::new(),
            streams: BTreeMap::new(),
            sent: 0,
            next_stream: 1,
            prng: Prng::new(seed),
            watches: members < 20,
        };
        (0..members).for_each(|at| network.start(at, false));
        network
    }

    /// All in one pool, and calm.
    pub fn joined(members: usize, seed: u64) -> Self {
        let mut network = Self::new(members, seed);
        (1..members).for_each(|at| network.join(at, 0));
        network.run(Duration::from_secs(20));
        network
    }

    /// A new life, with what the file says.
    pub fn start(&mut self, at: usize, rejoin_after_leave: bool) {
        let seat = &mut self.seats[at];
        seat.lives += 1;
        seat.has_left = false;
        seat.heard.clear();
        let previous: Previous = serf::parse(&seat.file, rejoin_after_leave);
        let tags = Tags(vec![("dc".into(), "dc1".into()), ("id".into(), seat.name.to_string())]);
        let admission = Box::new(OneDatacenter);
        let config = PoolConfig::lan(&seat.name, seat.addr, tags, CODEC, admission);
        let prng = self.prng.fork(&format!("{}/{}", seat.name, seat.lives));
        let mut out = Vec::new();
        let pool = Pool::new(config, previous, &prng, Faults::none(), self.now, &mut out);
        seat.pool = Some(pool);
        self.take(at, out);
    }

    pub fn kill(&mut self, at: usize) {
        self.seats[at].pool = None;
        self.settle(at);
    }

    pub fn join(&mut self, at: usize, other: usize) {
        let addresses = vec![self.seats[other].addr];
        let request = RequestId(1);
        self.step(at, Input::Join { request, addresses, ignore_old: true });
    }

    /// These hear only one another.
    pub fn cut(&mut self, side: &[usize]) {
        side.iter().for_each(|at| self.seats[*at].side = 1);
    }

    pub fn heal(&mut self) {
        self.seats.iter_mut().for_each(|seat| seat.side = 0);
    }

    pub fn step(&mut self, at: usize, input: Input) {
        let Some(pool) = &mut self.seats[at].pool else { return };
        let mut out = Vec::new();
        pool.step(self.now, input, &mut out);
        if self.watches {
            pool.check_invariants();
        }
        self.take(at, out);
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((due, who)) = self.next(end) {
            self.now = self.now.max(due);
            match who {
                Some(at) => self.step(at, Input::Wake),
                None => self.deliver(),
            }
        }
        self.now = end;
    }

    /// What happens next: a member is due, or something arrives.
    fn next(&self, end: Instant) -> Option<(Instant, Option<usize>)> {
        let arrives = self.flying.first_key_value().map(|((at, _), _)| (*at, None));
        let due = self.due.first().map(|(due, at)| (*due, Some(*at)));
        due.into_iter().chain(arrives).min_by_key(|(at, _)| *at).filter(|(at, _)| *at <= end)
    }

    fn deliver(&mut self) {
        let Some((_, parcel)) = self.flying.pop_first() else { return };
        if self.seats[parcel.to].lives == parcel.life {
            self.step(parcel.to, parcel.input);
        }
    }

    fn send(&mut self, after: Duration, to: usize, input: Input) {
        self.sent += 1;
        let parcel = Parcel { to, life: self.seats[to].lives, input };
        self.flying.insert((self.now + after, self.sent), parcel);
    }

    /// Who is there, when the way is open.
    fn reach(&self, from: usize, to: SocketAddr) -> Option<usize> {
        let at = *self.places.get(&to)?;
        let open = self.seats[at].side == self.seats[from].side && self.seats[at].pool.is_some();
        open.then_some(at)
    }

    fn take(&mut self, at: usize, out: Vec<Output>) {
        self.settle(at);
        for output in out {
            match output {
                Output::Packet { to, messages, .. } => {
                    if let Some(to) = self.reach(at, to) {
                        let from = self.seats[at].addr;
                        self.send(DELAY, to, Input::Packet { from, messages });
                    }
                }
                Output::PushPull { exchange, to, state } => match self.reach(at, to) {
                    Some(to) => {
                        let stream = self.open(to, at, exchange);
                        let from = self.seats[at].addr;
                        let input = Input::PushPull { exchange: stream, from, state };
                        self.send(DELAY, to, input);
                    }
                    None => {
                        let result = Err("connection refused".to_owned());
                        self.send(DELAY, at, Input::PushPulled { exchange, result });
                    }
                },
                Output::PushPullReply { exchange, state } => {
                    if let Some((to, exchange)) = self.streams.remove(&(at, exchange)) {
                        let result = Ok(state);
                        self.send(DELAY, to, Input::PushPulled { exchange, result });
                    }
                }
                Output::StreamPing { exchange, to, ping, patience } => match self.reach(at, to) {
                    Some(to) => {
                        let stream = self.open(to, at, exchange);
                        self.send(DELAY, to, Input::StreamPing { exchange: stream, ping });
                    }
                    None => {
                        let result = Err(String::new());
                        self.send(patience, at, Input::StreamPinged { exchange, result });
                    }
                },
                Output::StreamPong { exchange, ack } => {
                    if let Some((to, exchange)) = self.streams.remove(&(at, exchange)) {
                        let result = ack.map(|_| ()).ok_or_else(|| "closed".to_owned());
                        self.send(DELAY, to, Input::StreamPinged { exchange, result });
                    }
                }
                output => self.seats[at].note(output),
            }
        }
    }

    /// Notes when it is due next.
    fn settle(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        let deadline = seat.pool.as_ref().and_then(Pool::deadline);
        if deadline != seat.deadline {
            let before = std::mem::replace(&mut seat.deadline, deadline);
            before.map(|before| self.due.remove(&(before, at)));
            self.due.extend(deadline.map(|deadline| (deadline, at)));
        }
    }

    fn open(&mut self, to: usize, from: usize, exchange: ExchangeId) -> ExchangeId {
        let stream = ExchangeId(self.next_stream);
        self.next_stream += 2;
        self.streams.insert((to, stream), (from, exchange));
        stream
    }

    /// What one makes of another.
    pub fn status(&self, at: usize, of: usize) -> Option<Status> {
        let pool = self.seats[at].pool.as_ref()?;
        pool.member(&self.seats[of].name).map(|view| view.status)
    }

    /// Everybody who runs sees `of` like this.
    #[track_caller]
    pub fn expect_everywhere(&self, of: usize, status: Option<Status>) {
        for at in 0..self.seats.len() {
            if self.seats[at].pool.is_some() && !self.seats[at].has_left {
                let (viewer, seen) = (&self.seats[at].name, self.status(at, of));
                assert_eq!(seen, status, "{viewer} of {}", self.seats[of].name);
            }
        }
    }
}

impl Seat {
    fn note(&mut self, output: Output) {
        match output {
            Output::Member(event) => self.heard.push((event.kind, event.member.name)),
            Output::UserEvent(event) => self.events.push(event.name),
            Output::QueryAnswer { from, .. } => self.answers.push(from),
            Output::Snapshot(SnapshotWrite::Append { lines, .. }) => self.file.push_str(&lines),
            Output::Snapshot(SnapshotWrite::Replace(text)) => self.file = text,
            Output::Left => self.has_left = true,
            _ => {}
        }
    }
}
