//! `kind = "event"`: users fire user events, whose names are unique.
//!
//! What became of them is in the trace, where every agent tells which it was given; the history is
//! one of keys, and nothing of this belongs there.

use bytes::Bytes;
use hyper::Method;
use proconsul::base::runtime::Runtime;
use proconsul::base::{Duration, Prng};

use crate::cluster::Cluster;
use crate::fabric::SimRuntime;
use crate::scenario::model::{EventWorkload, Workload};
use crate::trace::event::Host;

use super::choice::choose;
use super::user::User;

/// One user's life.
pub struct EventUser {
    /// The whole.
    pub cluster: Cluster,
    /// Its own host.
    pub runtime: SimRuntime,
    /// Its name.
    pub name: String,
    /// What it was told.
    pub plan: Workload,
    /// Its draws.
    pub prng: Prng,
}

impl EventUser {
    /// Works until its time is over.
    pub async fn run(mut self, event: EventWorkload) {
        let zero = self.cluster.recorder().zero();
        let (from, to) = (zero + self.plan.between.0, zero + self.plan.between.1);
        let pause = self.plan.pause();
        let mut user = User::new(self.runtime.clone());
        let mut sticky: Option<Host> = None;
        let mut next = from + self.prng.duration(Duration::ZERO, pause);
        let mut fired = 0;
        while next < to {
            self.runtime.sleep(next.since(self.cluster.now())).await;
            if self.cluster.now() >= to {
                return;
            }
            let via = &self.plan.via;
            let Some(agent) = choose(&self.cluster, via, &mut self.prng, &mut sticky) else {
                return;
            };
            fired += 1;
            let path = format!("/v1/event/fire/{}-{fired}", self.name);
            let payload = Bytes::from(vec![b'.'; event.size_bytes]);
            let at = self.cluster.http_address(agent);
            // Whether it was taken shows in the trace.
            let _ = user.request(at, Method::PUT, &path, payload, self.plan.timeout).await;
            next += self.prng.duration(pause / 2, pause * 3 / 2);
        }
    }
}
