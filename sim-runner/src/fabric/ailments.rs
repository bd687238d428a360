//! What ails a disk: slow, full, lying and failing operations, and damage at rest.
//!
//! Each kind draws from a stream of its own, so that one more fault moves no other's draws, nor those
//! of a disk that is well. What strikes is told to the observer, by its name in the language:
//!
//! | fault | what it does, and after which real thing |
//! |---|---|
//! | `slow-fsync` | each fsync takes that much longer |
//! | `fsync-lies` | fsync returns, nothing is durable: a drive's cache without a battery |
//! | `disk-full` | a write that grows a file is cut short, with ENOSPC |
//! | `io-error` | EIO. After a failed fsync the pages count as clean: they are never durable, and the next fsync succeeds (PostgreSQL's lesson of 2018) |
//! | `torn-write` | at the power cut, of each file's last unsynced write only some sectors arrive |
//! | `lose-unsynced` | at the power cut, nothing unsynced survives |
//! | `bit-rot` | a bit of a file flips, on the platter and in the cache |
//! | `misdirect` | a sector stands at another place of its file, and zeros where it should be |

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use proconsul::base::{Duration, Prng};

use super::Fabric;
use super::content::SECTOR_BYTES;
use super::disk::{DiskImage, FileRef};
use super::observer::HostId;
use super::policy::{Damage, DiskFaults, DiskPolicy, NextCut, Strikes};
use super::world::locked;

/// Linux's error number for an input or output error.
const EIO: i32 = 5;

/// What a process asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    Sync,
}

/// How a disk behaves, and the streams it draws from.
pub(super) struct Health {
    pub policy: DiskPolicy,
    pub faults: DiskFaults,
    pub next_cut: NextCut,
    /// Operations so far that a counting fault could have struck, by its id.
    counted: BTreeMap<u64, u64>,
    sync_times: Prng,
    slower_syncs: Prng,
    read_times: Prng,
    write_times: Prng,
    io_errors: Prng,
    damage: Prng,
}

impl Health {
    pub fn new(streams: &Prng, policy: DiskPolicy) -> Self {
        Self {
            policy,
            faults: DiskFaults::default(),
            next_cut: NextCut::default(),
            counted: BTreeMap::new(),
            sync_times: streams.fork("sync"),
            slower_syncs: streams.fork("slower sync"),
            read_times: streams.fork("read"),
            write_times: streams.fork("write"),
            io_errors: streams.fork("io errors"),
            damage: streams.fork("damage"),
        }
    }

    /// How long the next operation of this kind takes.
    pub fn time(&mut self, operation: Operation) -> Duration {
        let policy = &self.policy;
        match operation {
            Operation::Read => self.read_times.duration(policy.read_low, policy.read_high),
            Operation::Write => self.write_times.duration(policy.write_low, policy.write_high),
            Operation::Sync => {
                let (low, high) = self.faults.slower_sync.unwrap_or_default();
                let slower = self.slower_syncs.duration(low, high);
                self.sync_times.duration(policy.sync_low, policy.sync_high) + slower
            }
        }
    }

    /// Whether this operation fails.
    pub fn fails(&mut self, operation: Operation) -> bool {
        let mut fails = false;
        for fault in &self.faults.io_errors {
            let meant = match operation {
                Operation::Read => fault.read,
                Operation::Write => fault.write,
                Operation::Sync => fault.sync,
            };
            if !meant {
                continue;
            }
            fails |= match fault.which {
                Strikes::Every => true,
                Strikes::Ratio(ratio) => self.io_errors.chance(ratio),
                Strikes::Nth(nth) => {
                    let count = self.counted.entry(fault.id).or_default();
                    *count += 1;
                    *count == nth
                }
            };
        }
        fails
    }

    /// The most that all files together may have.
    pub fn limit(&self) -> Option<u64> {
        let limits = [self.policy.capacity, self.faults.full_at];
        limits.into_iter().flatten().min()
    }
}

/// EIO.
pub(super) fn io_error() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

/// ENOSPC.
pub(super) fn no_space() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "No space left on device (os error 28)")
}

impl DiskImage {
    /// Damages files, as often as is asked; what was done, by path. Nothing when no file has anything
    /// to damage.
    fn damage(&mut self, files: &[(String, FileRef)], how: Damage, count: u64) -> Vec<Struck> {
        let mut struck = Vec::new();
        for _ in 0..count {
            let whole: Vec<u64> = files.iter().map(|(_, file)| locked(file).len()).collect();
            let total: u64 = whole.iter().sum();
            if total == 0 {
                break;
            }
            // Each byte is as likely as any other, so large files suffer more.
            let mut at = self.health.damage.below(total);
            let mut place = 0;
            while at >= whole[place] {
                at -= whole[place];
                place += 1;
            }
            let (path, file) = &files[place];
            let detail = match how {
                Damage::BitRot => {
                    let bit = self.health.damage.below(8) as u8;
                    locked(file).flip(at, bit);
                    format!("bit {bit} of byte {at} flipped")
                }
                Damage::Misdirect => {
                    let sectors = whole[place].div_ceil(SECTOR_BYTES);
                    let from = at / SECTOR_BYTES;
                    // One further place, after the end, so that there is always another.
                    let other = self.health.damage.below(sectors);
                    let to = if other < from { other } else { other + 1 };
                    locked(file).misdirect(from, to);
                    format!("sector {from} stands at sector {to}")
                }
            };
            struck.push((path.clone(), detail));
        }
        struck
    }
}

/// A path and what happened to it.
type Struck = (String, String);

impl Fabric {
    /// Sets how a host's disk behaves when it is well.
    pub fn set_disk(&self, host: HostId, policy: DiskPolicy) {
        locked(&self.disk_of(host)).health.policy = policy;
    }

    /// Sets what ails a host's disk.
    pub fn set_disk_faults(&self, host: HostId, faults: DiskFaults) {
        locked(&self.disk_of(host)).health.faults = faults;
    }

    /// Sets what the next power cut does to unsynced data; each holds for one cut.
    pub fn set_next_cut(&self, host: HostId, next: NextCut) {
        locked(&self.disk_of(host)).health.next_cut = next;
    }

    /// What the next power cut is to do.
    #[must_use]
    pub fn next_cut(&self, host: HostId) -> NextCut {
        locked(&self.disk_of(host)).health.next_cut
    }

    /// Bytes of all files of a host.
    #[must_use]
    pub fn disk_used(&self, host: HostId) -> u64 {
        locked(&self.disk_of(host)).used()
    }

    /// Damages what lies on the disk, in files that `chosen` accepts by their absolute paths; `count`
    /// times, in places drawn from the disk's own stream. How often it did: never, when no chosen file
    /// has any content.
    pub fn damage(
        &self,
        host: HostId,
        how: Damage,
        count: u64,
        chosen: impl Fn(&str) -> bool,
    ) -> usize {
        let disk = self.disk_of(host);
        let mut disk = locked(&disk);
        let files = disk.file_refs().into_iter();
        let files: Vec<(String, FileRef)> = files.filter(|(path, _)| chosen(path)).collect();
        let struck = disk.damage(&files, how, count);
        drop(disk);
        let kind = match how {
            Damage::BitRot => "bit-rot",
            Damage::Misdirect => "misdirect",
        };
        let world = self.lock();
        for (path, detail) in &struck {
            world.observer.disk_struck(world.now(), host, kind, path, detail);
        }
        struck.len()
    }

    pub(super) fn disk_of(&self, host: HostId) -> Arc<Mutex<DiskImage>> {
        self.lock().host(host).disk.clone()
    }
}
