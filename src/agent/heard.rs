//! What a server makes of what gossip tells it (spec cluster 3.5).

use bytes::Bytes;

use crate::base::{Duration, Instant, RequestId};
use crate::gossip::{self, MemberEventKind};

use super::core::Agent;
use super::io::Output;
use super::local::Local;
use super::members::{Heard, OWN, PoolId};
use super::membership::{Membership, NEW_LEADER};
use super::types::{Failure, Reply};
use super::user_events::FiredEvent;

/// Between two looks for servers that are not in the WAN pool.
pub(super) const FLOOD_INTERVAL: Duration = Duration::from_secs(60);

impl Agent {
    /// Whatever follows from a step, until nothing more does.
    pub(super) fn settle(&mut self, now: Instant, out: &mut Vec<Output>) {
        loop {
            let heard = self.members.as_mut().map(|members| members.heard()).unwrap_or_default();
            let any = !heard.is_empty();
            heard.into_iter().for_each(|heard| self.on_heard(now, heard, out));
            self.attend_to_duties(now, out);
            if !self.run_errands(now, out) && !any {
                break;
            }
        }
        self.check_leave(now, out);
    }

    fn on_heard(&mut self, now: Instant, heard: Heard, out: &mut Vec<Output>) {
        match heard {
            Heard::Member(PoolId::Lan, event) => {
                self.tell_local_of_members();
                if matches!(event.kind, MemberEventKind::Join) {
                    self.maybe_bootstrap(now, out);
                    self.flood(now, out);
                }
                let reaped = event.kind == MemberEventKind::Reap;
                let has_left = event.kind == MemberEventKind::Leave;
                self.reconcile_member(now, event.member, reaped, out);
                if has_left {
                    self.prune_dead_servers(now, out);
                }
            }
            Heard::UserEvent(event) => {
                let new_leader = Membership::of_user_event(&event);
                if let Some(local) = self.local.as_mut().filter(|_| new_leader.is_some()) {
                    local.leader_known(now);
                }
                out.extend(new_leader.map(Output::member));
                let services = self.local.as_ref().map(Local::services).unwrap_or_default();
                self.user_events.hear(&event, &services, out);
            }
            Heard::QueryAnswered(pool, id, from, payload) => {
                self.on_keys_answered(now, (pool, id), (&from, &payload), out);
            }
            Heard::QueryEnded(pool, id, result) => {
                self.on_keys_ended(now, (pool, id), result, out);
            }
            Heard::Left(pool) => self.on_pool_left(now, pool, out),
            Heard::Member(PoolId::Wan, _) => {}
        }
    }

    /// The larger the pool, the less often an agent compares its node with the catalog.
    fn tell_local_of_members(&mut self) {
        if let (Some(local), Some(members)) = (&mut self.local, &self.members) {
            local.members_are(members.lan().members().count());
        }
    }

    /// Once in a while, for a join that failed.
    pub(super) fn on_flood_deadline(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.next_flood.is_some_and(|at| at <= now) {
            self.next_flood = Some(now + FLOOD_INTERVAL);
            self.flood(now, out);
        }
    }

    /// Joins the servers of the own datacenter to the WAN pool. 0.5.2 left that to its operators.
    pub(super) fn flood(&mut self, now: Instant, out: &mut Vec<Output>) {
        let is_legacy = self.is_legacy();
        let Some(members) = &mut self.members else { return };
        if self.leave.is_some() || is_legacy {
            return;
        }
        let addresses = members.unflooded();
        if !addresses.is_empty() {
            let input = gossip::Input::Join { request: OWN, addresses, ignore_old: true };
            members.step(now, PoolId::Wan, input, out);
        }
    }

    /// Hands a user event to Serf, as `Internal.EventFire` is asked to.
    pub(super) fn fire_user_event(
        &mut self,
        now: Instant,
        id: RequestId,
        name: &str,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        let result = match &mut self.members {
            Some(members) => members.fire(now, FiredEvent::serf_name(name), payload, out),
            None => Err("this server takes no part in gossip".to_owned()),
        };
        // In the words of Go's list of errors, as one segment of the pool has refused it.
        let result = result.map(|()| Reply::Done).map_err(|why| {
            Failure::Refused(format!(
                "1 error occurred:\n\t* error broadcasting event to segment \"\": {why}\n\n"
            ))
        });
        self.answer(id, result, out);
    }

    /// Tells all that this server leads.
    pub(super) fn announce_leadership(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(members) = &mut self.members else { return };
        let payload = self.config.node_name.clone().into_bytes().into();
        let (request, name) = (OWN, NEW_LEADER.to_owned());
        let input = gossip::Input::UserEvent { request, name, payload, coalesce: false };
        members.step(now, PoolId::Lan, input, out);
    }
}
