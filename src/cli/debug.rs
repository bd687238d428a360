//! `debug`: what an operator sends to whoever is to find a fault, in one archive (spec api 5.22).
//!
//! ```text
//!   OUTPUT.tar.gz ── OUTPUT/index.json      what was captured, of which agent, for how long
//!                    OUTPUT/agent.json, host.json, members.json     once, at the start
//!                    OUTPUT/metrics.json    one line for each interval
//!                    OUTPUT/consul.log      all levels, while it runs
//! ```
//!
//! Everything is kept in memory until the end, and the log is cut at [`LOG_BYTES_MAX`]. A signal ends the
//! capture early; what was captured till then is saved.
//!
//! Deliberately not here: profiles. They are those of Go's runtime.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use serde_json::{Value, json};

use crate::base::calendar::Utc;
use crate::base::runtime::{Disk, Either, File, Runtime, first_of};
use crate::base::{Duration, WallTime, go_duration};
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::attached::told_to_end;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Parsed, Takes};

const USAGE: &str = "Usage: consul debug [options]\n\n  \
    Monitors a Consul agent for the specified period of time, recording information about the\n  \
    agent, cluster, and environment to an archive written to the current directory.\n\n  \
    If ACLs are enabled, an 'operator:read' token must be supplied in order to perform this\n  \
    operation.\n\n  \
    To create a debug archive in the current directory for the default duration and interval,\n  \
    capturing all information available:\n\n      $ consul debug";

const FLAGS: &[Flag] = &[
    Flag {
        name: "archive",
        takes: Takes::Bool,
        help: "Archive and compress the files; false leaves a folder of them. The default is true.",
    },
    text(
        "capture",
        "What to capture: agent, host, members (or cluster), metrics, logs, pprof. Can be given many \
         times; by default everything available.",
    ),
    text("duration", "The total time to record information. Defaults to 5m0s."),
    text("interval", "The interval in which to capture dynamic information. Defaults to 30s."),
    text("output", "The path to the archive, without its ending. By default named after the time."),
];

pub(super) const COMMAND: Command = Command {
    path: "debug",
    synopsis: "Records a debugging archive for operators",
    usage: USAGE,
    flags: FLAGS,
    reach: Reach::Agent,
};

const fn text(name: &'static str, help: &'static str) -> Flag {
    Flag { name, takes: Takes::Text, help }
}

const INTERVAL: Duration = Duration::from_secs(30);
const DURATION: Duration = Duration::from_secs(300);
const INTERVAL_MIN: Duration = Duration::from_secs(5);
const DURATION_MIN: Duration = Duration::from_secs(10);
/// Beyond the duration, so that the last interval has its place.
const DURATION_GRACE: Duration = Duration::from_secs(2);
/// Of the form of what is in an archive.
const FORM: u64 = 1;
/// More of a log is dropped, bytes.
const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
const TARGETS: [&str; 6] = ["metrics", "logs", "pprof", "host", "agent", "members"];

/// The command line, checked.
struct Wanted {
    interval: Duration,
    duration: Duration,
    output: String,
    archive: bool,
    capture: Vec<String>,
}

impl Wanted {
    fn of(flags: &Parsed, now: WallTime) -> Result<Self, String> {
        if !flags.rest.is_empty() {
            return Err("debug: Too many arguments provided, expected 0".to_owned());
        }
        let span = |name: &str, default: Duration| match flags.text(name) {
            None => Ok(default),
            Some(text) => go_duration::parse_span(text)
                .ok_or_else(|| format!("invalid value {text:?} for flag -{name}: parse error")),
        };
        let named = |now| {
            let stamp = Utc::from(now).seconds().to_string().replace(':', "-");
            format!("consul-debug-{stamp}")
        };
        let output = flags.text("output").filter(|it| !it.is_empty());
        let capture: Vec<String> = flags
            .all("capture")
            .map(|target| if target == "cluster" { "members" } else { target }.to_owned())
            .collect();
        Ok(Self {
            interval: span("interval", INTERVAL)?,
            duration: span("duration", DURATION)?,
            output: output.map_or_else(|| named(now), str::to_owned),
            archive: flags.switch("archive") != Some(false),
            capture: match capture.is_empty() {
                true => TARGETS.map(str::to_owned).to_vec(),
                false => capture,
            },
        })
    }

    fn check(&self) -> Result<(), String> {
        let Self { interval, duration, .. } = *self;
        let shown = go_duration::format;
        if duration < DURATION_MIN {
            return Err(format!("duration must be longer than {}", shown(DURATION_MIN)));
        }
        if interval < INTERVAL_MIN {
            return Err(format!("interval must be longer than {}", shown(INTERVAL_MIN)));
        }
        if duration < interval {
            let (duration, interval) = (shown(duration), shown(interval));
            let text = format!("duration ({duration}) must be longer than interval ({interval})");
            return Err(text);
        }
        match self.capture.iter().find(|target| !TARGETS.contains(&target.as_str())) {
            Some(target) => Err(format!("target not found: {target}")),
            None => Ok(()),
        }
    }

    fn captures(&self, target: &str) -> bool {
        self.capture.iter().any(|it| it == target)
    }
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let wanted = Wanted::of(&flags, runtime.wall_clock());
    let mut wanted = wanted.map_err(|text| terminal.fail(format!("==> {text}")))?;
    let api = Api::new(runtime, &flags, terminal)
        .await
        .map_err(|text| terminal.fail(format!("==> {text}")))?;
    let prepared = prepare(runtime, &api, &mut wanted, terminal).await;
    let version =
        prepared.map_err(|why| terminal.fail(format!("==> Capture validation failed: {why}")))?;
    let ending = if wanted.archive { ".tar.gz" } else { "" };
    let saved_as = format!("{}{ending}", wanted.output);
    terminal.line("==> Starting debugger and capturing static information...");
    for (name, value) in [
        (" Agent Version", &version),
        ("      Interval", &go_duration::format(wanted.interval)),
        ("      Duration", &go_duration::format(wanted.duration)),
        ("        Output", &saved_as),
        ("       Capture", &wanted.capture.join(", ")),
    ] {
        terminal.line(format!("    {name}: '{value}'"));
    }
    let mut files = BTreeMap::new();
    capture_static(&api, &wanted, &mut files, terminal).await;
    capture_while_it_runs(runtime, &api, &wanted, &mut files, terminal).await;
    let index = json!({
        "Version": FORM,
        "AgentVersion": version,
        "Interval": go_duration::format(wanted.interval),
        "Duration": go_duration::format(wanted.duration),
        "Targets": wanted.capture,
    });
    files.insert("index.json", index.to_string().into_bytes());
    let saved = match wanted.archive {
        true => save_archive(runtime, &saved_as, &wanted.output, &files).await,
        false => save_folder(runtime, &wanted.output, &files).await,
    };
    saved.map_err(|why| terminal.fail(format!("==> Archive creation failed: {why}")))?;
    terminal.line(format!("    Saved debug archive: {saved_as}"));
    Ok(())
}

/// Looks whether all this can be done; the agent's version.
async fn prepare<R: Runtime>(
    runtime: &R,
    api: &Api<'_, R>,
    wanted: &mut Wanted,
    terminal: &mut Terminal<'_>,
) -> Result<String, String> {
    wanted.check()?;
    let agent =
        api.call(Method::GET, "/v1/agent/self", &[], Bytes::new()).await.map_err(|why| {
            format!("error querying target agent: {why}. verify connectivity and agent address")
        })?;
    let agent: Value = serde_json::from_slice(&agent.body).unwrap_or_default();
    let version = agent["Config"]["Version"].as_str();
    let version = version.ok_or("agent response did not contain version key")?.to_owned();
    if wanted.captures("pprof") {
        wanted.capture.retain(|target| target != "pprof");
        terminal.fail(
            "[WARN] Unable to capture pprof. Set enable_debug to true on target agent to enable \
             profiling.",
        );
    }
    let (folder, name) = place(&wanted.output);
    let names = runtime.disk(folder).read_dir("").await.map_err(|error| {
        format!("could not create output directory: {}: {error}", folder.display())
    })?;
    let taken = |it: &String| *it == name || *it == format!("{name}.tar.gz");
    if name.is_empty() || names.iter().any(taken) {
        return Err(format!("output directory already exists: {}", wanted.output));
    }
    Ok(version)
}

async fn capture_static<R: Runtime>(
    api: &Api<'_, R>,
    wanted: &Wanted,
    files: &mut BTreeMap<&'static str, Vec<u8>>,
    terminal: &mut Terminal<'_>,
) {
    for (target, file, path, params) in [
        ("host", "host.json", "/v1/agent/host", &[][..]),
        ("agent", "agent.json", "/v1/agent/self", &[]),
        ("members", "members.json", "/v1/agent/members", &[("wan", "1")]),
    ] {
        if !wanted.captures(target) {
            continue;
        }
        match api.call(Method::GET, path, params, Bytes::new()).await {
            Ok(answer) => drop(files.insert(file, answer.body.to_vec())),
            Err(why) => drop(terminal.fail(format!("Static capture failed: {why}"))),
        }
    }
}

/// Metrics and logs, for as long as was wanted.
async fn capture_while_it_runs<R: Runtime>(
    runtime: &R,
    api: &Api<'_, R>,
    wanted: &Wanted,
    files: &mut BTreeMap<&'static str, Vec<u8>>,
    terminal: &mut Terminal<'_>,
) {
    let (metrics, logs) = (wanted.captures("metrics"), wanted.captures("logs"));
    if !metrics && !logs {
        return;
    }
    let (mut lines, mut log) = (Vec::new(), Vec::new());
    let logging = async {
        if logs {
            let take = |piece: &[u8]| {
                let room = LOG_BYTES_MAX.saturating_sub(log.len());
                log.extend_from_slice(&piece[..piece.len().min(room)]);
            };
            // It ends with the agent; what was heard stays.
            let _ended = api.follow("/v1/agent/monitor", &[("loglevel", "TRACE")], take).await;
        }
        std::future::pending::<()>().await;
    };
    let counting = capture_metrics(runtime, api, (wanted, metrics), &mut lines, terminal);
    let over = runtime.sleep(wanted.duration + DURATION_GRACE);
    let working = first_of(first_of(counting, logging), over);
    let told = matches!(first_of(working, told_to_end(runtime)).await, Either::Second(_));
    if told {
        let why = "stopping collection due to shutdown signal";
        terminal.fail(format!("==> Error encountered during collection: {why}"));
    }
    files.extend(metrics.then_some(("metrics.json", lines)));
    files.extend(logs.then_some(("consul.log", log)));
}

/// Goes on for ever: one look in each interval.
async fn capture_metrics<R: Runtime>(
    runtime: &R,
    api: &Api<'_, R>,
    (wanted, metrics): (&Wanted, bool),
    lines: &mut Vec<u8>,
    terminal: &mut Terminal<'_>,
) {
    let now = Utc::from(runtime.wall_clock()).go_seconds().to_string();
    terminal.line(format!("==> Beginning capture interval {now} (0)"));
    for number in 0_u64.. {
        if metrics {
            match api.call(Method::GET, "/v1/agent/metrics", &[], Bytes::new()).await {
                Ok(answer) => {
                    let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                    lines.extend_from_slice(parsed.to_string().as_bytes());
                    lines.push(b'\n');
                }
                Err(why) => {
                    terminal.fail(format!("==> Error encountered during collection: {why}"));
                }
            }
        }
        let now = Utc::from(runtime.wall_clock()).go_seconds().to_string();
        terminal.line(format!("==> Capture successful {now} ({number})"));
        runtime.sleep(wanted.interval).await;
    }
}

/// Folder and name of a path.
fn place(file: &str) -> (&Path, String) {
    let path = Path::new(file);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    (folder.unwrap_or(Path::new(".")), name)
}

async fn write<D: Disk>(disk: &D, name: &str, content: &[u8]) -> Result<(), String> {
    let written = async {
        let file = disk.open(name, true).await?;
        file.set_len(0).await?;
        file.write_at(0, content).await?;
        file.sync().await
    };
    written.await.map_err(|error| format!("{name}: {error}"))
}

async fn save_folder<R: Runtime>(
    runtime: &R,
    output: &str,
    files: &BTreeMap<&'static str, Vec<u8>>,
) -> Result<(), String> {
    let disk = runtime.disk(Path::new(output));
    disk.create_dir_all("").await.map_err(|error| error.to_string())?;
    for (name, content) in files {
        write(&disk, name, content).await?;
    }
    Ok(())
}

async fn save_archive<R: Runtime>(
    runtime: &R,
    saved_as: &str,
    output: &str,
    files: &BTreeMap<&'static str, Vec<u8>>,
) -> Result<(), String> {
    let (folder, inner) = place(output);
    let packed = pack(&inner, runtime.wall_clock(), files).map_err(|error| error.to_string())?;
    write(&runtime.disk(folder), &place(saved_as).1, &packed).await
}

fn pack(
    folder: &str,
    now: WallTime,
    files: &BTreeMap<&'static str, Vec<u8>>,
) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_mtime(u64::try_from(now.0 / 1_000_000_000).unwrap_or(0));
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, format!("{folder}/{name}"), content.as_slice())?;
    }
    archive.into_inner()?.finish()
}
