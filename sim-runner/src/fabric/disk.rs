//! A host's disk: what the processes see, and what a power cut leaves of it.
//!
//! ```text
//!   names   live    data/raft/log ─► file      pending: put, remove, rename      durable names
//!   file    live bytes                         pending: write, set length        durable bytes
//!                                └── sync_dir / sync move pending into durable ──┘
//! ```
//!
//! The rules are those of POSIX, read strictly: a file's content is durable after its sync, a name
//! after the sync of its folder, and a name below a folder whose own name is not durable is lost with
//! it. The end of a process alone loses nothing: the page cache belongs to the machine.
//!
//! A file without any name lives on while a process has it open, as on Unix.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use proconsul::base::Prng;

use super::ailments::Health;
use super::content::FileImage;
use super::policy::{DiskPolicy, Keep, NextCut};
use super::world::locked;

pub(super) type FileRef = Arc<Mutex<FileImage>>;

#[derive(Clone)]
enum Node {
    Folder,
    File(FileRef),
}

enum NameChange {
    Put { path: String, node: Node },
    Remove { path: String },
    Rename { from: String, to: String, node: Node },
}

/// What a power cut took, by absolute path.
pub(super) struct Lost {
    /// Files that lost bytes, or their name; how many bytes were unsynced.
    pub files: Vec<(String, u64)>,
    /// Those of which the last write was torn, and how many of its bytes did not arrive.
    pub torn: Vec<(String, u64)>,
}

/// The names on a disk and their files. Paths are absolute, without the leading `/`.
pub(super) struct DiskImage {
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// In order, numbered.
    pending: Vec<(u64, NameChange)>,
    next_change: u64,
    pub health: Health,
    power_cuts: Prng,
    torn_writes: Prng,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn error(kind: io::ErrorKind, path: &str, text: &str) -> io::Error {
    io::Error::new(kind, format!("/{path}: {text}"))
}

impl DiskImage {
    pub fn new(streams: &Prng, policy: DiskPolicy) -> Self {
        Self {
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            next_change: 0,
            health: Health::new(streams, policy),
            power_cuts: streams.fork("power"),
            torn_writes: streams.fork("torn writes"),
        }
    }

    /// Makes a folder that has always been there, with those above it: the place of a root.
    pub fn preinstall_folder(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for folder in ends.map(|end| &path[..end]).filter(|folder| !folder.is_empty()) {
            self.live.entry(folder.to_owned()).or_insert(Node::Folder);
            self.durable.entry(folder.to_owned()).or_insert(Node::Folder);
        }
    }

    fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.live.get(path), Some(Node::Folder))
    }

    fn check_folder(&self, path: &str) -> io::Result<()> {
        match self.live.get(path) {
            _ if self.is_folder(path) => Ok(()),
            Some(_) => Err(error(io::ErrorKind::NotADirectory, path, "not a folder")),
            None => Err(error(io::ErrorKind::NotFound, path, "no such folder")),
        }
    }

    /// Whether a file may have this path.
    fn check_place(&self, path: &str) -> io::Result<()> {
        self.check_folder(parent(path))
            .map_err(|folder| error(folder.kind(), path, "no such folder"))
    }

    pub fn file(&self, path: &str) -> io::Result<FileRef> {
        match self.live.get(path) {
            Some(Node::File(file)) => Ok(file.clone()),
            None if !path.is_empty() => Err(error(io::ErrorKind::NotFound, path, "no such file")),
            _ => Err(error(io::ErrorKind::IsADirectory, path, "a folder")),
        }
    }

    pub fn open(&mut self, path: &str, create: bool) -> io::Result<FileRef> {
        match self.file(path) {
            Err(missing) if create && missing.kind() == io::ErrorKind::NotFound => {
                self.check_place(path)?;
                let file = FileRef::default();
                self.put(path, Node::File(file.clone()));
                Ok(file)
            }
            found => found,
        }
    }

    fn note(&mut self, change: NameChange) {
        self.pending.push((self.next_change, change));
        self.next_change += 1;
    }

    fn put(&mut self, path: &str, node: Node) {
        self.live.insert(path.to_owned(), node.clone());
        self.note(NameChange::Put { path: path.to_owned(), node });
    }

    pub fn create_folders(&mut self, path: &str) -> io::Result<()> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for folder in ends.map(|end| &path[..end]).filter(|folder| !folder.is_empty()) {
            match self.live.get(folder) {
                Some(Node::Folder) => {}
                Some(Node::File(_)) => {
                    return Err(error(io::ErrorKind::NotADirectory, folder, "not a folder"));
                }
                None => self.put(folder, Node::Folder),
            }
        }
        Ok(())
    }

    /// Names in a folder, sorted.
    pub fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.check_folder(folder)?;
        let inside = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = self.live.range(inside.clone()..).map(|(path, _)| path);
        let names = below.map_while(|path| path.strip_prefix(&*inside));
        Ok(names.filter(|name| !name.contains('/')).map(str::to_owned).collect())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let node = Node::File(self.file(from)?);
        self.check_place(to)?;
        if self.is_folder(to) {
            return Err(error(io::ErrorKind::IsADirectory, to, "a folder"));
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        self.live.remove(&from);
        self.live.insert(to.clone(), node.clone());
        if parent(&from) == parent(&to) {
            self.note(NameChange::Rename { from, to, node });
        } else {
            self.note(NameChange::Put { path: to, node });
            self.note(NameChange::Remove { path: from });
        }
        Ok(())
    }

    pub fn remove(&mut self, path: &str) -> io::Result<()> {
        self.file(path)?;
        self.live.remove(path);
        self.note(NameChange::Remove { path: path.to_owned() });
        Ok(())
    }

    /// Changes of names so far; [`DiskImage::sync_folder`] makes those durable.
    pub fn names_so_far(&self) -> u64 {
        self.next_change
    }

    /// Makes those of the first `changes` changes durable that are in this folder.
    pub fn sync_folder(&mut self, folder: &str, changes: u64) -> io::Result<()> {
        self.check_folder(folder)?;
        for (number, change) in std::mem::take(&mut self.pending) {
            if number < changes && change.folder() == folder {
                change.apply(&mut self.durable);
            } else {
                self.pending.push((number, change));
            }
        }
        Ok(())
    }

    /// Puts a file there, durably, with the folders above it.
    pub fn install(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.create_folders(parent(path))?;
        let file = self.open(path, true)?;
        let mut file = locked(&file);
        file.set_len(0);
        file.write_at(0, bytes);
        let changes = file.changes();
        file.settle(changes);
        drop(file);
        self.settle_names(path);
        Ok(())
    }

    /// Removes a file, durably.
    pub fn uninstall(&mut self, path: &str) -> io::Result<()> {
        self.remove(path)?;
        self.settle_names(path);
        Ok(())
    }

    /// Makes every change durable that concerns this path or a folder above it, in order: an older
    /// one that is applied later would undo a newer one.
    fn settle_names(&mut self, path: &str) {
        let above = |name: &str| path == name || path.starts_with(&format!("{name}/"));
        for (number, change) in std::mem::take(&mut self.pending) {
            let concerns = match &change {
                NameChange::Put { path, .. } | NameChange::Remove { path } => above(path),
                NameChange::Rename { from, to, .. } => above(from) || above(to),
            };
            if concerns {
                change.apply(&mut self.durable);
            } else {
                self.pending.push((number, change));
            }
        }
    }

    /// Removes a folder and all that is in it, durably. How many files there were.
    pub fn uninstall_folder(&mut self, folder: &str) -> usize {
        let inside = format!("{folder}/");
        let below = |path: &str| path == folder || path.starts_with(&inside);
        let files = self.file_refs().iter().filter(|(path, _)| below(&path[1..])).count();
        self.live.retain(|path, _| !below(path));
        self.durable.retain(|path, _| !below(path));
        self.pending.retain(|(_, change)| match change {
            NameChange::Put { path, .. } | NameChange::Remove { path } => !below(path),
            NameChange::Rename { from, to, .. } => !below(from) && !below(to),
        });
        files
    }

    /// Every file, with its length.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.file_refs().into_iter().map(|(path, file)| (path, locked(&file).len())).collect()
    }

    /// Every file, by its absolute path.
    pub fn file_refs(&self) -> Vec<(String, FileRef)> {
        let files = self.live.iter().filter_map(|(path, node)| match node {
            Node::Folder => None,
            Node::File(file) => Some((format!("/{path}"), file.clone())),
        });
        files.collect()
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.files().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Power is cut: what was pending is kept or lost. Each file that lost something, with how many
    /// bytes were unsynced.
    pub fn lose_power(&mut self, keep: Keep) -> Lost {
        let NextCut { lose_unsynced, torn_write } = std::mem::take(&mut self.health.next_cut);
        let keep = if lose_unsynced { Keep::Synced } else { keep };
        let before: Vec<(String, FileRef)> = self
            .live
            .iter()
            .filter_map(|(path, node)| match node {
                Node::Folder => None,
                Node::File(file) => Some((path.clone(), file.clone())),
            })
            .collect();
        let names = self.pending.len();
        let kept_names = match keep {
            Keep::Synced => 0,
            Keep::All => names,
            // A journal brings names to the disk in order.
            Keep::Some => self.power_cuts.below(names as u64 + 1) as usize,
        };
        for (_, change) in self.pending.drain(..).take(kept_names) {
            change.apply(&mut self.durable);
        }
        self.drop_orphans();
        self.live = self.durable.clone();
        let mut lost = Vec::new();
        let mut torn = Vec::new();
        for (path, file) in before {
            let tear = torn_write.then(|| locked(&file).tear_last(&mut self.torn_writes)).flatten();
            let unsynced = match tear {
                Some(bytes) => {
                    torn.push((format!("/{path}"), bytes));
                    bytes
                }
                None => locked(&file).lose_power(keep, &mut self.power_cuts),
            };
            let survives =
                matches!(self.live.get(&path), Some(Node::File(same)) if Arc::ptr_eq(same, &file));
            let bytes = if survives { unsynced } else { locked(&file).len() };
            if bytes > 0 || !survives {
                lost.push((format!("/{path}"), bytes));
            }
        }
        // Files whose removal was not durable are back, with what they had durably.
        for node in self.live.values() {
            if let Node::File(file) = node {
                locked(file).lose_power(Keep::Synced, &mut self.power_cuts);
            }
        }
        Lost { files: lost, torn }
    }

    /// Durable names below folders that are not durable go with them.
    fn drop_orphans(&mut self) {
        let mut reachable: BTreeMap<String, Node> = BTreeMap::new();
        // A folder sorts before what is in it.
        for (path, node) in &self.durable {
            let folder = parent(path);
            if folder.is_empty() || matches!(reachable.get(folder), Some(Node::Folder)) {
                reachable.insert(path.clone(), node.clone());
            }
        }
        self.durable = reachable;
    }
}

impl NameChange {
    /// The folder whose sync makes it durable.
    fn folder(&self) -> &str {
        match self {
            Self::Put { path, .. } | Self::Remove { path } => parent(path),
            Self::Rename { to, .. } => parent(to),
        }
    }

    fn apply(self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Put { path, node } => {
                names.insert(path, node);
            }
            Self::Remove { path } => {
                names.remove(&path);
            }
            Self::Rename { from, to, node } => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}
