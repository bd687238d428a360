//! How what a step did is taken back: by `for`, by `heal`, by another step, or at the end of the run.

use std::sync::{Arc, Mutex};

use proconsul::base::runtime::{Runtime, Task};

use crate::fabric::SimRuntime;
use crate::scenario::fault::LinkFault;
use crate::trace::event::{Host, What};

use super::partition::Cuts;
use super::script::Script;
use super::targets::Needs;

/// What takes a fault back.
pub(super) enum Undo {
    /// The node was killed or stopped.
    Start(Host),
    /// The node was paused.
    Resume(Host),
    /// Its name lookups fail.
    Lookups(Host),
    /// What stands behind this service of it fails.
    ServiceUp(Host, String),
    /// Its clock or its disk ails, by this number.
    Relieve(Host, u64),
    /// Its wall clock jumps and comes back in turn by a task; the number of the jump it stands at.
    Strobe(Host, <SimRuntime as Runtime>::Task, Arc<Mutex<Option<u64>>>),
    /// These links were cut.
    Heal(Cuts),
    /// These links suffer from this fault, by this number.
    Mend(Cuts, u64, LinkFault),
    /// These links are cut and healed in turn by a task.
    Flapping(Cuts, <SimRuntime as Runtime>::Task, Arc<Mutex<bool>>),
}

impl Script {
    /// Another step has just taken back what these did: they have nothing to undo any more.
    pub(super) fn undone_by_hand(&self, done: impl Fn(&Undo) -> bool) {
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

    pub(super) fn heal(&self, of: Option<usize>) {
        let steps = match of {
            Some(step) => step..step + 1,
            None => 0..self.steps(),
        };
        for step in steps {
            let (network, other): (Vec<Undo>, Vec<Undo>) =
                self.take_undo(step).into_iter().partition(|undo| {
                    matches!(undo, Undo::Heal(_) | Undo::Flapping(..) | Undo::Mend(..))
                });
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
            Undo::Mend(links, number, fault) => {
                for (from, to) in links {
                    self.cluster.mend(number, from, to, fault);
                }
            }
            Undo::Flapping(cuts, task, is_cut) => {
                task.abort();
                if *is_cut.lock().expect("a simulation has one thread") {
                    self.restore(&cuts);
                }
            }
            Undo::Start(_)
            | Undo::Resume(_)
            | Undo::Lookups(_)
            | Undo::ServiceUp(..)
            | Undo::Relieve(..)
            | Undo::Strobe(..) => {}
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
            Undo::Lookups(host) => self.cluster.fail_lookups(host, false),
            Undo::ServiceUp(host, id) => {
                self.cluster.backends().set(&self.cluster, host, &id, true);
            }
            Undo::Relieve(host, number) => self.cluster.relieve(host, number),
            Undo::Strobe(host, task, ahead) => {
                task.abort();
                if let Some(number) = *ahead.lock().expect("a simulation has one thread") {
                    self.cluster.relieve(host, number);
                }
            }
            network => self.undo_network(network),
        }
    }

    fn is_on_its_way_out(&self, host: Host) -> bool {
        let recorder = self.cluster.recorder();
        recorder.is_stopping(host) && recorder.with_view(|view| view.node(host).running)
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
                // One that was told to stop and has not yet: it cannot be started before it is gone.
                if self.is_on_its_way_out(host) {
                    self.stopped(index, host).await;
                }
                starting.push(host);
            }
            self.undo_node(undo);
        }
        for host in starting {
            self.started(index, host).await;
        }
        self.push(What::StepUndone { step: index as u32 });
    }
}
