//! `join`, `leave`, `force-leave` and `dns-fail` (language section 6): what an operator asks of an
//! agent about the pool, through its HTTP API, as the commands do.

use bytes::Bytes;
use hyper::Method;
use proconsul::base::Duration;
use proconsul::base::runtime::Runtime;

use crate::scenario::model::{Step, Target};
use crate::trace::event::Host;
use crate::workload::user::User;

use super::request::{PATIENCE, shortened};
use super::script::{Draw, Script};
use super::targets::{Needs, choose};
use super::undo::Undo;

/// How long a process may take to end after it was told to leave, drains and all.
const GOODBYE: Duration = Duration::from_secs(60);

impl Script {
    pub(super) async fn join(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        (to, wan): (&Target, bool),
    ) {
        let Some(hosts) = self.resolve(index, step, target, Needs::Up) else { return };
        let recorder = self.cluster.recorder();
        let to = recorder.with_view(|view| {
            self.draw(index, Draw::Rest, |prng| choose(to, Needs::Nothing, view, prng))
        });
        if to.is_empty() {
            return self.fail(index, "`to` resolves to no node".to_owned());
        }
        let names: Vec<&str> = to.iter().map(|host| self.cluster.name(*host)).collect();
        let pool = if wan { " in the WAN pool" } else { "" };
        self.announce(index, step, format!("to {}{pool}", names.join(", ")), &hosts);
        for host in hosts {
            for other in &to {
                let query = if wan { "?wan=1" } else { "" };
                let path = format!("/v1/agent/join/{}{query}", self.cluster.ip(*other));
                if let Err(why) = self.ask(host, &path).await {
                    self.fail(index, why);
                }
            }
        }
    }

    /// The process ends by itself; where the answer is lost with it, that is no failure.
    pub(super) async fn leave(&self, index: usize, step: &Step, target: &Target) {
        let Some(hosts) = self.resolve(index, step, target, Needs::Up) else { return };
        self.announce(index, step, String::new(), &hosts);
        for host in hosts {
            let answer = self.ask(host, "/v1/agent/leave").await;
            let running = || self.cluster.recorder().with_view(|view| view.node(host).running);
            if let (Err(why), true) = (answer, running()) {
                self.fail(index, why);
                continue;
            }
            let gone = self.cluster.recorder().until(|view| !view.node(host).running);
            if self.runtime.timeout(GOODBYE, gone).await.is_err() {
                let name = self.cluster.name(host);
                self.fail(index, format!("{name} did not end within {GOODBYE:?} of leaving"));
            }
        }
    }

    pub(super) async fn force_leave(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        (via, prune): (Option<&Target>, bool),
    ) {
        let Some(hosts) = self.resolve(index, step, target, Needs::Nothing) else { return };
        let others = Target::Not(Box::new(target.clone()));
        let Some(via) = self.via(index, step, via.unwrap_or(&others)) else { return };
        let detail = format!("through {}", self.cluster.name(via));
        self.announce(index, step, detail, &hosts);
        for host in hosts {
            let query = if prune { "?prune=1" } else { "" };
            let path = format!("/v1/agent/force-leave/{}{query}", self.cluster.name(host));
            if let Err(why) = self.ask(via, &path).await {
                self.fail(index, why);
            }
        }
    }

    /// Asks an agent for something that it answers with success or not at all.
    async fn ask(&self, host: Host, path: &str) -> Result<(), String> {
        let mut user = User::new(self.runtime.clone());
        let at = self.cluster.http_address(host);
        let answer = user.request(at, Method::PUT, path, Bytes::new(), PATIENCE).await;
        let name = self.cluster.name(host);
        let answer = answer.map_err(|error| format!("no answer from {name}: {error}"))?;
        if answer.status == 200 {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Err(format!("{name} answered {} {:?}", answer.status, shortened(body.trim())))
    }

    /// Whether anything was done.
    pub(super) fn dns_fail(&self, index: usize, step: &Step, target: &Target) -> bool {
        let Some(hosts) = self.resolve(index, step, target, Needs::Nothing) else { return false };
        self.announce(index, step, String::new(), &hosts);
        for host in hosts {
            self.cluster.fail_lookups(host, true);
            self.remember(index, Undo::Lookups(host));
        }
        true
    }
}
