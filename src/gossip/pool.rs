//! One member of one gossip pool: SWIM and Serf joined. Sans-IO.
//!
//! ```text
//!   Input ──┬─► Swim ──► packets, exchanges ───────────────► Output
//!           │    │ ▲ ▲
//!           │    │ │ └── Delegate: broadcasts, state, who is let in (in the middle of SWIM's step)
//!           │    ▼ │
//!           └─► Serf ──► member events, user events, queries ► Output
//! ```
//!
//! What one layer asks of the other waits in a queue until the step that asked is over, and the step of
//! the pool ends when the queue is empty: what is outside never sees the two disagree.
//!
//! Invariants, beside those of the layers: whom Serf holds for alive or leaving, SWIM holds for alive or
//! suspect; whom Serf holds for failed or left, SWIM holds for dead or left, or has forgotten.
//!
//! Nothing here takes longer with more members but the exchange of whole states.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::base::{Faults, Instant, NodeName, Prng};
use crate::gossip::io::{Admission, Codec, MemberView, Status};
use crate::gossip::message::{Coordinate, MemberState, Tags};
use crate::gossip::pool_io::{Input, Output};
use crate::gossip::serf::{self, Clocks, Counts, Previous, Serf};
use crate::gossip::swim::{self, Delegate, Swim};

/// How a member is set up.
#[derive(Debug)]
pub struct PoolConfig {
    /// The lower layer; its meta is made of the tags.
    pub swim: swim::Config,
    /// The upper layer.
    pub serf: serf::Config,
    /// Who is let in.
    pub admission: Box<dyn Admission>,
    /// Whether the shell encrypts: for `info` alone.
    pub encrypted: bool,
}

impl PoolConfig {
    /// Consul's LAN pool.
    #[must_use]
    pub fn lan(
        name: &NodeName,
        addr: SocketAddr,
        tags: Tags,
        codec: Codec,
        admission: Box<dyn Admission>,
    ) -> Self {
        let swim = swim::Config::lan(name.clone(), addr, codec).for_consul();
        let serf = serf::Config::consul_lan(name.clone(), addr, tags);
        Self { swim, serf, admission, encrypted: false }
    }

    /// Consul's WAN pool.
    #[must_use]
    pub fn wan(
        name: &NodeName,
        addr: SocketAddr,
        tags: Tags,
        codec: Codec,
        admission: Box<dyn Admission>,
    ) -> Self {
        let swim = swim::Config::wan(name.clone(), addr, codec).for_consul();
        let serf = serf::Config::consul_wan(name.clone(), addr, tags);
        Self { swim, serf, admission, encrypted: false }
    }
}

/// What `info` shows of a pool (`serf_lan`, `serf_wan`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Whether datagrams are encrypted.
    pub encrypted: bool,
    /// Lifeguard's score: 0 is healthy.
    pub health_score: u32,
    /// Members and queues.
    pub counts: Counts,
    /// How often the own coordinate was thrown away.
    pub coordinate_resets: u64,
    /// The three clocks: `member_time`, `event_time`, `query_time`.
    pub clocks: Clocks,
}

impl Stats {
    /// Consul's keys and values, in the order in which `info` prints them.
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { encrypted, health_score, counts, coordinate_resets, clocks } = self;
        vec![
            ("coordinate_resets", coordinate_resets.to_string()),
            ("encrypted", encrypted.to_string()),
            ("event_queue", counts.event_queue.to_string()),
            ("event_time", clocks.event.to_string()),
            ("failed", counts.failed.to_string()),
            ("health_score", health_score.to_string()),
            ("intent_queue", counts.intent_queue.to_string()),
            ("left", counts.left.to_string()),
            ("member_time", clocks.member.to_string()),
            ("members", counts.members.to_string()),
            ("query_queue", counts.query_queue.to_string()),
            ("query_time", clocks.query.to_string()),
        ]
    }
}

/// What a layer has still to take in.
#[derive(Debug)]
enum Work {
    Swim(swim::Input),
    Serf(serf::Input),
}

/// One member.
#[derive(Debug)]
pub struct Pool {
    swim: Swim,
    serf: Serf,
    encrypted: bool,
    work: VecDeque<Work>,
    // Kept to be filled again.
    from_swim: Vec<swim::Output>,
    from_serf: Vec<serf::Output>,
    /// What SWIM saw at its last step: it sets its gossip timer by that.
    swim_saw_broadcasts: bool,
}

impl Pool {
    /// A member that starts, with what its snapshot says of its last life. What it does at once is added
    /// to `out`.
    ///
    /// # Panics
    /// When the tags are longer than [`serf::check_tags`] allows.
    #[must_use]
    pub fn new(
        config: PoolConfig,
        previous: Previous,
        prng: &Prng,
        faults: Faults,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Self {
        let PoolConfig { mut swim, mut serf, admission, encrypted } = config;
        let meta = serf::check_tags(&swim.codec, &serf.tags);
        crate::invariant!(meta.is_ok(), "the tags of {} are too long", serf.name);
        swim.meta = meta.unwrap_or_default();
        swim.broadcast_timeout = serf.broadcast_timeout;
        serf.gossip_interval = swim.gossip_interval;
        serf.retransmit_mult = swim.retransmit_mult;
        let codec = swim.codec;
        let mut from_swim = Vec::new();
        let mut from_serf = Vec::new();
        let mut pool = Self {
            swim: Swim::new(swim, prng.fork("swim"), faults.clone(), now, &mut from_swim),
            serf: Serf::new(serf, codec, admission, previous, prng, now, &mut from_serf)
                .with_faults(faults),
            encrypted,
            work: VecDeque::new(),
            from_swim: Vec::new(),
            from_serf: Vec::new(),
            swim_saw_broadcasts: false,
        };
        // Ourselves first: a member before it joins.
        from_swim.into_iter().for_each(|output| pool.take_from_swim(output, out));
        from_serf.into_iter().for_each(|output| pool.take_from_serf(output, out));
        pool.run(now, out);
        pool
    }

    /// Takes one input; what follows is added to `out`.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        let work = match input {
            Input::Wake => {
                if self.swim.deadline().is_some_and(|deadline| deadline <= now) {
                    self.work.push_back(Work::Swim(swim::Input::Wake));
                }
                return self.run(now, out);
            }
            Input::Packet { from, messages } => Work::Swim(swim::Input::Packet { from, messages }),
            Input::PushPull { exchange, from, state } => {
                Work::Swim(swim::Input::PushPull { exchange, from, state })
            }
            Input::PushPulled { exchange, result } => {
                Work::Swim(swim::Input::PushPulled { exchange, result })
            }
            Input::StreamPing { exchange, ping } => {
                Work::Swim(swim::Input::StreamPing { exchange, ping })
            }
            Input::StreamPinged { exchange, result } => {
                Work::Swim(swim::Input::StreamPinged { exchange, result })
            }
            Input::Join { request, addresses, ignore_old } => {
                Work::Serf(serf::Input::Join { request, addresses, ignore_old })
            }
            Input::SetTags(tags) => Work::Serf(serf::Input::SetTags(tags)),
            Input::Leave => Work::Serf(serf::Input::Leave),
            Input::ForceLeave { request, node, prune } => {
                Work::Serf(serf::Input::ForceLeave { request, node, prune })
            }
            Input::UserEvent { request, name, payload, coalesce } => {
                Work::Serf(serf::Input::UserEvent { request, name, payload, coalesce })
            }
            Input::Query { request, name, payload, filters, acks, relay_factor, timeout } => {
                Work::Serf(serf::Input::Query(serf::Question {
                    request,
                    name,
                    payload,
                    filters,
                    acks,
                    relay_factor,
                    timeout,
                }))
            }
            Input::Respond { query, payload } => {
                Work::Serf(serf::Input::Respond { query, payload })
            }
        };
        self.work.push_back(work);
        self.run(now, out);
    }

    /// When [`Input::Wake`] is due; none: nothing happens by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.swim.deadline(), self.serf.deadline()].into_iter().flatten().min()
    }

    /// Every member that is remembered, by name.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &MemberView> {
        self.serf.members()
    }

    /// One member.
    #[must_use]
    pub fn member(&self, name: &NodeName) -> Option<&MemberView> {
        self.serf.member(name)
    }

    /// The Lamport clocks.
    #[must_use]
    pub fn clocks(&self) -> Clocks {
        self.serf.clocks()
    }

    /// Our coordinate.
    #[must_use]
    pub fn coordinate(&self) -> &Coordinate {
        self.serf.coordinate()
    }

    /// The coordinate that a member last sent; our own under our name.
    #[must_use]
    pub fn coordinate_of(&self, name: &NodeName) -> Option<&Coordinate> {
        self.serf.coordinate_of(name)
    }

    /// Whether it has left, or is about to.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.serf.is_leaving()
    }

    /// For `info`.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            coordinate_resets: self.serf.coordinate_resets(),
            encrypted: self.encrypted,
            health_score: self.swim.health_score(),
            counts: self.serf.counts(),
            clocks: self.serf.clocks(),
        }
    }

    /// The layer below, for those who look at its state.
    #[must_use]
    pub fn swim(&self) -> &Swim {
        &self.swim
    }

    /// The layer above.
    #[must_use]
    pub fn serf(&self) -> &Serf {
        &self.serf
    }

    /// Panics when an invariant is broken. Looks at every member.
    pub fn check_invariants(&self) {
        self.swim.check_invariants();
        self.serf.check_invariants();
        for view in self.members() {
            let below = self.swim.node(&view.name).map(|node| node.state);
            let agree = match view.status {
                Status::Alive | Status::Leaving => {
                    matches!(below, Some(MemberState::Alive | MemberState::Suspect))
                }
                Status::Failed | Status::Left => {
                    matches!(below, None | Some(MemberState::Dead | MemberState::Left))
                }
                Status::None => false,
            };
            let (name, status) = (&view.name, view.status);
            crate::invariant!(agree, "{name} is {status:?} in Serf, {below:?} in SWIM");
        }
    }

    /// Until no layer wants anything of the other.
    fn run(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some(work) = self.next_work(now) {
            match work {
                Work::Swim(input) => {
                    let mut outputs = std::mem::take(&mut self.from_swim);
                    self.swim.step(now, input, &mut self.serf, &mut outputs);
                    self.swim_saw_broadcasts = self.serf.has_broadcasts();
                    outputs.drain(..).for_each(|output| self.take_from_swim(output, out));
                    self.from_swim = outputs;
                }
                Work::Serf(input) => {
                    let mut outputs = std::mem::take(&mut self.from_serf);
                    self.serf.step(now, input, &mut outputs);
                    outputs.drain(..).for_each(|output| self.take_from_serf(output, out));
                    self.from_serf = outputs;
                }
            }
        }
    }

    fn next_work(&mut self, now: Instant) -> Option<Work> {
        if let Some(work) = self.work.pop_front() {
            return Some(work);
        }
        if self.serf.is_due(now) {
            return Some(Work::Serf(serf::Input::Wake));
        }
        let news = self.serf.has_broadcasts() && !self.swim_saw_broadcasts;
        news.then_some(Work::Swim(swim::Input::BroadcastsQueued))
    }

    fn take_from_swim(&mut self, output: swim::Output, out: &mut Vec<Output>) {
        let up = match output {
            swim::Output::Packet { to, messages, checksum } => {
                return out.push(Output::Packet { to, messages, checksum });
            }
            swim::Output::PushPull { exchange, to, state } => {
                return out.push(Output::PushPull { exchange, to, state });
            }
            swim::Output::PushPullReply { exchange, state } => {
                return out.push(Output::PushPullReply { exchange, state });
            }
            swim::Output::StreamPing { exchange, to, ping, patience } => {
                return out.push(Output::StreamPing { exchange, to, ping, patience });
            }
            swim::Output::StreamPong { exchange, ack } => {
                return out.push(Output::StreamPong { exchange, ack });
            }
            swim::Output::Event(event) => return out.push(Output::Event(event)),
            // Serf's SetTags has no answer.
            swim::Output::MetaHeard | swim::Output::MetaTimedOut => return,
            swim::Output::NodeJoined(node) => serf::Input::NodeJoined(node),
            swim::Output::NodeLeft(node) => serf::Input::NodeLeft(node),
            swim::Output::NodeUpdated(node) => serf::Input::NodeUpdated(node),
            swim::Output::NodeConflict { existing, other } => {
                serf::Input::NodeConflict { existing, other }
            }
            swim::Output::UserMessage { message, .. } => serf::Input::Message(message),
            swim::Output::RemoteState { state, join } => serf::Input::State { state, join },
            swim::Output::ProbeAcked { node, rtt, payload } => {
                serf::Input::Probed { node: node.name, round_trip: rtt, payload }
            }
            swim::Output::Joined { request, report } => {
                serf::Input::Joined { token: request, report }
            }
            swim::Output::LeaveHeard => serf::Input::SwimLeft { heard: true },
            swim::Output::LeaveTimedOut => serf::Input::SwimLeft { heard: false },
        };
        self.work.push_back(Work::Serf(up));
    }

    fn take_from_serf(&mut self, output: serf::Output, out: &mut Vec<Output>) {
        let down = match output {
            serf::Output::Out(output) => return out.push(output),
            serf::Output::Send { to, message } => swim::Input::SendTo { to, message },
            serf::Output::Join { token, addresses } => {
                swim::Input::Join { request: token, addresses }
            }
            serf::Output::SetMeta(meta) => swim::Input::SetMeta(meta),
            serf::Output::Leave => swim::Input::Leave,
        };
        self.work.push_back(Work::Swim(down));
    }
}
