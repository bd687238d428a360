//! `kind = "kv"`: users read and write unique values.
//!
//! Values are unique in the run, so that every read names its write; a `cas` compares with the version
//! that this user last saw of the key. All draws come from the user's own stream: what one user meets
//! does not move another's choices.

use proconsul::base::runtime::Runtime;
use proconsul::base::{Duration, Instant, Prng};
use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::fabric::SimRuntime;
use crate::history::operation::{Call, Mode, Output};
use crate::scenario::model::{KvMix, KvWorkload, Modes, Workload};
use crate::trace::event::Host;

use super::choice::choose;
use super::user::User;

/// One user's life.
pub struct KvUser {
    /// The whole.
    pub cluster: Cluster,
    /// Its own host.
    pub runtime: SimRuntime,
    /// That host's number.
    pub host: Host,
    /// Its name.
    pub name: String,
    /// Its workload's number, from 1.
    pub workload: usize,
    /// What it was told.
    pub plan: Workload,
    /// Its draws.
    pub prng: Prng,
}

impl KvUser {
    /// Works until its time is over.
    pub async fn run(mut self, kv: KvWorkload) {
        let zero = self.cluster.recorder().zero();
        let (from, to) = (zero + self.plan.between.0, zero + self.plan.between.1);
        let pause = self.plan.pause();
        let mut user = User::new(self.runtime.clone());
        let mut versions: BTreeMap<String, u64> = BTreeMap::new();
        let mut sticky = None;
        let mut next = from + self.prng.duration(Duration::ZERO, pause);
        let mut written = 0;
        while next < to {
            self.sleep_until(next).await;
            // What slow answers have put off ends with its time: settle waits for quiet users.
            if self.cluster.now() >= to {
                return;
            }
            let key = format!("k{}", self.prng.below(u64::from(kv.keys)));
            let call = self.choose(&kv, &key, &versions, &mut written);
            let via = &self.plan.via;
            let Some(server) = choose(&self.cluster, via, &mut self.prng, &mut sticky) else {
                return;
            };
            self.operate(&mut user, server, key, call, &mut versions).await;
            // Evenly spread with jitter; a slow answer is caught up with at once.
            next += self.prng.duration(pause / 2, pause * 3 / 2);
        }
    }

    async fn sleep_until(&self, at: Instant) {
        let now = self.cluster.now();
        if at > now {
            self.runtime.sleep(at.since(now)).await;
        }
    }

    fn choose(
        &mut self,
        kv: &KvWorkload,
        key: &str,
        versions: &BTreeMap<String, u64>,
        written: &mut u64,
    ) -> Call {
        let KvMix { get, put, delete, cas, list } = kv.mix;
        let kind = self.weighted(&[get, put, delete, cas, list]);
        let mode = self.mode(kv.consistency);
        let mut value = || {
            *written += 1;
            value_of(self.workload, &self.name, *written, kv.value_bytes)
        };
        match kind {
            0 => Call::Get { mode },
            1 => Call::Put { value: value() },
            2 => Call::Delete,
            3 => Call::CasIndex { index: versions.get(key).copied().unwrap_or(0), value: value() },
            _ => Call::List { mode },
        }
    }

    fn mode(&mut self, modes: Modes) -> Mode {
        match self.weighted(&[modes.default, modes.consistent, modes.stale]) {
            0 => Mode::Default,
            1 => Mode::Consistent,
            _ => Mode::Stale,
        }
    }

    fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut draw = self.prng.below(weights.iter().sum::<u64>().max(1));
        for (place, weight) in weights.iter().enumerate() {
            if draw < *weight {
                return place;
            }
            draw -= weight;
        }
        0
    }

    async fn operate(
        &mut self,
        user: &mut User,
        server: Host,
        key: String,
        call: Call,
        versions: &mut BTreeMap<String, u64>,
    ) {
        // A list reads every key of the workload.
        let key = if matches!(call, Call::List { .. }) { "k".to_owned() } else { key };
        let op = self.cluster.invoke(self.host, &self.name, server, &key, &call);
        let to = self.cluster.http_address(server);
        let answered = user.operate(to, &key, &call, self.plan.timeout).await;
        for seen in seen(&answered.output) {
            if let Some(index) = seen.1 {
                versions.insert(seen.0, index);
            }
        }
        if matches!(answered.output, Some(Output::Value(None))) {
            versions.remove(&key);
        }
        self.cluster.complete(self.host, op, answered);
    }
}

fn seen(output: &Option<Output>) -> Vec<(String, Option<u64>)> {
    match output {
        Some(Output::Value(Some(seen))) => vec![(seen.key.clone(), seen.modify_index)],
        Some(Output::Values(all)) => {
            all.iter().map(|seen| (seen.key.clone(), seen.modify_index)).collect()
        }
        _ => Vec::new(),
    }
}

/// `w1.u2.17`, padded with dots to the size; longer when the size is too small to be unique.
fn value_of(workload: usize, user: &str, number: u64, bytes: usize) -> String {
    let mut value = format!("w{workload}.{user}.{number}");
    let missing = bytes.saturating_sub(value.len());
    value.extend(std::iter::repeat_n('.', missing));
    value
}
