//! Network coordinates on their way into the catalog (spec cluster 6.11, 10.8). Sans-IO.
//!
//! ```text
//!   every agent    ──[ max(15 s, members / 64 s), and up to twice that ]──► Coordinate.Update
//!   the leader     newest of each node ──[ every 5 s, 128 an entry, 5 entries ]──► the log
//! ```
//!
//! An update is answered when the leader has taken it, not when it is in the log: it is a hint, and the
//! next one follows. Whoever loses the leadership forgets what it has not written yet. While nothing
//! comes in, nothing is due: the leader's clock of five seconds runs from its start, and is asked only
//! when an update waits.
//!
//! Invariants: at most as many updates wait as one flush may write; what waits is finite and of eight
//! dimensions.
//!
//! Deliberately not here: segments of the enterprise release (an agent has one, unnamed; what others
//! say of theirs is passed on), and how a coordinate comes about (`gossip::coordinate`).

use std::collections::BTreeMap;

use crate::base::{Duration, Instant, Prng, RequestId};
use crate::gossip::{Coordinate, DIMENSIONS, Pool, Status};
use crate::state::{Command, NodeCoordinate};

use super::core::Agent;
use super::duties::Duty;
use super::io::Output;
use super::members::{Members, PoolId, ServerInfo};
use super::membership::Membership;
use super::types::{DatacenterMap, Failure, Reply, Request};

/// Updates a second that all agents together may send.
const RATE_TARGET: u64 = 64;
/// The shortest time between two of one agent.
const INTERVAL_MIN: Duration = Duration::from_secs(15);
/// The version of Consul's protocol that knows coordinates.
const PROTOCOL: u64 = 3;
/// Coordinates in one entry.
const BATCH: usize = 128;
/// Entries in one flush.
const BATCHES_MAX: usize = 5;

/// How a node's coordinates are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoordinateConfig {
    /// How often a leader writes what it was told: 5 s, in dev mode 100 ms.
    pub flush_period: Duration,
}

/// When an agent sends its own coordinate.
#[derive(Debug)]
pub(super) struct Sender {
    next: Instant,
    prng: Prng,
}

impl Sender {
    /// The first goes out after one interval.
    pub fn new(now: Instant, members: &Members, prng: &Prng) -> Self {
        let mut sender = Self { next: now, prng: prng.fork("coordinate updates") };
        sender.plan(now, members.lan());
        sender
    }

    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// The update that is due; none before its time, and while a server would not understand it.
    pub fn due(&mut self, now: Instant, members: &Members) -> Option<Request> {
        if now < self.next {
            return None;
        }
        let lan = members.lan();
        self.plan(now, lan);
        let mut servers =
            lan.members().filter(|it| it.tags.get("role") == Some("consul")).peekable();
        let tag = |member: &crate::gossip::MemberView, name: &str| {
            member.tags.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        let understood = servers.peek().is_some()
            && servers.all(|it| tag(it, "vsn_min") <= PROTOCOL && PROTOCOL <= tag(it, "vsn_max"));
        let node = members.identity.name.clone();
        understood.then(|| Request::CoordinateUpdate(Box::new(row(node, lan.coordinate()))))
    }

    fn plan(&mut self, now: Instant, lan: &Pool) {
        let scaled = Duration::from_secs(lan.members().count() as u64) / RATE_TARGET as u32;
        let interval = scaled.max(INTERVAL_MIN);
        self.next = now + self.prng.duration(interval, interval * 2);
    }
}

fn row(node: String, coordinate: &Coordinate) -> NodeCoordinate {
    let Coordinate { vec, error, adjustment, height } = coordinate;
    NodeCoordinate {
        node,
        segment: String::new(),
        vec: vec.iter().map(|part| (*part).into()).collect(),
        error: (*error).into(),
        adjustment: (*adjustment).into(),
        height: (*height).into(),
    }
}

/// The coordinate that a row of the catalog tells.
#[must_use]
pub fn coordinate_of(row: &NodeCoordinate) -> Coordinate {
    Coordinate {
        vec: row.vec.iter().map(|part| part.get()).collect(),
        error: row.error.get(),
        adjustment: row.adjustment.get(),
        height: row.height.get(),
    }
}

/// What of an update's end is worth a line. Nobody waits for it; the next one follows.
pub(super) fn sent(result: Result<Reply, Failure>) -> Option<Membership> {
    match result {
        Ok(_) | Err(Failure::ShuttingDown) => None,
        Err(failure) => Some(Membership::CoordinateNotSent(failure.to_string())),
    }
}

/// What a leader was told and has not written yet.
#[derive(Debug)]
pub(super) struct Told {
    period: Duration,
    /// From where the periods are counted.
    began: Instant,
    flush_at: Option<Instant>,
    /// By node and segment.
    newest: BTreeMap<(String, String), NodeCoordinate>,
    discarded: usize,
}

impl Told {
    pub fn new(now: Instant, config: CoordinateConfig) -> Self {
        let (began, period) = (now, config.flush_period.max(Duration::from_millis(1)));
        Self { period, began, flush_at: None, newest: BTreeMap::new(), discarded: 0 }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Takes an update in, or says why not.
    fn take(&mut self, now: Instant, told: NodeCoordinate) -> Result<(), &'static str> {
        let rest = [told.error, told.adjustment, told.height];
        if !told.vec.iter().chain(&rest).all(|number| number.get().is_finite()) {
            return Err("invalid coordinate");
        }
        if told.vec.len() != DIMENSIONS {
            return Err("incompatible coordinate");
        }
        let place = (told.node.clone(), told.segment.clone());
        if self.newest.len() < BATCH * BATCHES_MAX || self.newest.contains_key(&place) {
            self.newest.insert(place, told);
        } else {
            self.discarded += 1;
        }
        let passed = now.since(self.began).as_nanos() / self.period.as_nanos();
        let periods = u32::try_from(passed + 1).unwrap_or(u32::MAX);
        self.flush_at.get_or_insert(self.began + self.period.saturating_mul(periods));
        Ok(())
    }

    /// The batches that are due, and how many updates were too many.
    fn due(&mut self, now: Instant) -> Option<(Vec<Vec<NodeCoordinate>>, usize)> {
        self.flush_at.take_if(|at| *at <= now)?;
        let rows: Vec<NodeCoordinate> = std::mem::take(&mut self.newest).into_values().collect();
        let batches = rows.chunks(BATCH).map(<[NodeCoordinate]>::to_vec).collect();
        Some((batches, std::mem::take(&mut self.discarded)))
    }

    pub fn check_invariants(&self) {
        crate::invariant!(
            self.newest.len() <= BATCH * BATCHES_MAX
                && (self.newest.is_empty() || self.flush_at.is_some()),
            "{} coordinates wait until {:?}",
            self.newest.len(),
            self.flush_at
        );
    }
}

impl Agent {
    /// The leader takes an update in; the answer says no more than that.
    pub(super) fn take_coordinate(
        &mut self,
        now: Instant,
        id: RequestId,
        told: NodeCoordinate,
        out: &mut Vec<Output>,
    ) {
        let taken = match &mut self.coordinates {
            Some((_, waiting)) => waiting.take(now, told),
            None => Err("Coordinates are disabled"),
        };
        let answer = taken.map(|()| Reply::Done);
        self.answer(id, answer.map_err(|text| Failure::Refused(text.to_owned())), out);
    }

    pub(super) fn on_coordinates_deadline(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some((sender, told)) = &mut self.coordinates else { return };
        let members = self.members.as_ref();
        let update = sender.as_mut().zip(members).and_then(|(it, members)| it.due(now, members));
        let flush = told.due(now);
        if let Some(update) = update {
            let id = self.begin(Duty::SendCoordinate);
            self.on_ask(now, id, update, out);
        }
        let Some((batches, discarded)) = flush.filter(|_| self.raft.is_leader()) else { return };
        if discarded > 0 {
            out.push(Output::member(Membership::CoordinatesDiscarded(discarded)));
        }
        for batch in batches {
            let id = self.begin(Duty::StoreCoordinates);
            self.on_ask(now, id, Request::Write(Command::Coordinates(batch)), out);
        }
    }

    /// Where the servers of all datacenters are, as this one sees them in the pool of all servers.
    pub(super) fn datacenter_maps(&self) -> Vec<DatacenterMap> {
        let mut maps: BTreeMap<String, DatacenterMap> = BTreeMap::new();
        let wan = self.members.as_ref().and_then(|members| members.pool(PoolId::Wan));
        let Some(wan) = wan else { return Vec::new() };
        for server in wan.members().filter_map(ServerInfo::parse).filter(is_there) {
            let Some(coordinate) = wan.coordinate_of(&server.name) else { continue };
            let suffix = format!(".{}", server.datacenter);
            let name = server.name.as_str();
            let node = name.strip_suffix(&suffix).unwrap_or(name).to_owned();
            let map = maps.entry(server.datacenter.clone()).or_insert_with(|| DatacenterMap {
                datacenter: server.datacenter,
                area: "wan".to_owned(),
                coordinates: Vec::new(),
            });
            map.coordinates.push(row(node, coordinate));
        }
        maps.into_values().collect()
    }
}

/// Failed servers keep their place; those that have left do not.
fn is_there(server: &ServerInfo) -> bool {
    matches!(server.status, Status::Alive | Status::Leaving | Status::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told::new(Instant::ZERO, CoordinateConfig { flush_period: Duration::from_secs(5) })
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_newest_of_each_node_is_written_at_the_next_period() {
        let mut told = told();
        let far = Coordinate { height: 0.5, ..Coordinate::default() };
        for (second, node, coordinate) in
            [(6, "a", &Coordinate::default()), (7, "b", &far), (8, "a", &far)]
        {
            told.take(at(second), row(node.to_owned(), coordinate)).expect("valid");
            told.check_invariants();
        }
        assert_eq!((told.deadline(), told.due(at(9))), (Some(at(10)), None));
        let batch = vec![row("a".to_owned(), &far), row("b".to_owned(), &far)];
        assert_eq!(told.due(at(10)), Some((vec![batch], 0)));
        assert_eq!((told.deadline(), told.due(at(20))), (None, None));
    }

    #[test]
    fn a_flush_has_five_entries_at_most() {
        let mut told = told();
        for node in 0..700 {
            told.take(at(1), row(format!("n{node:03}"), &Coordinate::default())).expect("valid");
            told.check_invariants();
        }
        let (batches, discarded) = told.due(at(5)).expect("it is time");
        assert_eq!((batches.iter().map(Vec::len).collect(), discarded), (vec![128; 5], 60));
    }

    #[test]
    fn what_is_no_coordinate_is_refused() {
        let mut told = told();
        let wild = Coordinate { error: f64::NAN, ..Coordinate::default() };
        let flat = Coordinate { vec: vec![0.0; 3], ..Coordinate::default() };
        for (coordinate, why) in [(wild, "invalid coordinate"), (flat, "incompatible coordinate")] {
            assert_eq!(told.take(at(1), row("a".to_owned(), &coordinate)), Err(why));
        }
        assert_eq!(told.deadline(), None);
    }
}
