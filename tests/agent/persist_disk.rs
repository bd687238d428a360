//! Two disks for the tests of the log: one in memory, that can be cut off from power, fail and hang,
//! and one on the real file system.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use proconsul::base::runtime::{Disk, File};

/// Runs a future that never has to wait.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the disk double answers at once"),
    }
}

/// Polls a future once and drops it.
pub fn abandon<T>(future: impl Future<Output = T>) {
    assert!(pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// What of the unsynced survives a power cut.
#[derive(Clone, Copy, Debug)]
pub enum Survives {
    /// Nothing.
    Nothing,
    /// Everything: the process died, the system did not.
    Everything,
    /// Of the last unsynced write of each file this many bytes; all writes before it.
    Bytes(usize),
    /// The length, and of each unsynced write the sectors whose bit is set, counted from its first.
    Sectors(u64),
}

/// What happens at an operation that changes something.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// It fails without effect, as does everything after it: the power is gone.
    Dead,
    /// It fails without effect, once.
    Fails,
    /// It never ends.
    Hangs,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// Names with their files.
type Names = BTreeMap<String, usize>;

#[derive(Clone)]
enum NameChange {
    Put(String, usize),
    Remove(String),
    Rename(String, String),
}

impl NameChange {
    fn path(&self) -> &str {
        match self {
            Self::Put(path, _) | Self::Remove(path) | Self::Rename(_, path) => path,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(path, file) => drop(names.insert(path.clone(), *file)),
            Self::Remove(path) => drop(names.remove(path)),
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
        }
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[derive(Clone, Default)]
struct State {
    files: Vec<Content>,
    names: Names,
    durable_names: Names,
    /// In order.
    pending_names: Vec<NameChange>,
    operations: usize,
    trouble: Option<(usize, Trouble)>,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

pub struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
}

impl MemoryDisk {
    /// A disk that durably holds these files.
    pub fn holding(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::default();
        let mut state = disk.lock();
        for (position, (name, bytes)) in files.iter().enumerate() {
            let content =
                Content { now: bytes.clone(), durable: bytes.clone(), pending: Vec::new() };
            state.files.push(content);
            state.names.insert(name.clone(), position);
            state.durable_names.insert(name.clone(), position);
        }
        drop(state);
        disk
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the disk")
    }

    /// The files as a program sees them.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.lock();
        let content = |file: usize| state.files[file].now.clone();
        state.names.iter().map(|(name, &file)| (name.clone(), content(file))).collect()
    }

    /// How many operations changed something, or tried to.
    pub fn operations(&self) -> usize {
        self.lock().operations
    }

    /// Makes trouble at the operation of this number, counted from 0.
    pub fn trouble_at(&self, operation: usize, trouble: Trouble) {
        self.lock().trouble = Some((operation, trouble));
    }

    /// The same content and names, durable or not, on a disk of its own without trouble.
    pub fn copy(&self) -> MemoryDisk {
        let state = State { trouble: None, ..self.lock().clone() };
        MemoryDisk(Arc::new(Mutex::new(state)))
    }

    /// What is there after a power cut. Unsynced names survive as their files do.
    pub fn after_power_cut(&self, survives: Survives) -> MemoryDisk {
        let names = match survives {
            Survives::Nothing => 0,
            _ => usize::MAX,
        };
        self.after_cut(survives, names)
    }

    /// What is there after a power cut that left this of the unsynced content and the first so many
    /// unsynced changes of names.
    pub fn after_cut(&self, survives: Survives, kept_names: usize) -> MemoryDisk {
        let state = self.lock();
        let mut names = state.durable_names.clone();
        state.pending_names.iter().take(kept_names).for_each(|change| change.apply(&mut names));
        let files: BTreeMap<String, Vec<u8>> = names
            .iter()
            .map(|(name, &file)| (name.clone(), remains(&state.files[file], survives)))
            .collect();
        MemoryDisk::holding(&files)
    }

    /// Every cut there can be now: each number of kept changes of names with nothing, everything, each
    /// subset of sectors (some, when there are many) and some lengths of the unsynced content.
    pub fn cuts(&self) -> Vec<(Survives, usize)> {
        let state = self.lock();
        let unsynced = state.files.iter().flat_map(|file| &file.pending);
        let sizes = unsynced.map(|change| match change {
            Change::Write(offset, data) => (offset % 512 + data.len()).div_ceil(512),
            Change::Length(_) => 1,
        });
        let mut contents = vec![Survives::Nothing];
        if let Some(sectors) = sizes.max() {
            contents.push(Survives::Everything);
            contents.extend([1, 200, 700].map(Survives::Bytes));
            let subsets = 1_u64 << sectors.min(63);
            let step = (subsets / 16).max(1) | 1;
            contents.extend((1..subsets - 1).step_by(step as usize).map(Survives::Sectors));
        }
        let names = 0..=state.pending_names.len();
        names.flat_map(|kept| contents.iter().map(move |content| (*content, kept))).collect()
    }

    async fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let trouble = {
            let mut state = self.lock();
            let operation = state.operations;
            state.operations += 1;
            match state.trouble {
                Some((at, trouble @ Trouble::Dead)) if operation >= at => Some(trouble),
                Some((at, trouble)) if operation == at => Some(trouble),
                _ => return change(&mut state),
            }
        };
        match trouble {
            Some(Trouble::Hangs) => std::future::pending().await,
            _ => Err(io::Error::other("input/output error")),
        }
    }
}

fn write(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    into.resize(into.len().max(offset + bytes.len()), 0);
    into[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn remains(content: &Content, survives: Survives) -> Vec<u8> {
    if let Survives::Everything = survives {
        return content.now.clone();
    }
    let mut bytes = content.durable.clone();
    for (position, change) in content.pending.iter().enumerate() {
        let last = position + 1 == content.pending.len();
        match (survives, change) {
            (Survives::Nothing, _) => {}
            (_, Change::Length(length)) => bytes.resize(*length, 0),
            (Survives::Bytes(kept), Change::Write(offset, data)) => {
                let kept = if last { kept.min(data.len()) } else { data.len() };
                write(&mut bytes, *offset, &data[..kept]);
            }
            (Survives::Sectors(mask), Change::Write(offset, data)) => {
                write_sectors(&mut bytes, *offset, data, mask);
            }
            (Survives::Everything, Change::Write(..)) => unreachable!("returned above"),
        }
    }
    bytes
}

/// Extends to the whole write and copies the sectors whose bit is set.
pub fn write_sectors(into: &mut Vec<u8>, offset: usize, data: &[u8], mask: u64) {
    into.resize(into.len().max(offset + data.len()), 0);
    for (at, byte) in data.iter().enumerate() {
        let sector = (offset + at) / 512 - offset / 512;
        if mask >> (sector % 64) & 1 == 1 {
            into[offset + at] = *byte;
        }
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;

    async fn open(&self, path: &str, create: bool) -> io::Result<MemoryFile> {
        let found = self.lock().names.get(path).copied();
        let file = match found {
            Some(file) => file,
            None if !create => return Err(io::ErrorKind::NotFound.into()),
            None => {
                self.change(|state| {
                    state.files.push(Content::default());
                    let file = state.files.len() - 1;
                    state.change_names(NameChange::Put(path.to_owned(), file));
                    Ok(file)
                })
                .await?
            }
        };
        Ok(MemoryFile { disk: self.clone(), file })
    }

    async fn create_dir_all(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    async fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let prefix = format!("{path}/");
        let state = self.lock();
        let below = state.names.keys().filter_map(|name| name.strip_prefix(&prefix));
        let mut names: Vec<String> =
            below.map(|name| name.split('/').next().unwrap_or_default().to_owned()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(|state| {
            state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            state.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
            Ok(())
        })
        .await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.change(|state| {
            state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            state.change_names(NameChange::Remove(path.to_owned()));
            Ok(())
        })
        .await
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.change(|state| {
            for change in std::mem::take(&mut state.pending_names) {
                if folder_of(change.path()) == path {
                    change.apply(&mut state.durable_names);
                } else {
                    state.pending_names.push(change);
                }
            }
            Ok(())
        })
        .await
    }
}

impl State {
    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }
}

impl File for MemoryFile {
    async fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.lock();
        let rest = state.files[self.file].now.get(offset as usize..).unwrap_or_default();
        let taken = rest.len().min(into.len());
        into[..taken].copy_from_slice(&rest[..taken]);
        Ok(taken)
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let done = self.disk.change(|state| {
            let content = &mut state.files[self.file];
            write(&mut content.now, offset as usize, bytes);
            content.pending.push(Change::Write(offset as usize, bytes.to_vec()));
            Ok(())
        });
        done.await
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        let done = self.disk.change(|state| {
            let content = &mut state.files[self.file];
            content.now.resize(len as usize, 0);
            content.pending.push(Change::Length(len as usize));
            Ok(())
        });
        done.await
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.file].now.len() as u64)
    }

    async fn sync(&self) -> io::Result<()> {
        let done = self.disk.change(|state| {
            let content = &mut state.files[self.file];
            content.durable.clone_from(&content.now);
            content.pending.clear();
            Ok(())
        });
        done.await
    }
}

/// A folder of the real file system.
#[derive(Clone)]
pub struct RealDisk(pub PathBuf);

pub struct RealFile(std::fs::File);

impl Disk for RealDisk {
    type File = RealFile;

    async fn open(&self, path: &str, create: bool) -> io::Result<RealFile> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(create).truncate(false);
        options.open(self.0.join(path)).map(RealFile)
    }

    async fn create_dir_all(&self, path: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.0.join(path))
    }

    async fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.0.join(path))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.0.join(path))
    }

    async fn sync_dir(&self, path: &str) -> io::Result<()> {
        std::fs::File::open(self.0.join(path))?.sync_all()
    }
}

impl File for RealFile {
    async fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, into, offset)
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    async fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}
