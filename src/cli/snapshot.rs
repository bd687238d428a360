//! `snapshot save` and `snapshot restore` (spec api 5.17).
//!
//! A snapshot is written beside its name, made durable, read back and verified, and only then renamed:
//! a file of the wanted name is whole, and one that was there before stays until then. How far it is is
//! told to a person who looks, and to nobody else: scripts compare what is said.

use std::io;

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::runtime::{Disk, File, Runtime};
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::cli::files::{self, place, reason};
use crate::cli::progress::{Progress, size};
use crate::config::flags::{Flag, Takes};
use crate::wire::archive;

pub(super) const GROUP: Command = Command {
    path: "snapshot",
    synopsis: "Saves, restores and inspects snapshots of Consul server state",
    usage: "Usage: consul snapshot <subcommand> [options] [args]\n\n  \
        Saves, restores and shows the state of the Consul servers, for disaster recovery. It is in\n  \
        one atomic, point-in-time file.\n\n  \
        Create a snapshot:\n\n      $ consul snapshot save backup.snap\n\n  \
        Restore it:\n\n      $ consul snapshot restore backup.snap",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const SAVE: Command = Command {
    path: "snapshot save",
    synopsis: "Saves snapshot of Consul server state",
    usage: "Usage: consul snapshot save [options] FILE\n\n  \
        Retrieves the state of the servers at one moment and saves it to the file, which has its\n  \
        name only when it is whole and verified.\n\n      \
        $ consul snapshot save backup.snap\n\n  \
        From any server, when there is no leader:\n\n      \
        $ consul snapshot save -stale backup.snap",
    flags: &[Flag {
        name: "append-filename",
        takes: Takes::Text,
        help: "Adds to the end of the file's name, in this order, those of version, dc, node and status \
               that are listed here, separated by commas.",
    }],
    reach: Reach::Servers,
};

pub(super) const RESTORE: Command = Command {
    path: "snapshot restore",
    synopsis: "Restores snapshot of Consul server state",
    usage: "Usage: consul snapshot restore [options] FILE\n\n  \
        Puts the state of a snapshot in the place of what the servers hold. All that was written\n  \
        since is lost.\n\n      \
        $ consul snapshot restore backup.snap",
    flags: &[],
    reach: Reach::Servers,
};

/// The one positional argument of these commands.
pub(super) fn file_argument<'a>(
    rest: &'a [String],
    terminal: &mut Terminal<'_>,
) -> Result<&'a str, i32> {
    match rest {
        [] => Err(terminal.fail("Missing FILE argument")),
        [file] => Ok(file),
        many => {
            let text = format!("Too many arguments (expected 1, got {})", many.len());
            Err(terminal.fail(text))
        }
    }
}

pub(super) async fn save<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = SAVE.parse(args, terminal)?;
    let mut file = file_argument(&flags.rest, terminal)?.to_owned();
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let appended = flags.text("append-filename").unwrap_or_default();
    if !appended.is_empty() {
        file = named_after_agent(&api, &file, appended).await.map_err(|text| {
            let what = "Error connecting to Consul agent and fetching datacenter/version";
            terminal.fail(format!("{what}: {text}"))
        })?;
    }
    let (mut archive, mut progress) = (Vec::new(), Progress::default());
    let answer = api
        .follow("/v1/snapshot", &[], |piece| {
            archive.extend_from_slice(piece);
            progress.say(terminal, &format!("Saving snapshot: {}", size(archive.len())));
        })
        .await;
    progress.end(terminal);
    let answer = answer.map_err(|text| terminal.fail(format!("Error saving snapshot: {text}")))?;
    let index = answer.header("x-consul-index").unwrap_or("0").to_owned();
    write_verified(runtime, &file, &archive).await.map_err(|text| terminal.fail(text))?;
    terminal.line(format!("Saved and verified snapshot to index {index}"));
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SelfJson {
    config: ConfigJson,
    stats: StatsJson,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConfigJson {
    version: String,
    datacenter: String,
    node_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StatsJson {
    consul: ConsulJson,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConsulJson {
    leader: String,
}

/// `backup.snap` becomes `backup-1.9.8-dc1.snap`.
async fn named_after_agent<R: Runtime>(
    api: &Api<'_, R>,
    file: &str,
    wanted: &str,
) -> Result<String, String> {
    let answer = api.call(Method::GET, "/v1/agent/self", &[], Bytes::new()).await?;
    let agent: SelfJson = serde_json::from_slice(&answer.body)
        .map_err(|error| format!("malformed answer: {error}"))?;
    let leads = agent.stats.consul.leader == "true";
    let known = [
        ("version", agent.config.version.as_str()),
        ("dc", &agent.config.datacenter),
        ("node", &agent.config.node_name),
        ("status", if leads { "leader" } else { "follower" }),
    ];
    // The extension is what follows the last dot of the last name.
    let name_starts = file.rfind('/').map_or(0, |at| at + 1);
    let dot = file[name_starts..].rfind('.').map_or(file.len(), |at| name_starts + at);
    let (mut name, extension) = (file[..dot].to_owned(), &file[dot..]);
    for (word, value) in known {
        if wanted.split(',').any(|one| one == word) {
            name.push('-');
            name.push_str(value);
        }
    }
    Ok(name + extension)
}

async fn write_verified<R: Runtime>(runtime: &R, file: &str, archive: &[u8]) -> Result<(), String> {
    let (folder, name) = place(file);
    let disk = runtime.disk(folder);
    let unverified = format!("{name}.unverified");
    let error = |what: &str, error: io::Error| format!("Error {what}: {}", reason(&error));
    if name.is_empty() {
        return Err(format!("Error creating snapshot file: {file:?} is not the name of a file"));
    }
    let out = disk.open(&unverified, true).await.map_err(|why| {
        let why = reason(&why);
        format!("Error writing unverified snapshot file: open {file}.unverified: {why}")
    })?;
    let written = async {
        out.set_len(0).await?;
        out.write_at(0, archive).await?;
        out.sync().await
    };
    let written = written.await;
    drop(out);
    written.map_err(|why| error("writing unverified snapshot file", why))?;
    let back = disk
        .read(&unverified)
        .await
        .map_err(|why| error("opening snapshot file for verify", why))?;
    if let Err(why) = archive::unpack(&back) {
        // What is no snapshot is not left lying about. That the removal fails changes nothing.
        let _ = disk.remove(&unverified).await;
        return Err(format!("Error verifying snapshot file: {why}"));
    }
    disk.rename(&unverified, &name).await.map_err(|why| {
        let why = reason(&why);
        format!("Error renaming \"{file}.unverified\" to {file:?}: {why}")
    })?;
    disk.sync_dir("").await.map_err(|why| error("writing snapshot file", why))
}

/// A file's content, or why not, in Go's words.
pub(super) async fn read_file<R: Runtime>(runtime: &R, file: &str) -> Result<Vec<u8>, String> {
    let read = files::read(runtime, file).await;
    read.map_err(|why| format!("Error opening snapshot file: {why}"))
}

pub(super) async fn restore<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = RESTORE.parse(args, terminal)?;
    let file = file_argument(&flags.rest, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let archive = read_file(runtime, file).await.map_err(|text| terminal.fail(text))?;
    let mut progress = Progress::default();
    progress.say(terminal, &format!("Restoring snapshot: {} ...", size(archive.len())));
    let restored = api.call(Method::PUT, "/v1/snapshot", &[], archive.into()).await;
    progress.end(terminal);
    match restored {
        Ok(_) => {
            terminal.line("Restored snapshot");
            Ok(())
        }
        Err(text) => Err(terminal.fail(format!("Error restoring snapshot: {text}"))),
    }
}
