//! Definitions of services and checks on disk: what users have registered outlives the process (spec
//! cluster 8.1; the bytes are in [`wire::definitions`](crate::wire::definitions)).
//!
//! ```text
//!   start   services/ checks/ checks/state/ ──► load ──► Definitions ──► the agent
//!   later   Output::Keep ──► one queue, one task ──► FILE.tmp ─ sync ─ rename ─ folder sync ──► Kept
//! ```
//!
//! * An order is answered once it would survive a power cut. Orders take effect as they were given;
//!   those that wait together share the syncs of their folders.
//! * A file that cannot be read or makes no sense is named in a log line, skipped, and left where it is: a
//!   person may still save it. What a writer left half done (`….tmp`) is removed.
//! * A file under another name than its id's (older releases took MD5) gets the right one.
//! * A TTL state whose time is over counts no more, and is removed.
//!
//! Which definitions win is not decided here: the agent is given all of them.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use tokio::sync::mpsc;

use crate::agent::{Definitions, Input, Keep, KeepId, TtlState};
use crate::base::runtime::{Disk, File, Level, Runtime};
use crate::base::{Duration, WallTime};
use crate::wire::definitions::{
    KeptState, decode_check, decode_service, decode_state, encode_check, encode_service,
    encode_state, file_name,
};

use super::mailbox::{Handle, Message};

const SERVICES: &str = "services";
const CHECKS: &str = "checks";
const STATES: &str = "checks/state";
/// Beside a file that is being written.
const UNFINISHED: &str = "tmp";
/// Only its owner reads and writes it: it may hold a token.
const OWNER_ONLY: u32 = 0o600;
/// No definition is as large, bytes.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// So many orders at most share the syncs of their folders.
const GROUP: usize = 64;
const SECOND_NS: i64 = 1_000_000_000;

/// The event loop's way to the task; none where nothing is kept.
pub(super) struct Orders {
    queue: Option<mpsc::UnboundedSender<(KeepId, Box<Keep>)>>,
    handle: Handle,
}

impl Orders {
    /// Starts the task on this disk.
    pub fn new<R: Runtime>(runtime: &R, disk: Option<R::Disk>, handle: Handle) -> Self {
        let queue = disk.map(|disk| {
            let (queue, orders) = mpsc::unbounded_channel();
            runtime.spawn("definitions", serve(runtime.clone(), disk, orders, handle.clone()));
            queue
        });
        Self { queue, handle }
    }

    /// In the order in which they come.
    pub fn order(&self, id: KeepId, keep: Box<Keep>) {
        let refused = match &self.queue {
            Some(queue) => queue.send((id, keep)).err().map(|_| "the task that writes is gone"),
            None => Some("this agent has no data folder"),
        };
        if let Some(why) = refused {
            self.handle.post(Message::Input(Input::Kept(id, Err(why.to_owned()))));
        }
    }
}

async fn serve<R: Runtime>(
    runtime: R,
    disk: R::Disk,
    mut orders: mpsc::UnboundedReceiver<(KeepId, Box<Keep>)>,
    handle: Handle,
) {
    let mut keeper = Keeper::new(disk);
    let mut group = Vec::new();
    while orders.recv_many(&mut group, GROUP).await > 0 {
        let (ids, keeps): (Vec<_>, Vec<_>) = group.drain(..).map(|(id, keep)| (id, *keep)).unzip();
        let results = keeper.carry_out(&keeps, runtime.wall_clock()).await;
        for (id, result) in ids.into_iter().zip(results) {
            handle.post(Message::Input(Input::Kept(id, result)));
        }
    }
}

/// Writes definitions.
pub struct Keeper<D> {
    disk: D,
    has_folders: bool,
}

impl<D: Disk> Keeper<D> {
    /// In this data folder. Nothing is written yet.
    pub fn new(disk: D) -> Self {
        Self { disk, has_folders: false }
    }

    /// Carries orders out, one after the other; for each, whether it is durable or why it is not.
    pub async fn carry_out(&mut self, keeps: &[Keep], now: WallTime) -> Vec<Result<(), String>> {
        let mut touched = BTreeSet::new();
        let mut results = Vec::with_capacity(keeps.len());
        for keep in keeps {
            let done = self.change(keep, now, &mut touched).await;
            results.push(done.map_err(|error| error.to_string()));
        }
        for folder in touched {
            if let Err(error) = self.disk.sync_dir(folder).await {
                // Nobody knows which of the names are there: none of these counts as done.
                let why = format!("cannot sync {folder}: {error}");
                results.iter_mut().for_each(|it| *it = Err(why.clone()));
            }
        }
        results
    }

    async fn change(
        &mut self,
        keep: &Keep,
        now: WallTime,
        touched: &mut BTreeSet<&'static str>,
    ) -> io::Result<()> {
        let (folder, id, bytes) = match keep {
            Keep::Service(it) => (SERVICES, &it.service.id, Some(encode_service(it))),
            Keep::NoService { id } => (SERVICES, id, None),
            Keep::Check(it) => (CHECKS, &it.check.check_id, Some(encode_check(it))),
            Keep::NoCheck { id } => {
                self.remove(STATES, id, touched).await?;
                (CHECKS, id, None)
            }
            Keep::TtlState(it) => (STATES, &it.check_id, Some(encode_state(&kept(it, now)))),
        };
        match bytes {
            Some(bytes) => self.write(folder, id, &bytes, touched).await,
            None => self.remove(folder, id, touched).await,
        }
    }

    async fn write(
        &mut self,
        folder: &'static str,
        id: &str,
        bytes: &[u8],
        touched: &mut BTreeSet<&'static str>,
    ) -> io::Result<()> {
        if !self.has_folders {
            self.disk.create_dir_all(SERVICES).await?;
            self.disk.create_dir_all(STATES).await?;
            self.disk.sync_dir(CHECKS).await?;
            self.disk.sync_dir("").await?;
            self.has_folders = true;
        }
        let path = format!("{folder}/{}", file_name(id));
        let beside = format!("{path}.{UNFINISHED}");
        let file = self.disk.open(&beside, true).await?;
        file.set_mode(OWNER_ONLY)?;
        file.set_len(0).await?;
        file.write_at(0, bytes).await?;
        file.sync().await?;
        self.disk.rename(&beside, &path).await?;
        touched.insert(folder);
        Ok(())
    }

    async fn remove(
        &self,
        folder: &'static str,
        id: &str,
        touched: &mut BTreeSet<&'static str>,
    ) -> io::Result<()> {
        match self.disk.remove(&format!("{folder}/{}", file_name(id))).await {
            // It may never have been written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => {
                touched.insert(folder);
                other
            }
        }
    }
}

fn kept(state: &TtlState, now: WallTime) -> KeptState {
    let valid_ns = i64::try_from(state.valid_for.as_nanos()).unwrap_or(i64::MAX);
    KeptState {
        check_id: state.check_id.clone(),
        health: state.health,
        output: state.output.clone(),
        expires: now.0.saturating_add(valid_ns).div_euclid(SECOND_NS),
    }
}

/// Reads all definitions. Nothing is an error but a line in the log.
pub async fn load<R: Runtime>(runtime: &R, data_dir: &Path) -> Definitions {
    let loader = Loader { runtime, disk: runtime.disk(data_dir), data_dir };
    let services = loader.items(SERVICES, decode_service, |it| &it.service.id).await;
    let checks = loader.items(CHECKS, decode_check, |it| &it.check.check_id).await;
    let states = loader.items(STATES, decode_state, |it| &it.check_id).await;
    let now = runtime.wall_clock();
    let mut ttl_states = Vec::new();
    for state in states {
        let left_ns = state.expires.saturating_mul(SECOND_NS).saturating_sub(now.0);
        let valid_for = Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0));
        let KeptState { check_id, health, output, .. } = state;
        if valid_for.is_zero() {
            let text = format_args!("check state expired, not restoring: check={check_id}");
            runtime.log(Level::Debug, "agent", text);
            // Should it stay, it has expired at the next start too.
            let _ = loader.disk.remove(&format!("{STATES}/{}", file_name(&check_id))).await;
            continue;
        }
        ttl_states.push(TtlState { check_id, health, output, valid_for });
    }
    Definitions { services, checks, ttl_states }
}

struct Loader<'a, R: Runtime> {
    runtime: &'a R,
    disk: R::Disk,
    data_dir: &'a Path,
}

impl<R: Runtime> Loader<'_, R> {
    /// What a folder's files say, in the order of their names.
    async fn items<T>(
        &self,
        folder: &str,
        decode: fn(&[u8]) -> Result<T, String>,
        id: fn(&T) -> &String,
    ) -> Vec<T> {
        let names = match self.disk.read_dir(folder).await {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.complain(folder, &format!("cannot be read: {error}"));
                return Vec::new();
            }
        };
        let mut items = Vec::new();
        for name in &names {
            let path = format!("{folder}/{name}");
            if path == STATES {
                continue;
            }
            if name.ends_with(UNFINISHED) {
                self.complain(&path, "was left half written: removed");
                let _ = self.disk.remove(&path).await;
                continue;
            }
            let item = match self.read(&path).await {
                Ok(bytes) => decode(&bytes).map_err(|why| format!("failed decoding: {why}")),
                Err(error) => Err(format!("cannot be read: {error}")),
            };
            match item {
                Ok(item) => {
                    let right = file_name(id(&item));
                    if *name != right && names.contains(&right) {
                        self.complain(&path, &format!("{right} is about the same: skipped"));
                        continue;
                    }
                    if *name != right {
                        self.rename(folder, name, &right).await;
                    }
                    items.push(item);
                }
                Err(why) => self.complain(&path, &format!("{why}; skipped and left in place")),
            }
        }
        items
    }

    async fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        if self.disk.open(path, false).await?.len().await? > FILE_BYTES_MAX {
            let text = format!("it is larger than {FILE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.disk.read(path).await
    }

    async fn rename(&self, folder: &str, name: &str, right: &str) {
        let (from, to) = (format!("{folder}/{name}"), format!("{folder}/{right}"));
        let done = async {
            self.disk.rename(&from, &to).await?;
            self.disk.sync_dir(folder).await
        };
        if let Err(error) = done.await {
            self.complain(&from, &format!("cannot be renamed to {right}: {error}"));
        }
    }

    fn complain(&self, path: &str, what: &str) {
        let path = self.data_dir.join(path);
        let text = format_args!("definition: file={}: {what}", path.display());
        self.runtime.log(Level::Warn, "agent", text);
    }
}
