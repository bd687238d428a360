//! Real time, threads and processes: all that this test starts is started and ended here.
//!
//! ```text
//! Guard ── root folder ─┬─ case folder ── agent, its scripts, commands   (all with it as working folder)
//!    │                  └─ …
//!    └─ a shell that waits for the end of this program, however it ends, and then clears the root
//! ```
//!
//! Whoever works inside a case's folder belongs to the case. So no list of process ids has to be kept,
//! and what an agent's scripts start is found, too. Nothing is ended by its name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use std::os::unix::process::{CommandExt, ExitStatusExt};

use serde_json::{Value, json};
use tempfile::TempDir;

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Does something at the same time.
#[expect(clippy::disallowed_methods, reason = "real clients of real processes need threads")]
pub fn meanwhile<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(work)
}

/// Reads until its input ends, which is when this program has ended; then ends what still works below
/// the folder `$1` and removes it.
const WHEN_THE_PROGRAM_IS_GONE: &str = r#"
    while read -r _; do :; done
    for process in /proc/[0-9]*; do
        case "$(readlink "$process/cwd")" in
        "$1"/*) kill -9 "${process#/proc/}" ;;
        esac
    done
    rm -rf "$1"
"#;

/// The root of all temporary folders, cleared even if this program is killed.
pub struct Guard {
    root: TempDir,
    shell: Child,
}

impl Guard {
    pub fn new() -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("conformance-").tempdir()?;
        let shell = Command::new("sh")
            .args(["-c", WHEN_THE_PROGRAM_IS_GONE, "guard"])
            .arg(root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // an interrupt at the terminal is not for it
            .spawn()?;
        Ok(Self { root, shell })
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It has no more to do than to clear away; if it is gone already, the folder still goes.
        let _ = self.shell.wait();
    }
}

/// Ends with SIGKILL every process that works below this folder.
pub fn sweep(folder: &Path) {
    let strays: Vec<String> = inside(folder);
    if !strays.is_empty() {
        // One that has ended by itself meanwhile is no failure.
        let _ = Command::new("kill").arg("-KILL").args(&strays).stderr(Stdio::null()).status();
    }
}

/// Ids of processes whose working folder is this or below it. Without `/proc`, none.
fn inside(folder: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let works_here = |path: &PathBuf| {
        fs::read_link(path.join("cwd")).is_ok_and(|working| working.starts_with(folder))
    };
    let paths = processes.map(|entry| entry.path()).filter(works_here);
    paths
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

/// Sends a signal: `TERM`, `INT`, `HUP`.
pub fn signal(child: &Child, name: &str) {
    // A process that is gone already cannot take it, and its end is seen by whoever waits for it.
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(child.id().to_string())
        .stderr(Stdio::null())
        .status();
}

/// How it ended, if it did so in this time.
pub fn wait(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let end = now() + time;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if now() >= end {
            return None;
        }
        sleep(Duration::from_millis(5));
    }
}

/// SIGKILL, and no zombie stays.
pub fn kill(child: &mut Child) {
    // Gone already is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

/// The exit code; the number of the signal below zero.
pub fn exit_code(status: ExitStatus) -> Value {
    json!(status.code().unwrap_or_else(|| -status.signal().unwrap_or_default()))
}

/// The environment of an agent or a command: this one without what steers Consul's.
pub fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CONSUL_") {
            command.env_remove(name);
        }
    }
}
