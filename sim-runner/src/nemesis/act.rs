//! What a step does when it fires (language section 6): to nodes here, to links in
//! [`links`](super::links), to membership in [`membership`](super::membership), to clocks, disks and files in [`machines`](super::machines); requests in
//! [`request`](super::request) and [`command`](super::command).

use std::collections::BTreeSet;

use proconsul::base::Duration;
use proconsul::base::runtime::{Runtime, Signal};

use crate::fabric::Keep;
use crate::scenario::model::{Action, Condition, KeepOnKill, Step, StopSignal, Target, Wait};
use crate::scenario::{Names, show_condition, show_event};
use crate::trace::event::{Host, What};

use super::script::{Draw, Script};
use super::targets::{Needs, choose};
use super::undo::Undo;

/// How long an agent has to stop after a signal, and to answer after a start.
const PATIENCE: Duration = Duration::from_secs(30);

impl Script {
    /// Fires a step once.
    pub(super) async fn act(&self, index: usize, step: &Step) {
        let act = match &step.action {
            Action::Note { text } => {
                self.announce(index, step, self.legible(text), &[]);
                match self.fill(text) {
                    Ok(text) => self.push(What::Note { text }),
                    Err(why) => self.fail(index, why),
                }
                return;
            }
            Action::Wait(wait) => {
                self.announce(index, step, String::new(), &[]);
                return self.wait(index, step, wait).await;
            }
            Action::Http(http) => return self.http(index, step, http).await,
            Action::Heal { of } => {
                self.announce(index, step, String::new(), &[]);
                return self.heal(*of);
            }
            Action::Cli(cli) => return self.cli(index, step, cli).await,
            Action::Dns(dns) => return self.dns(index, step, dns).await,
            Action::Join { target, to, wan } => {
                return self.join(index, step, target, (to, *wan)).await;
            }
            Action::Leave { target } => return self.leave(index, step, target).await,
            Action::ForceLeave { target, via, prune } => {
                return self.force_leave(index, step, target, (via.as_ref(), *prune)).await;
            }
            Action::Repeat { .. } | Action::Parallel => return self.block(index, step).await,
            Action::Register { target, service } => {
                return self.register(index, step, target, service).await;
            }
            Action::Deregister { target, id } => {
                return self.deregister(index, step, target, id).await;
            }
            Action::ServiceDown { target, id } => {
                self.turn_service(index, step, (target.as_ref(), id), false)
            }
            Action::ServiceUp { target, id } => {
                self.turn_service(index, step, (target.as_ref(), id), true);
                return;
            }
            Action::DnsFail { target } => self.dns_fail(index, step, target),
            Action::TransferLeader { target, to } => {
                return self.transfer_leader(index, step, target, to.as_ref()).await;
            }
            Action::Partition(shape) => self.partition(index, step, shape),
            Action::Link { links, proto, fault } => self.harm(index, step, links, *proto, *fault),
            Action::Clock { target, fault } => self.clock(index, step, target, *fault),
            Action::Disk { target, fault } => self.disk(index, step, target, fault),
            Action::Wipe { target } => self.wipe(index, step, target),
            Action::Config { target, set } => self.configure(index, step, target, set),
            Action::File(file) => self.file(index, step, file),
            _ => self.act_on_nodes(index, step).await,
        };
        if let Some(span) = step.undo_after
            && act
        {
            self.sleep(span).await;
            self.undo(index).await;
        }
    }

    /// The agent that a step asks; none when there is nobody to ask and that was said.
    pub(super) fn via(&self, index: usize, step: &Step, target: &Target) -> Option<Host> {
        let chosen = self.cluster.recorder().with_view(|view| {
            self.draw(index, Draw::Target, |prng| choose(target, Needs::Up, view, prng))
        });
        if chosen.is_empty() && step.optional {
            self.push(What::StepSkipped { step: index as u32 });
        } else if chosen.is_empty() {
            self.fail(index, "`via` resolves to no node".to_owned());
        }
        chosen.first().copied()
    }

    /// Resolves a step's target; none when the step cannot act and that was said.
    pub(super) fn resolve(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        needs: Needs,
    ) -> Option<Vec<Host>> {
        let recorder = self.cluster.recorder();
        let chosen = recorder.with_view(|view| {
            let mut chosen =
                self.draw(index, Draw::Target, |prng| choose(target, needs, view, prng));
            if step.chaos {
                chosen.retain(|host| needs.met(view, *host));
                self.protect(view, &step.action, &mut chosen);
            }
            let unmet = chosen.iter().copied().find(|host| !needs.met(view, *host));
            (chosen, unmet)
        });
        match chosen {
            (hosts, None) if !hosts.is_empty() => return Some(hosts),
            _ if step.optional => self.push(What::StepSkipped { step: index as u32 }),
            (_, Some(host)) => {
                let (verb, name) = (step.action.verb(), self.cluster.name(host));
                self.fail(index, format!("cannot {verb} {name}: it {}", needs.unmet_because()));
            }
            (_, None) => {
                let verb = step.action.verb();
                self.fail(index, format!("nobody to {verb}: the target resolves to no node"));
            }
        }
        None
    }

    /// Chaos takes no more servers down at once than the scenario allows.
    fn protect(&self, view: &crate::trace::view::View, action: &Action, chosen: &mut Vec<Host>) {
        if !matches!(
            action,
            Action::Kill { .. }
                | Action::Stop { .. }
                | Action::Restart { .. }
                | Action::Pause { .. }
        ) {
            return;
        }
        let dead = view.servers().filter(|host| !view.node(*host).live());
        let dead: BTreeSet<Host> = dead.filter(|host| !chosen.contains(host)).collect();
        let spare = self.cluster.plan().cluster.max_dead_servers.saturating_sub(dead.len());
        let mut taken = 0;
        chosen.retain(|host| {
            let server = view.servers().any(|server| server == *host);
            taken += usize::from(server);
            !server || taken <= spare
        });
    }

    /// Whether anything was done.
    async fn act_on_nodes(&self, index: usize, step: &Step) -> bool {
        let (target, needs) = match &step.action {
            Action::Start { target, .. } => (target, Needs::Down),
            Action::Kill { target, .. } | Action::Stop { target, .. } => (target, Needs::Up),
            Action::Pause { target } => (target, Needs::Awake),
            Action::Resume { target } => (target, Needs::Paused),
            Action::Restart { target, .. } | Action::Readdress { target } => {
                (target, Needs::Nothing)
            }
            _ => return false,
        };
        let Some(hosts) = self.resolve(index, step, target, needs) else { return false };
        self.announce(index, step, String::new(), &hosts);
        for host in &hosts {
            self.act_on(index, &step.action, *host);
        }
        for host in hosts {
            match &step.action {
                Action::Stop { .. } => self.stopped(index, host).await,
                Action::Start { .. } | Action::Restart { .. } | Action::Readdress { .. } => {
                    self.started(index, host).await;
                }
                _ => {}
            }
        }
        true
    }

    fn act_on(&self, index: usize, action: &Action, host: Host) {
        match action {
            Action::Start { args, config, .. } => {
                self.cluster.start(host, args, config.as_ref());
                self.undone_by_hand(|undo| matches!(undo, Undo::Start(of) if *of == host));
            }
            Action::Kill { disk, .. } => {
                let keep = match disk {
                    KeepOnKill::Synced => Keep::Synced,
                    KeepOnKill::All => Keep::All,
                    KeepOnKill::Some => Keep::Some,
                };
                self.cluster.kill(host, keep);
                self.remember(index, Undo::Start(host));
            }
            Action::Stop { signal, .. } => {
                let signal = match signal {
                    StopSignal::Term => Signal::Terminate,
                    StopSignal::Int => Signal::Interrupt,
                };
                self.cluster.signal(host, signal);
                self.remember(index, Undo::Start(host));
            }
            Action::Restart { args, config, .. } => {
                if self.cluster.recorder().with_view(|view| view.node(host).running) {
                    self.cluster.kill(host, Keep::Synced);
                }
                self.cluster.start(host, args, config.as_ref());
                self.undone_by_hand(|undo| matches!(undo, Undo::Start(of) if *of == host));
            }
            Action::Readdress { .. } => {
                self.cluster.kill(host, Keep::Synced);
                self.cluster.readdress(host);
                self.cluster.start(host, &[], None);
                self.undone_by_hand(|undo| matches!(undo, Undo::Start(of) if *of == host));
            }
            Action::Pause { .. } => {
                self.cluster.pause(host);
                self.remember(index, Undo::Resume(host));
            }
            Action::Resume { .. } => {
                self.cluster.resume(host);
                self.undone_by_hand(|undo| matches!(undo, Undo::Resume(of) if *of == host));
            }
            _ => {}
        }
    }

    pub(super) async fn stopped(&self, index: usize, host: Host) {
        let gone = self.cluster.recorder().until(|view| !view.node(host).running);
        if self.runtime.timeout(PATIENCE, gone).await.is_err() {
            let name = self.cluster.name(host);
            self.fail(index, format!("{name} did not stop within {PATIENCE:?}"));
        }
    }

    /// Finished means that HTTP answers, or that the process is gone again.
    pub(super) async fn started(&self, index: usize, host: Host) {
        let deadline = self.cluster.now() + PATIENCE;
        while self.cluster.now() < deadline {
            let running = self.cluster.recorder().with_view(|view| view.node(host).running);
            if !running || self.http_answers(host).await {
                return;
            }
            self.sleep(Duration::from_millis(100)).await;
        }
        let name = self.cluster.name(host);
        self.fail(index, format!("{name} did not serve HTTP within {PATIENCE:?}"));
    }

    async fn wait(&self, index: usize, step: &Step, wait: &Wait) {
        match wait {
            Wait::For { span, holds: None } => self.sleep(*span).await,
            Wait::For { span, holds: Some(condition) } => {
                if self.breaks(condition, *span).await {
                    let what = self.shown(condition);
                    let text = format!("`while`: {what} stopped holding before {span:?} were over");
                    self.fail(index, text);
                }
            }
            Wait::Until(condition) => {
                if !self.becomes(condition, step.within).await && !step.optional {
                    let (what, within) = (self.shown(condition), step.within);
                    self.fail(index, format!("`until`: {what} did not hold within {within:?}"));
                }
            }
            Wait::UntilEvent(event) => {
                let seen = self.count(event);
                let occurs = self.occurs(event, seen);
                if self.runtime.timeout(step.within, occurs).await.is_err() && !step.optional {
                    let name = show_event(event, &Names::of(self.cluster.plan()));
                    let within = step.within;
                    self.fail(index, format!("{name} did not occur within {within:?}"));
                }
            }
        }
    }

    /// A condition as it is written.
    pub(super) fn shown(&self, condition: &Condition) -> String {
        show_condition(condition, &Names::of(self.cluster.plan()))
    }
}
