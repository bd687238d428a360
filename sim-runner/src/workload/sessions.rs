//! `kind = "session"`: users create sessions, renew them for a while, and then destroy them or let them
//! expire, and look whether they are there meanwhile.

use proconsul::base::{Instant, Ratio};

use crate::history::operation::Mode;
use crate::history::request::{Reply, Request};
use crate::scenario::model::SessionWorkload;
use crate::trace::event::Host;

use super::client::{Client, Told, ns};

/// One user has at most so many at a time.
const MOST: usize = 4;

/// A session that the user created.
struct Own {
    id: String,
    agent: Host,
    renewals_left: u64,
    renew_at: Instant,
    /// What comes when it is renewed no more.
    destroy: bool,
}

/// One user's life.
pub async fn run(mut client: Client, plan: SessionWorkload) {
    let mut sessions: Vec<Own> = Vec::new();
    while client.turn().await {
        let now = client.now();
        let due = sessions
            .iter()
            .position(|own| now >= own.renew_at && (own.renewals_left > 0 || own.destroy));
        if let Some(place) = due {
            if !attend(&mut client, &plan, &mut sessions[place]).await {
                sessions.remove(place);
            }
        } else if sessions.len() < MOST && client.prng.chance(Ratio::new(1, 2)) {
            sessions.extend(create(&mut client, &plan).await);
        } else if !sessions.is_empty() {
            let place = client.prng.below(sessions.len() as u64) as usize;
            let Some(agent) = client.agent() else { return };
            let request = Request::SessionInfo { mode: Mode::Consistent };
            let told = client.ask(agent, &sessions[place].id.clone(), request).await;
            if matches!(told, Told::Reply(Reply::Exists(false), _)) {
                sessions.remove(place);
            }
        }
    }
}

async fn create(client: &mut Client, plan: &SessionWorkload) -> Option<Own> {
    let agent = client.agent()?;
    let request =
        Request::CreateSession { ttl_ns: ns(plan.ttl), lock_delay_ns: 0, behavior: plan.behavior };
    let Told::Reply(Reply::Created(id), _) = client.ask(agent, "", request).await else {
        return None;
    };
    Some(Own {
        id,
        agent,
        renewals_left: client.prng.below(4),
        renew_at: client.now() + plan.ttl / 2,
        destroy: client.prng.chance(Ratio::new(1, 3)),
    })
}

/// Renews or destroys a session; false when there is nothing more to do for it.
async fn attend(client: &mut Client, plan: &SessionWorkload, own: &mut Own) -> bool {
    if own.renewals_left == 0 {
        client.ask(own.agent, &own.id, Request::DestroySession).await;
        return false;
    }
    own.renewals_left -= 1;
    own.renew_at = client.now() + plan.ttl / 2;
    let told = client.ask(own.agent, &own.id, Request::RenewSession).await;
    !matches!(told, Told::Reply(Reply::Exists(false), _))
}
