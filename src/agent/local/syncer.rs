//! When the catalog is compared with the local state, and when changes are pushed (spec cluster 8.2).
//!
//! ```text
//!   start ─► full sync ──ok──► 1 min + stagger(1 min) ─► full sync …     changes are pushed as they come
//!              │  ▲
//!              └─ failed ─► 15 s + stagger(15 s)                         changes wait for the full sync
//!   a server came, or a new leader: after stagger(3 s)
//!   stagger(d) = rand[0, d × scale(members))
//! ```
//!
//! Changes never put off a full sync, so that steady churn does not starve it.

use crate::base::{Duration, Instant, Prng};

const INTERVAL: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(15);
const SERVER_UP: Duration = Duration::from_secs(3);
/// For so long Consul holds the request of a server's first sync while there is no leader.
const HOLD: Duration = Duration::from_secs(7);
/// Members up to which nothing is stretched.
const SCALE_FROM: usize = 128;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Full,
    Changes,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Syncer {
    /// The next full sync; none while one is under way, and once nothing is synced any more.
    full_at: Option<Instant>,
    /// The last full sync failed.
    retries: bool,
    /// A server came while one was under way.
    server_came: bool,
    changed: bool,
    ended: bool,
    /// The first full sync has not succeeded; when it began.
    first: Option<Instant>,
    /// Of the datacenter's pool.
    members: usize,
    prng: Prng,
}

impl Syncer {
    pub fn new(now: Instant, prng: Prng) -> Self {
        let (full_at, retries) = (Some(now), true);
        Self {
            full_at,
            retries,
            server_came: false,
            changed: false,
            ended: false,
            first: Some(now),
            members: 1,
            prng,
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.full_at
    }

    pub fn members_are(&mut self, count: usize) {
        self.members = count;
    }

    /// Something is to be pushed.
    pub fn note_change(&mut self) {
        self.changed = true;
    }

    /// A server came, or there is a new leader: a better moment than planned.
    pub fn server_up(&mut self, now: Instant) {
        match self.full_at {
            Some(at) => {
                let soon = now + self.stagger(SERVER_UP);
                // In the retrying state the other wait goes on beside it.
                self.full_at = Some(at.min(soon));
            }
            None => self.server_came = !self.ended,
        }
    }

    /// This server's cluster has a leader. The first full sync waited for one, so it is done at once; as
    /// the leader's event is heard beside that, another follows soon.
    pub fn leader_known(&mut self, now: Instant) {
        let held = self.first.is_some_and(|began| now.since(began) < HOLD);
        if held && self.full_at.is_some() {
            self.full_at = Some(now);
            self.server_came = true;
        } else {
            self.server_up(now);
        }
    }

    /// What is due now, while no pass is under way.
    pub fn due(&mut self, now: Instant, paused: bool) -> Option<Wanted> {
        if self.ended || paused {
            return None;
        }
        if self.full_at.is_some_and(|at| at <= now) {
            self.full_at = None;
            self.changed = false;
            return Some(Wanted::Full);
        }
        if self.changed && !self.retries {
            self.changed = false;
            return Some(Wanted::Changes);
        }
        None
    }

    /// A full sync cannot begin yet: it counts as failed.
    pub fn put_off(&mut self, now: Instant) {
        if self.full_at.is_some_and(|at| at <= now) {
            self.full_ended(now, false);
        }
    }

    /// A full sync has ended.
    pub fn full_ended(&mut self, now: Instant, well: bool) {
        if self.ended {
            return;
        }
        self.retries = !well;
        self.first = self.first.filter(|_| !well);
        let wait = if well { INTERVAL } else { RETRY };
        self.full_at = Some(now + wait + self.stagger(wait));
        if std::mem::take(&mut self.server_came) {
            self.server_up(now);
        }
    }

    /// The agent leaves: nothing is said of its node any more.
    pub fn end(&mut self) {
        (self.ended, self.full_at) = (true, None);
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn stagger(&mut self, span: Duration) -> Duration {
        let most = span.saturating_mul(scale(self.members));
        self.prng.duration(Duration::ZERO, most)
    }
}

/// How much longer a large cluster's agents wait: 1 up to 128 members, 2 up to 256, and so on.
fn scale(members: usize) -> u32 {
    let mut scale = 1;
    let mut reached = SCALE_FROM;
    while reached < members {
        reached = reached.saturating_mul(2);
        scale += 1;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_grows_with_each_doubling() {
        let at = [1, 128, 129, 256, 257, 512, 513, 1024, 1025].map(scale);
        assert_eq!(at, [1, 1, 2, 2, 3, 3, 4, 4, 5]);
    }

    #[test]
    fn a_full_sync_comes_after_one_to_two_minutes_and_a_retry_after_fifteen_to_thirty_seconds() {
        let mut syncer = Syncer::new(Instant::ZERO, Prng::new(1));
        assert_eq!(syncer.due(Instant::ZERO, false), Some(Wanted::Full));
        for (well, least) in [(true, INTERVAL), (false, RETRY)] {
            for _ in 0..50 {
                syncer.full_ended(Instant::ZERO, well);
                let wait = syncer.deadline().expect("planned").since(Instant::ZERO);
                assert!((least..least * 2).contains(&wait), "{wait:?}");
            }
        }
    }

    #[test]
    fn changes_wait_while_the_servers_are_out_of_reach() {
        let mut syncer = Syncer::new(Instant::ZERO, Prng::new(1));
        syncer.due(Instant::ZERO, false);
        syncer.full_ended(Instant::ZERO, false);
        syncer.note_change();
        assert_eq!(syncer.due(Instant::ZERO, false), None);
        syncer.server_up(Instant::ZERO);
        let soon = syncer.deadline().expect("planned");
        assert!(soon.since(Instant::ZERO) < SERVER_UP);
        assert_eq!(syncer.due(soon, true), None, "paused");
        assert_eq!(syncer.due(soon, false), Some(Wanted::Full));
        syncer.full_ended(soon, true);
        syncer.note_change();
        syncer.note_change();
        assert_eq!(syncer.due(soon, false), Some(Wanted::Changes));
        assert_eq!(syncer.due(soon, false), None, "one push for all that changed");
    }
}
