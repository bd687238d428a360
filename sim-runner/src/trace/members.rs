//! Who is there, as each agent was told: the fold of [`What::Member`], by pool.
//!
//! ```text
//!  n1: joined n1, joined n2, failed n3      LAN at n1   n1 alive   n2 alive   n3 failed
//!  n2: joined n1, joined n2                 LAN at n2   n1 alive   n2 alive
//!                                           related: each lists the other; n3: a difference? no —
//!                                           n2 never knew it, and nobody tells of the dead
//! ```
//!
//! A member is known by its name; in the WAN pool that is NODE.DATACENTER. A process that starts
//! knows nobody, so a view lasts one process life.
//!
//! **Related** are two live agents that must agree: one lists the other as alive, or one lists the
//! other as failed while the other lists it in any way. Two agents of which neither has heard of the
//! other are two pools, and may say what they like.
//!
//! **A difference** is a member that two related agents list with different statuses, or that one
//! lists as alive and the other not at all. Failed and left members need not be known: memberlist
//! tells a newcomer of nobody that is not alive (spec cluster 1.14 and 1.15, "unknown: ignore"), and
//! each agent forgets them in its own time (spec cluster 2.11).
//!
//! Lists of hundreds of members are compared at almost every event of a boot, so each carries a
//! digest of what it says: equal lists (of a calm pool, all) are looked at once. Two different lists
//! with one digest of 128 bits would pass for equal; no member chooses its name with that in mind.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::event::{Change, Host, HostKind, Pool, What};
use super::view::View;

/// Both pools, in the order in which they are looked at.
pub const POOLS: [Pool; 2] = [Pool::Lan, Pool::Wan];

/// What an agent makes of a member. (That it is leaving is no event, and so not known here.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MemberStatus {
    Alive,
    Failed,
    Left,
}

impl MemberStatus {
    /// As `members` prints it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            MemberStatus::Alive => "alive",
            MemberStatus::Failed => "failed",
            MemberStatus::Left => "left",
        }
    }
}

/// One agent's lists of members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    lan: List,
    wan: List,
}

/// Those of one pool, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct List {
    by_name: BTreeMap<String, MemberStatus>,
    alive: u64,
    /// The sum of what each member adds.
    digest: u128,
}

impl List {
    /// Whether that is news.
    fn set(&mut self, name: &str, status: MemberStatus) -> bool {
        match self.by_name.get_mut(name) {
            Some(known) if *known == status => return false,
            Some(known) => {
                let before = std::mem::replace(known, status);
                self.discount(name, before);
            }
            None => {
                self.by_name.insert(name.to_owned(), status);
            }
        }
        self.alive += u64::from(status == MemberStatus::Alive);
        self.digest = self.digest.wrapping_add(weight(name, status));
        true
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(before) = self.by_name.remove(name) else { return false };
        self.discount(name, before);
        true
    }

    fn discount(&mut self, name: &str, before: MemberStatus) {
        self.alive -= u64::from(before == MemberStatus::Alive);
        self.digest = self.digest.wrapping_sub(weight(name, before));
    }
}

/// What a member adds to the digest of a list.
fn weight(name: &str, status: MemberStatus) -> u128 {
    xxh3_128_with_seed(name.as_bytes(), status as u64)
}

impl Members {
    /// Those of one pool.
    #[must_use]
    pub fn of(&self, pool: Pool) -> &BTreeMap<String, MemberStatus> {
        &self.list(pool).by_name
    }

    fn list(&self, pool: Pool) -> &List {
        match pool {
            Pool::Lan => &self.lan,
            Pool::Wan => &self.wan,
        }
    }

    /// Whether it has heard of anybody in this pool, be it of itself.
    #[must_use]
    pub fn known(&self, pool: Pool) -> bool {
        !self.of(pool).is_empty()
    }

    /// How many it lists as alive.
    #[must_use]
    pub fn alive(&self, pool: Pool) -> u64 {
        self.list(pool).alive
    }

    /// Takes in what concerns members; whether it did.
    pub(super) fn take(&mut self, what: &What) -> bool {
        let What::Member { pool, about, change, .. } = what else {
            if matches!(what, What::Started | What::Ended { .. }) {
                *self = Self::default();
            }
            return false;
        };
        let members = match pool {
            Pool::Lan => &mut self.lan,
            Pool::Wan => &mut self.wan,
        };
        let status = match change {
            Change::Joined => MemberStatus::Alive,
            Change::Failed => MemberStatus::Failed,
            Change::Left => MemberStatus::Left,
            Change::Reaped => return members.remove(about),
            Change::Updated => return false,
        };
        members.set(about, status)
    }
}

/// A member about whom two related agents do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In which pool.
    pub pool: Pool,
    /// The agents.
    pub between: (Host, Host),
    /// The member.
    pub about: String,
    /// What either makes of it; none for one that it does not list.
    pub seen: (Option<MemberStatus>, Option<MemberStatus>),
}

impl Difference {
    /// A sentence without an end.
    #[must_use]
    pub fn sentence(&self, view: &View) -> String {
        let name = |host: Host| view.node(host).name.as_str();
        let lists = |status: Option<MemberStatus>| match status {
            Some(status) => format!("lists {} as {}", self.about, status.word()),
            None => format!("does not list {}", self.about),
        };
        let (a, b) = self.between;
        let (one, other) = (lists(self.seen.0), lists(self.seen.1));
        format!("in the {} pool {} {one}, and {} {other}", self.pool.word(), name(a), name(b))
    }
}

/// All agents.
pub fn agents(view: &View) -> impl Iterator<Item = Host> + '_ {
    view.servers().chain(view.hosts(HostKind::Client))
}

/// Agents that are live and know somebody in this pool.
pub fn live_with_view(view: &View, pool: Pool) -> impl Iterator<Item = Host> + '_ {
    agents(view).filter(move |host| {
        let node = view.node(*host);
        node.live() && node.members.known(pool)
    })
}

/// What one agent makes of another.
#[must_use]
pub fn seen_by(view: &View, pool: Pool, observer: Host, about: Host) -> Option<MemberStatus> {
    let members = view.node(observer).members.of(pool);
    let name = &view.node(about).name;
    match pool {
        Pool::Lan => members.get(name).copied(),
        Pool::Wan => {
            let same = |member: &&String| host_part(member) == name;
            members.iter().find(|(member, _)| same(member)).map(|(_, status)| *status)
        }
    }
}

/// The host that a member of a pool is, if it is one of the run.
#[must_use]
pub fn host_of(view: &View, pool: Pool, member: &str) -> Option<Host> {
    match pool {
        Pool::Lan => view.host(member),
        Pool::Wan => view.host(host_part(member)),
    }
}

/// The name of the node in NODE.DATACENTER.
fn host_part(member: &str) -> &str {
    member.rsplit_once('.').map_or(member, |(node, _)| node)
}

/// The first member about whom two related agents do not agree.
#[must_use]
pub fn difference(view: &View, pool: Pool) -> Option<Difference> {
    let digest = |host: Host| view.node(host).members.list(pool).digest;
    let observers: Vec<(Host, u128)> =
        live_with_view(view, pool).map(|host| (host, digest(host))).collect();
    // Lists that differ without a difference in our sense: not compared twice.
    let mut compatible: BTreeSet<(u128, u128)> = BTreeSet::new();
    for (place, (a, says)) in observers.iter().enumerate() {
        for (b, other) in observers[place + 1..].iter().filter(|(_, other)| other != says) {
            if compatible.contains(&(*says, *other)) || !related(view, pool, *a, *b) {
                continue;
            }
            match disagree(view, pool, *a, *b) {
                Some((about, seen)) => {
                    return Some(Difference { pool, between: (*a, *b), about, seen });
                }
                None => drop(compatible.insert((*says, *other))),
            }
        }
    }
    None
}

fn related(view: &View, pool: Pool, a: Host, b: Host) -> bool {
    use MemberStatus::{Alive, Failed};
    let (ab, ba) = (seen_by(view, pool, a, b), seen_by(view, pool, b, a));
    ab == Some(Alive)
        || ba == Some(Alive)
        || (ab == Some(Failed) && ba.is_some())
        || (ba == Some(Failed) && ab.is_some())
}

type Opinions = (Option<MemberStatus>, Option<MemberStatus>);

fn disagree(view: &View, pool: Pool, a: Host, b: Host) -> Option<(String, Opinions)> {
    let (ours, theirs) = (view.node(a).members.of(pool), view.node(b).members.of(pool));
    let differs = |name: &&String| match (ours.get(*name), theirs.get(*name)) {
        (Some(one), Some(other)) => one != other,
        (Some(only), None) | (None, Some(only)) => *only == MemberStatus::Alive,
        (None, None) => false,
    };
    let name = ours.keys().chain(theirs.keys()).find(differs)?;
    Some((name.clone(), (ours.get(name).copied(), theirs.get(name).copied())))
}

/// What keeps the members from being converged, as a sentence without an end; none when all agents
/// that are live know the pool, related ones agree, and whoever is listed as alive is live.
/// `joined`: all agents that are live must also list each other.
#[must_use]
pub fn unconverged(view: &View, joined: bool) -> Option<String> {
    let name = |host: Host| view.node(host).name.as_str();
    let live: Vec<Host> = agents(view).filter(|host| view.node(*host).live()).collect();
    let lost = |host: &&Host| !view.node(**host).members.known(Pool::Lan);
    if let Some(host) = live.iter().find(lost) {
        return Some(format!("{} knows no members", name(*host)));
    }
    if live.is_empty() {
        return Some("no agent runs".to_owned());
    }
    for pool in POOLS {
        if let Some(difference) = difference(view, pool) {
            return Some(difference.sentence(view));
        }
        for observer in of_different_lists(view, pool, live_with_view(view, pool)) {
            let listed = view.node(observer).members.of(pool).iter();
            let alive = listed.filter(|(_, status)| **status == MemberStatus::Alive);
            let gone = |host: &Host| !view.node(*host).live();
            let hosts = alive.filter_map(|(member, _)| host_of(view, pool, member));
            if let Some(host) = hosts.into_iter().find(gone) {
                let (who, pool) = (name(observer), pool.word());
                let whom = name(host);
                return Some(format!("{who} lists {whom} as alive in the {pool} pool"));
            }
        }
    }
    if !joined {
        return None;
    }
    let different = of_different_lists(view, Pool::Lan, live.iter().copied());
    let mut pairs = different.flat_map(|a| live.iter().map(move |b| (a, *b)));
    let lists = |a: Host, b: Host| seen_by(view, Pool::Lan, a, b) == Some(MemberStatus::Alive);
    let (a, b) = pairs.find(|(a, b)| !lists(*a, *b))?;
    Some(format!("{} does not list {} as alive", name(a), name(b)))
}

/// Of agents whose lists are equal only the first.
fn of_different_lists(
    view: &View,
    pool: Pool,
    agents: impl Iterator<Item = Host>,
) -> impl Iterator<Item = Host> {
    let mut seen = BTreeSet::new();
    agents.filter(move |host| seen.insert(view.node(*host).members.list(pool).digest))
}
