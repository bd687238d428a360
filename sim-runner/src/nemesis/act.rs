//! What a step does when it fires, and how it is undone (language section 6).

use std::collections::BTreeSet;

use proconsul::base::runtime::{Runtime, Signal, Task};
use proconsul::base::{Duration, Prng};

use crate::fabric::{Keep, SimRuntime};
use crate::scenario::model::{Action, KeepOnKill, Partition, Step, StopSignal, Target, Wait};
use crate::trace::event::{Host, What};

use super::partition::{self, Cuts};
use super::script::{Draw, Script};
use super::targets::{Needs, choose};

/// How long an agent has to stop after a signal, and to answer after a start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What takes a fault back.
pub(super) enum Undo {
    /// The node was killed or stopped.
    Start(Host),
    /// The node was paused.
    Resume(Host),
    /// These links were cut.
    Heal(Cuts),
    /// These links are cut and healed in turn by a task.
    Flapping(Cuts, <SimRuntime as Runtime>::Task, std::sync::Arc<std::sync::Mutex<bool>>),
}

impl Script {
    /// Fires a step once.
    pub(super) async fn act(&self, index: usize, step: &Step) {
        let act = match &step.action {
            Action::Note { text } => {
                self.announce(index, step, text.clone(), &[]);
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
            Action::Partition(shape) => self.partition(index, step, shape),
            _ => self.act_on_nodes(index, step).await,
        };
        if let Some(span) = step.undo_after
            && act
        {
            self.sleep(span).await;
            self.undo(index).await;
        }
    }

    /// Resolves a step's target; none when the step cannot act and that was said.
    fn resolve(
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
            Action::Restart { target, .. } => (target, Needs::Nothing),
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
                Action::Start { .. } | Action::Restart { .. } => self.started(index, host).await,
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

    /// Another step has just taken back what these did: they have nothing to undo any more.
    fn undone_by_hand(&self, done: impl Fn(&Undo) -> bool) {
        for step in 0..self.steps() {
            let undo = self.take_undo(step);
            let before = undo.len();
            let left: Vec<Undo> = undo.into_iter().filter(|undo| !done(undo)).collect();
            if left.is_empty() && before > 0 {
                self.push(What::StepUndone { step: step as u32 });
            }
            for undo in left {
                self.remember(step, undo);
            }
        }
    }

    async fn stopped(&self, index: usize, host: Host) {
        let gone = self.cluster.recorder().until(|view| !view.node(host).running);
        if self.runtime.timeout(PATIENCE, gone).await.is_err() {
            let name = self.cluster.name(host);
            self.fail(index, format!("{name} did not stop within {PATIENCE:?}"));
        }
    }

    /// Finished means that HTTP answers, or that the process is gone again.
    async fn started(&self, index: usize, host: Host) {
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

    fn partition(&self, index: usize, step: &Step, shape: &Partition) -> bool {
        let agents = self.cluster.agents();
        let drawn = |draw: fn(&[Host], &mut Prng) -> Cuts, hosts: &[Host]| {
            self.draw(index, Draw::Rest, |prng| draw(hosts, prng))
        };
        let (cuts, targets) = match shape {
            Partition::Groups(groups) => match self.groups(index, step, groups) {
                Some(groups) => {
                    let mut all = agents;
                    all.extend(groups.iter().flatten().copied());
                    all.sort_unstable();
                    all.dedup();
                    let first = groups.first().cloned().unwrap_or_default();
                    (partition::groups(&groups, &all), first)
                }
                None => return false,
            },
            Partition::Isolate { target } | Partition::Flapping { target, .. } => {
                match self.resolve(index, step, target, Needs::Up) {
                    Some(hosts) => (partition::isolate(&hosts, &agents), hosts),
                    None => return false,
                }
            }
            Partition::OneWay { target } => match self.resolve(index, step, target, Needs::Up) {
                Some(hosts) => (partition::one_way(&hosts, &agents), hosts),
                None => return false,
            },
            Partition::Split => (drawn(partition::split, &agents), Vec::new()),
            Partition::Bridge => (drawn(partition::bridge, &agents), Vec::new()),
            Partition::MajoritiesRing => (drawn(partition::majorities_ring, &agents), Vec::new()),
        };
        self.announce(index, step, shape_name(shape).to_owned(), &targets);
        let undo = match shape {
            Partition::Flapping { period, .. } => self.flap(cuts, *period),
            _ => {
                self.cut(&cuts);
                Undo::Heal(cuts)
            }
        };
        self.remember(index, undo);
        true
    }

    /// The groups of a partition; `rest` is everybody who is in no other.
    fn groups(&self, index: usize, step: &Step, targets: &[Target]) -> Option<Vec<Vec<Host>>> {
        let mut groups = Vec::new();
        for target in targets {
            groups.push(match target {
                Target::Rest => Vec::new(),
                target => self.resolve(index, step, target, Needs::Nothing)?,
            });
        }
        let named: BTreeSet<Host> = groups.iter().flatten().copied().collect();
        for (group, target) in groups.iter_mut().zip(targets) {
            if *target == Target::Rest {
                group
                    .extend(self.cluster.agents().into_iter().filter(|host| !named.contains(host)));
            }
        }
        Some(groups)
    }

    fn cut(&self, cuts: &Cuts) {
        for (from, to) in cuts {
            self.cluster.cut(*from, *to);
        }
    }

    fn restore(&self, cuts: &Cuts) {
        for (from, to) in cuts {
            self.cluster.heal(*from, *to);
        }
    }

    fn flap(&self, cuts: Cuts, period: Duration) -> Undo {
        let is_cut = std::sync::Arc::new(std::sync::Mutex::new(false));
        let (script, links, state) = (self.clone(), cuts.clone(), is_cut.clone());
        let task = self.runtime.spawn("flapping", async move {
            loop {
                script.cut(&links);
                *state.lock().expect("a simulation has one thread") = true;
                script.sleep(period / 2).await;
                script.restore(&links);
                *state.lock().expect("a simulation has one thread") = false;
                script.sleep(period / 2).await;
            }
        });
        Undo::Flapping(cuts, task, is_cut)
    }

    fn heal(&self, of: Option<usize>) {
        let steps = match of {
            Some(step) => step..step + 1,
            None => 0..self.steps(),
        };
        for step in steps {
            let (network, other): (Vec<Undo>, Vec<Undo>) = self
                .take_undo(step)
                .into_iter()
                .partition(|undo| matches!(undo, Undo::Heal(_) | Undo::Flapping(..)));
            let any = !network.is_empty();
            for undo in network {
                self.undo_network(undo);
            }
            for undo in other {
                // `heal of` undoes whatever that step did; `heal` alone only what the network suffers.
                match of {
                    Some(_) => self.undo_node(undo),
                    None => self.remember(step, undo),
                }
            }
            if any || of.is_some() {
                self.push(What::StepUndone { step: step as u32 });
            }
        }
    }

    fn undo_network(&self, undo: Undo) {
        match undo {
            Undo::Heal(cuts) => self.restore(&cuts),
            Undo::Flapping(cuts, task, is_cut) => {
                task.abort();
                if *is_cut.lock().expect("a simulation has one thread") {
                    self.restore(&cuts);
                }
            }
            Undo::Start(_) | Undo::Resume(_) => {}
        }
    }

    fn undo_node(&self, undo: Undo) {
        let view = self.cluster.recorder();
        match undo {
            // Somebody else may have started or resumed it meanwhile.
            Undo::Start(host) => {
                if !view.with_view(|view| view.node(host).running) {
                    self.cluster.start(host, &[], None);
                }
            }
            Undo::Resume(host) => {
                if view.with_view(|view| Needs::Paused.met(view, host)) {
                    self.cluster.resume(host);
                }
            }
            network => self.undo_network(network),
        }
    }

    /// Takes back what a step did, and waits for the agents that this starts.
    pub(super) async fn undo(&self, index: usize) {
        let undo = self.take_undo(index);
        if undo.is_empty() {
            return;
        }
        let mut starting = Vec::new();
        for undo in undo {
            if let Undo::Start(host) = undo {
                starting.push(host);
            }
            self.undo_node(undo);
        }
        for host in starting {
            self.started(index, host).await;
        }
        self.push(What::StepUndone { step: index as u32 });
    }

    async fn wait(&self, index: usize, step: &Step, wait: &Wait) {
        match wait {
            Wait::For { span, holds: None } => self.sleep(*span).await,
            Wait::For { span, holds: Some(condition) } => {
                if self.breaks(condition, *span).await {
                    self.fail(index, format!("`while` stopped holding before {span:?} were over"));
                }
            }
            Wait::Until(condition) => {
                if !self.becomes(condition, step.within).await && !step.optional {
                    let within = step.within;
                    self.fail(index, format!("`until` did not hold within {within:?}"));
                }
            }
            Wait::UntilEvent(event) => {
                let seen = self.count(event);
                let occurs = self.occurs(event, seen);
                if self.runtime.timeout(step.within, occurs).await.is_err() && !step.optional {
                    let name = crate::trace::happened::name(event);
                    let within = step.within;
                    self.fail(index, format!("{name} did not occur within {within:?}"));
                }
            }
        }
    }
}

fn shape_name(shape: &Partition) -> &'static str {
    match shape {
        Partition::Groups(_) => "groups",
        Partition::Isolate { .. } => "isolate",
        Partition::Split => "split",
        Partition::Bridge => "bridge",
        Partition::MajoritiesRing => "majorities-ring",
        Partition::OneWay { .. } => "one-way",
        Partition::Flapping { .. } => "flapping",
    }
}
