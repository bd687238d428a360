//! `kind = "lock"`: users take locks, hold them, give them back, and now and then die holding one.
//!
//! As Consul's clients do: a session with a TTL, renewed at half of it; acquire by the key, again after
//! a while when somebody else holds it. Who dies stops renewing and forgets the session, so that
//! others get the lock only when the TTL and the lock delay are over; or destroys it with the lock still held,
//! and others wait for the lock delay alone. An acquisition whose outcome is
//! unknown may have succeeded: the user destroys that session, or keeps it and gives the lock back.
//! Locks are the keys `lock/0 lock/1 …`, which no other workload touches.

use proconsul::base::{Duration, Instant, Ratio};

use crate::history::operation::Mode;
use crate::history::request::{Behavior, Reply, Request};
use crate::scenario::model::LockWorkload;
use crate::trace::event::Host;

use super::client::{Client, Told, ns};

/// How often one dies that holds a lock.
const DIES: Ratio = Ratio { numerator: 1, denominator: 6 };
/// The lock delay: short, so that runs show locks after it.
const DELAY_NS: u64 = 4_000_000_000;

/// A user's session.
struct Own {
    id: String,
    agent: Host,
    /// When it is to be renewed.
    renew_at: Instant,
}

/// One user's life.
pub async fn run(mut client: Client, plan: LockWorkload) {
    let mut session: Option<Own> = None;
    let mut written = 0_u64;
    while client.turn().await {
        let own = match session.take() {
            Some(own) => own,
            None => match create(&mut client, &plan).await {
                Some(own) => own,
                None => continue,
            },
        };
        let Some(own) = renewed(&mut client, &plan, own).await else { continue };
        let key = format!("lock/{}", client.prng.below(u64::from(plan.keys)));
        written += 1;
        let value = format!("{}.{written}", client.name);
        let Some(agent) = client.agent() else { return };
        let request = Request::Acquire { session: own.id.clone(), value };
        match client.ask(agent, &key, request).await {
            Told::Reply(Reply::Granted(true), _) => {
                session = hold(&mut client, &plan, own, &key).await;
            }
            Told::Reply(Reply::NoSession, _) => {}
            Told::Unknown => session = doubt(&mut client, own, &key).await,
            Told::Reply(..) | Told::Refused => {
                look(&mut client, &key).await;
                session = Some(own);
            }
        }
    }
}

async fn create(client: &mut Client, plan: &LockWorkload) -> Option<Own> {
    let agent = client.agent()?;
    let ttl_ns = ns(plan.ttl);
    let behavior = Behavior::Release;
    let request = Request::CreateSession { ttl_ns, lock_delay_ns: DELAY_NS, behavior };
    match client.ask(agent, "", request).await {
        Told::Reply(Reply::Created(id), _) => {
            Some(Own { id, agent, renew_at: client.now() + plan.ttl / 2 })
        }
        _ => None,
    }
}

/// The session, renewed when that is due; none when it is gone.
async fn renewed(client: &mut Client, plan: &LockWorkload, mut own: Own) -> Option<Own> {
    if client.now() < own.renew_at {
        return Some(own);
    }
    let told = client.ask(own.agent, &own.id, Request::RenewSession).await;
    if matches!(told, Told::Reply(Reply::Exists(false), _)) {
        return None;
    }
    // Without an answer it is tried again soon.
    let answered = matches!(told, Told::Reply(..));
    own.renew_at = client.now() + if answered { plan.ttl / 2 } else { Duration::from_secs(1) };
    Some(own)
}

/// Holds the lock for a while, and gives it back; none when it died, or the session did.
async fn hold(client: &mut Client, plan: &LockWorkload, own: Own, key: &str) -> Option<Own> {
    if client.prng.chance(DIES) {
        // Some shut down in order, and destroy the session with the lock still held.
        if client.prng.chance(Ratio::new(1, 2)) {
            client.ask(own.agent, &own.id, Request::DestroySession).await;
        }
        return None;
    }
    let until = client.now() + client.prng.duration(plan.hold.low, plan.hold.high);
    let mut own = own;
    while client.now() < until {
        if !client.sleep_until(until.min(own.renew_at)).await {
            return None;
        }
        own = renewed(client, plan, own).await?;
    }
    if client.prng.chance(Ratio::new(1, 3)) {
        look(client, key).await;
    }
    give_back(client, own, key).await
}

async fn give_back(client: &mut Client, own: Own, key: &str) -> Option<Own> {
    let agent = client.agent()?;
    let request = Request::Release { session: own.id.clone(), value: String::new() };
    match client.ask(agent, key, request).await {
        Told::Unknown => doubt(client, own, key).await,
        _ => Some(own),
    }
}

/// Nobody knows whether it holds the lock: most destroy the session, which ends all doubt.
async fn doubt(client: &mut Client, own: Own, key: &str) -> Option<Own> {
    if client.prng.chance(Ratio::new(3, 4)) {
        client.ask(own.agent, &own.id, Request::DestroySession).await;
        return None;
    }
    let agent = client.agent()?;
    let request = Request::Release { session: own.id.clone(), value: String::new() };
    client.ask(agent, key, request).await;
    Some(own)
}

async fn look(client: &mut Client, key: &str) {
    if let Some(agent) = client.agent() {
        client.ask(agent, key, Request::Holder { mode: Mode::Consistent }).await;
    }
}
