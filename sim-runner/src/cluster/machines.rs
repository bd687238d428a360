//! What is wrong with the machines: clocks and disks, and files edited from outside.
//!
//! Several steps may act on one machine at once, and be undone in any order. So each is kept with a
//! number of its own, and what the fabric is told follows from all that are left: of two skews,
//! drifts or slow disks the later holds, jumps add up, any lie is a lie.

use std::collections::BTreeMap;
use std::io;

use crate::fabric::{Damage, DiskFaults, Fabric, HostId, IoErrors, NextCut, Strikes};
use crate::scenario::fault::Which;
use crate::scenario::model::Span;
use crate::scenario::{draw_ns, draw_ppm, show_span};
use crate::trace::event::{Host, WIPE, What};

use super::Cluster;

/// One thing that is wrong with a machine until it is relieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the language, section 6")]
pub enum Ailment {
    /// ns.
    Skew(i64),
    /// Parts per million.
    Drift(i64),
    /// ns.
    Jump(i64),
    SlowFsync(Span),
    FsyncLies,
    /// After so many further bytes.
    DiskFull(u64),
    IoError {
        read: bool,
        write: bool,
        fsync: bool,
        which: Which,
    },
}

/// What is done to a file from outside; durable at once.
#[derive(Clone, Copy, Debug)]
pub enum Edit<'a> {
    /// Its content, replaced.
    Write(&'a str),
    /// Gone.
    Delete,
    /// Cut to this length, bytes.
    Truncate(u64),
    /// So many drawn bits flip.
    Corrupt(u64),
}

/// What is wrong, by machine.
#[derive(Default)]
pub(super) struct Ailments {
    next: u64,
    of: BTreeMap<Host, Vec<(u64, Ailment)>>,
}

/// A clock as it is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Setting {
    drift_ppm: i64,
    offset_ns: i64,
}

fn id(host: Host) -> HostId {
    HostId(host.0)
}

impl Ailment {
    fn is_of_the_clock(self) -> bool {
        matches!(self, Self::Skew(_) | Self::Drift(_) | Self::Jump(_))
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Skew(_) => "skew",
            Self::Drift(_) => "drift",
            Self::Jump(_) => "jump",
            Self::SlowFsync(_) => "slow-fsync",
            Self::FsyncLies => "fsync-lies",
            Self::DiskFull(_) => "disk-full",
            Self::IoError { .. } => "io-error",
        }
    }

    fn detail(self) -> String {
        match self {
            Self::SlowFsync(by) => format!("by {}", show_span(by)),
            Self::DiskFull(after) => format!("after {after} bytes"),
            _ => String::new(),
        }
    }
}

impl Cluster {
    /// Something is wrong with a machine from now on; the number to relieve it by.
    pub fn afflict(&self, host: Host, ailment: Ailment) -> u64 {
        let before = self.setting(host);
        // What is full is the disk as it is now; later deletions make room again.
        let kept = match ailment {
            Ailment::DiskFull(after) => {
                Ailment::DiskFull(self.shared.fabric.disk_used(id(host)).saturating_add(after))
            }
            other => other,
        };
        let number = self.fresh_number();
        {
            let mut ailments = self.shared.ailments.lock().expect("a simulation has one thread");
            ailments.of.entry(host).or_default().push((number, kept));
        }
        self.changed(host, ailment, before, true);
        number
    }

    /// A number by which something can be taken back, given once.
    pub fn fresh_number(&self) -> u64 {
        let mut ailments = self.shared.ailments.lock().expect("a simulation has one thread");
        ailments.next += 1;
        ailments.next
    }

    /// It no longer is.
    pub fn relieve(&self, host: Host, number: u64) {
        let before = self.setting(host);
        let found = {
            let mut ailments = self.shared.ailments.lock().expect("a simulation has one thread");
            let of_host = ailments.of.entry(host).or_default();
            let place = of_host.iter().position(|(of, _)| *of == number);
            place.map(|place| of_host.remove(place).1)
        };
        if let Some(ailment) = found {
            self.changed(host, ailment, before, false);
        }
    }

    fn changed(&self, host: Host, ailment: Ailment, before: Setting, on: bool) {
        if ailment.is_of_the_clock() {
            self.set_clock(host, before);
        } else {
            self.shared.fabric.set_disk_faults(id(host), self.disk_faults(host));
            let (kind, detail) = (ailment.kind().to_owned(), ailment.detail());
            self.push(host, What::DiskFault { kind, on, detail });
        }
    }

    /// What the next power cut of a machine does.
    pub fn set_next_cut(&self, host: Host, kind: &str, add: NextCut) {
        let now = self.shared.fabric.next_cut(id(host));
        let next = NextCut {
            lose_unsynced: now.lose_unsynced || add.lose_unsynced,
            torn_write: now.torn_write || add.torn_write,
        };
        self.shared.fabric.set_next_cut(id(host), next);
        let detail = "at the next power cut".to_owned();
        self.push(host, What::DiskFault { kind: kind.to_owned(), on: true, detail });
    }

    /// Damages files below the data directory whose relative paths are `chosen`; how often it did.
    pub fn damage(
        &self,
        host: Host,
        how: Damage,
        count: u64,
        chosen: impl Fn(&str) -> bool,
    ) -> usize {
        let inside = format!("{}/", self.data_dir(host));
        let below = |path: &str| path.strip_prefix(&inside).is_some_and(&chosen);
        self.shared.fabric.damage(id(host), how, count, below)
    }

    /// Removes the data directory; how many files were in it.
    pub fn wipe(&self, host: Host) -> usize {
        let folder = self.data_dir(host);
        let files = self.shared.fabric.remove_folder(id(host), &folder);
        self.edited(host, WIPE, folder, format!("{files} files removed"));
        files
    }

    /// The content of a file below the data directory.
    #[must_use]
    pub fn read_file(&self, host: Host, path: &str) -> Option<Vec<u8>> {
        let path = format!("{}/{path}", self.data_dir(host));
        self.shared.fabric.read_file(id(host), &path)
    }

    /// Edits a file below the data directory.
    ///
    /// # Errors
    /// What kept it from being done.
    pub fn edit_file(&self, host: Host, path: &str, edit: Edit<'_>) -> io::Result<()> {
        let fabric: &Fabric = &self.shared.fabric;
        let relative = path;
        let path = format!("{}/{path}", self.data_dir(host));
        let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such file");
        let detail = match edit {
            Edit::Write(text) => {
                fabric.write_file(id(host), &path, text.as_bytes())?;
                format!("written: {} bytes", text.len())
            }
            Edit::Delete => {
                fabric.remove_file(id(host), &path).map_err(|_| missing())?;
                "deleted".to_owned()
            }
            Edit::Truncate(bytes) => {
                let content = fabric.read_file(id(host), &path).ok_or_else(missing)?;
                let short = || io::Error::other(format!("it has only {} bytes", content.len()));
                let left = content.get(..bytes as usize).ok_or_else(short)?;
                fabric.write_file(id(host), &path, left)?;
                format!("cut to {bytes} bytes")
            }
            Edit::Corrupt(bits) => {
                fabric.read_file(id(host), &path).ok_or_else(missing)?;
                if self.damage(host, Damage::BitRot, bits, |of| of == relative) == 0 {
                    return Err(io::Error::other("it is empty"));
                }
                return Ok(());
            }
        };
        self.edited(host, "file", path, detail);
        Ok(())
    }

    fn edited(&self, host: Host, kind: &str, path: String, detail: String) {
        self.push(host, What::DiskStruck { kind: kind.to_owned(), path, detail });
    }

    /// Sets every clock as `[clock]` says.
    pub(super) fn set_clocks(&self) {
        for host in self.agents() {
            self.set_clock(host, Setting::default());
        }
    }

    /// As `[clock]` gives it to this node: drawn from streams of the node's own name.
    fn given(&self, host: Host) -> Setting {
        let plan = self.plan();
        let stream = |part: &str| plan.seed.stream(&format!("clock/{}/{part}", self.name(host)));
        Setting {
            drift_ppm: draw_ppm(&mut stream("drift"), plan.clock.drift_ppm),
            offset_ns: draw_ns(&mut stream("skew"), plan.clock.skew_ns),
        }
    }

    /// As it must be now.
    fn setting(&self, host: Host) -> Setting {
        let mut setting = self.given(host);
        let mut jumps = 0_i64;
        for (_, ailment) in self.ailments_of(host) {
            match ailment {
                Ailment::Skew(by) => setting.offset_ns = by,
                Ailment::Drift(by) => setting.drift_ppm = by,
                Ailment::Jump(by) => jumps = jumps.saturating_add(by),
                _ => {}
            }
        }
        setting.offset_ns = setting.offset_ns.saturating_add(jumps);
        setting
    }

    fn ailments_of(&self, host: Host) -> Vec<(u64, Ailment)> {
        let ailments = self.shared.ailments.lock().expect("a simulation has one thread");
        ailments.of.get(&host).cloned().unwrap_or_default()
    }

    fn set_clock(&self, host: Host, before: Setting) {
        let Setting { drift_ppm, offset_ns } = self.setting(host);
        if before == (Setting { drift_ppm, offset_ns }) {
            return;
        }
        self.shared.fabric.set_drift(id(host), drift_ppm);
        self.shared.fabric.set_wall_offset(id(host), offset_ns);
        self.push(host, What::Clock { drift_ppm, offset_ns });
    }

    fn disk_faults(&self, host: Host) -> DiskFaults {
        let mut faults = DiskFaults::default();
        for (number, ailment) in self.ailments_of(host) {
            match ailment {
                Ailment::SlowFsync(by) => faults.slower_sync = Some((by.low, by.high)),
                Ailment::FsyncLies => faults.sync_lies = true,
                Ailment::DiskFull(at) => {
                    faults.full_at = Some(faults.full_at.map_or(at, |other| other.min(at)));
                }
                Ailment::IoError { read, write, fsync, which } => {
                    let which = match which {
                        Which::Every => Strikes::Every,
                        Which::Nth(nth) => Strikes::Nth(nth),
                        Which::Ratio(ratio) => Strikes::Ratio(ratio),
                    };
                    faults.io_errors.push(IoErrors { id: number, read, write, sync: fsync, which });
                }
                Ailment::Skew(_) | Ailment::Drift(_) | Ailment::Jump(_) => {}
            }
        }
        faults
    }
}
