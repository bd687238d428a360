//! Steps that act on clocks, disks and files (language section 6).
//!
//! A machine has its clock and its disk whether or not an agent runs on it, so a node that was named
//! is never refused; draws and groups mean nodes that are up, as for other verbs, while there are
//! any. `file`, `bit-rot` and `misdirect` act on what lies on a disk, and mean all.

use std::sync::{Arc, Mutex};

use proconsul::base::Duration;
use proconsul::base::runtime::Runtime;
use serde_json::Value;

use crate::cluster::{Ailment, Edit};
use crate::fabric::{Damage, NextCut};
use crate::scenario::fault::{ClockFault, DiskFault, FileAct, FileExpect, FileStep};
use crate::scenario::model::{Step, Target};
use crate::scenario::{show_duration, show_ns, show_ppm, show_span};
use crate::trace::event::{Host, What};

use super::request::{compare_json, compare_parts, matches, shortened};
use super::script::{Draw, Script};
use super::targets::{Needs, choose};
use super::undo::Undo;

impl Script {
    /// The machines of a target; none, and that is said, when it is nobody.
    fn machines(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        needs: Needs,
    ) -> Option<Vec<Host>> {
        let recorder = self.cluster.recorder();
        let chosen = recorder.with_view(|view| {
            self.draw(index, Draw::Target, |prng| choose(target, needs, view, prng))
        });
        match chosen.is_empty() {
            false => Some(chosen),
            // None of a group is up, or there is nobody, and that is said.
            true => self.resolve(index, step, target, Needs::Nothing),
        }
    }

    pub(super) fn clock(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        fault: ClockFault,
    ) -> bool {
        let Some(hosts) = self.machines(index, step, target, Needs::Up) else { return false };
        let detail = match fault {
            ClockFault::Drift(by) => format!("by {}", show_ppm(by)),
            ClockFault::Skew(by) | ClockFault::Jump(by) => format!("by {}", show_ns(by)),
            ClockFault::Strobe { by_ns, every } => {
                format!("by {} every {}", show_ns(by_ns), show_duration(every))
            }
        };
        self.announce(index, step, detail, &hosts);
        for host in hosts {
            let undo = match fault {
                ClockFault::Drift(by) => self.afflicted(host, Ailment::Drift(by)),
                ClockFault::Skew(by) => self.afflicted(host, Ailment::Skew(by)),
                ClockFault::Jump(by) => self.afflicted(host, Ailment::Jump(by)),
                ClockFault::Strobe { by_ns, every } => self.strobe(host, by_ns, every),
            };
            self.remember(index, undo);
        }
        true
    }

    fn afflicted(&self, host: Host, ailment: Ailment) -> Undo {
        Undo::Relieve(host, self.cluster.afflict(host, ailment))
    }

    fn strobe(&self, host: Host, by_ns: i64, every: Duration) -> Undo {
        let ahead = Arc::new(Mutex::new(None));
        let (script, state) = (self.clone(), ahead.clone());
        let task = self.runtime.spawn("strobe", async move {
            loop {
                let number = script.cluster.afflict(host, Ailment::Jump(by_ns));
                *state.lock().expect("a simulation has one thread") = Some(number);
                script.sleep(every).await;
                *state.lock().expect("a simulation has one thread") = None;
                script.cluster.relieve(host, number);
                script.sleep(every).await;
            }
        });
        Undo::Strobe(host, task, ahead)
    }

    pub(super) fn disk(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        fault: &DiskFault,
    ) -> bool {
        let (needs, detail) = match fault {
            DiskFault::BitRot { path, count } | DiskFault::Misdirect { path, count } => {
                (Needs::Nothing, format!("{path} × {count}"))
            }
            DiskFault::SlowFsync { by } => (Needs::Up, format!("by {}", show_span(*by))),
            DiskFault::DiskFull { after } => (Needs::Up, format!("after {after} bytes")),
            _ => (Needs::Up, String::new()),
        };
        let Some(hosts) = self.machines(index, step, target, needs) else { return false };
        self.announce(index, step, detail, &hosts);
        for host in hosts {
            self.act_on_disk(index, step, host, fault);
        }
        true
    }

    fn act_on_disk(&self, index: usize, step: &Step, host: Host, fault: &DiskFault) {
        let ailment = match fault {
            DiskFault::SlowFsync { by } => Ailment::SlowFsync(*by),
            DiskFault::FsyncLies => Ailment::FsyncLies,
            DiskFault::DiskFull { after } => Ailment::DiskFull(*after),
            DiskFault::IoError { read, write, fsync, which } => {
                Ailment::IoError { read: *read, write: *write, fsync: *fsync, which: *which }
            }
            DiskFault::TornWrite => {
                let torn = NextCut { torn_write: true, ..NextCut::default() };
                return self.cluster.set_next_cut(host, fault.verb(), torn);
            }
            DiskFault::LoseUnsynced => {
                let lost = NextCut { lose_unsynced: true, ..NextCut::default() };
                return self.cluster.set_next_cut(host, fault.verb(), lost);
            }
            DiskFault::BitRot { path, count } => {
                return self.damage(index, step, host, Damage::BitRot, (path, *count));
            }
            DiskFault::Misdirect { path, count } => {
                return self.damage(index, step, host, Damage::Misdirect, (path, *count));
            }
        };
        let undo = self.afflicted(host, ailment);
        self.remember(index, undo);
    }

    fn damage(&self, index: usize, step: &Step, host: Host, how: Damage, what: (&str, u64)) {
        let (path, count) = what;
        let pattern = match self.fill(path) {
            Ok(pattern) => pattern,
            Err(why) => return self.fail(index, why),
        };
        if self.cluster.damage(host, how, count, |path| matches(&pattern, path)) > 0 {
            return;
        }
        if step.optional {
            return self.push(What::StepSkipped { step: index as u32 });
        }
        let name = self.cluster.name(host);
        let text = format!("no file of {name} that matches {pattern:?} has any content to damage");
        self.fail(index, text);
    }

    pub(super) fn wipe(&self, index: usize, step: &Step, target: &Target) -> bool {
        let Some(hosts) = self.resolve(index, step, target, Needs::Down) else { return false };
        self.announce(index, step, String::new(), &hosts);
        for host in hosts {
            self.cluster.wipe(host);
        }
        true
    }

    pub(super) fn configure(
        &self,
        index: usize,
        step: &Step,
        target: &Target,
        set: &Value,
    ) -> bool {
        let Some(hosts) = self.machines(index, step, target, Needs::Nothing) else { return false };
        self.announce(index, step, set.to_string(), &hosts);
        for host in hosts {
            self.cluster.configure(host, set);
        }
        true
    }

    pub(super) fn file(&self, index: usize, step: &Step, file: &FileStep) -> bool {
        let hosts = self.machines(index, step, &file.target, Needs::Nothing);
        let Some(hosts) = hosts else { return false };
        let act = match file.act {
            FileAct::Write(_) => "write",
            FileAct::Delete => "delete",
            FileAct::Truncate(_) => "truncate",
            FileAct::Corrupt(_) => "corrupt",
            FileAct::Expect(_) => "expect",
        };
        self.announce(index, step, format!("{act} {}", file.path), &hosts);
        for host in hosts {
            if let Err(why) = self.file_of(host, file) {
                let name = self.cluster.name(host);
                self.fail(index, format!("{} of {name}: {why}", file.path));
            }
        }
        true
    }

    fn file_of(&self, host: Host, file: &FileStep) -> Result<(), String> {
        let path = self.fill(&file.path)?;
        let written;
        let edit = match &file.act {
            FileAct::Write(text) => {
                written = self.fill(text)?;
                Edit::Write(&written)
            }
            FileAct::Delete => Edit::Delete,
            FileAct::Truncate(bytes) => Edit::Truncate(*bytes),
            FileAct::Corrupt(bits) => Edit::Corrupt(*bits),
            FileAct::Expect(expect) => {
                return self.compare_file(expect, self.cluster.read_file(host, &path));
            }
        };
        self.cluster.edit_file(host, &path, edit).map_err(|error| error.to_string())
    }

    fn compare_file(&self, expect: &FileExpect, found: Option<Vec<u8>>) -> Result<(), String> {
        let Some(found) = found else {
            return match expect.absent {
                Some(true) => Ok(()),
                _ => Err("expected a file, found none".to_owned()),
            };
        };
        let content = String::from_utf8_lossy(&found).into_owned();
        let found = format!("found {:?}", shortened(&content));
        if expect.absent == Some(true) {
            return Err(format!("expected no file, {found}"));
        }
        if let Some(text) = &expect.content {
            let text = self.fill(text)?;
            if text != content {
                return Err(format!("expected {text:?}, {found}"));
            }
        }
        let fill = |text: &str| self.fill(text);
        compare_parts("a content", &expect.contains, &expect.excludes, &content, &found, &fill)?;
        compare_json(&expect.json, &content, &found, &fill)
    }
}
