//! `lock`: runs a program while holding a lock or a place of a semaphore (spec api 5.12).
//!
//! ```text
//!   session ─► acquire ──► child runs ──┬─ it ends ───────────────────────────► release ─► clean up
//!      │ renewed at half of its TTL     ├─ the lock is lost ─► TERM, 5 s, KILL ──┘
//!      ▼ all the while                  └─ told to end ──────► TERM, 5 s, KILL ──┘
//! ```
//!
//! Keys, flags and order of questions are those of Consul's Go client, so that both can contend for the
//! same lock: a lock is the key `PREFIX/.lock`, held by a session ([`mutex`]); a semaphore is that key as a
//! list of holders, beside a key for each contender ([`semaphore`]).
//!
//! The exit code is 0 even though the child failed; 2 with `-child-exit-code`; 1 when there was no lock.
//!
//! Departures: a hangup ends the command as a termination does, where Consul's leaves the lock to its
//! session's end; the session is destroyed before the command ends, not meanwhile.

mod contest;
mod mutex;
mod semaphore;
mod session;

use std::future::Future;
use std::pin::{Pin, pin};

use hyper::Method;

use crate::base::attached::{AttachedChild, AttachedCommand, AttachedInput, ChildSignal};
use crate::base::runtime::{Either, Runtime, first_of};
use crate::base::{Duration, go_duration};
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::attached::{argv, ended, told_to_end};
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Parsed, Takes};

use contest::{Cleanup, Contest, Progress};
use session::{Session, alongside};

const USAGE: &str = "Usage: consul lock [options] prefix child...\n\n  \
    Acquires a lock or semaphore at a given path, and invokes a child process when successful.\n  \
    The child process can assume the lock is held while it executes. If the lock is lost or\n  \
    communication is disrupted the child process will be sent a SIGTERM signal and given time to\n  \
    gracefully exit. After the grace period expires the process will be hard terminated.\n\n  \
    When -n=1, only a single lock holder or leader exists providing mutual exclusion. Setting a\n  \
    higher value switches to a semaphore allowing multiple holders to coordinate.\n\n  \
    The prefix provided must have write privileges.";

const FLAGS: &[Flag] = &[
    Flag {
        name: "child-exit-code",
        takes: Takes::Bool,
        help: "Exit 2 if the child process exited with an error; otherwise its error is not told.",
    },
    text(
        "monitor-retry",
        "Times to retry when Consul fails while the lock is monitored, 1s apart; 3.",
    ),
    text(
        "n",
        "Limit on the number of concurrent lock holders; above 1, a semaphore. The default is 1.",
    ),
    text("name", "Name of the lock's session. By default made of the child command."),
    Flag { name: "pass-stdin", takes: Takes::Bool, help: "Pass stdin to the child process." },
    Flag {
        name: "shell",
        takes: Takes::Bool,
        help: "Use a shell to run the command (SHELL names it). The default is true.",
    },
    text(
        "timeout",
        "Maximum amount of time to wait to acquire the lock, like \"1s\"; 0: for ever.",
    ),
    text("try", "The old name of -timeout."),
    Flag { name: "verbose", takes: Takes::Bool, help: "Enable verbose (debugging) output." },
];

pub(super) const COMMAND: Command = Command {
    path: "lock",
    synopsis: "Execute a command holding a lock",
    usage: USAGE,
    flags: FLAGS,
    reach: Reach::Servers,
};

const fn text(name: &'static str, help: &'static str) -> Flag {
    Flag { name, takes: Takes::Text, help }
}

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// The command line, checked.
struct Wanted {
    limit: i64,
    prefix: String,
    child: Vec<String>,
    name: String,
    timeout: Option<Duration>,
    monitor_retry: i64,
    shell: bool,
    pass_stdin: bool,
    child_exit_code: bool,
    verbose: bool,
}

impl Wanted {
    /// In the order in which Consul checks.
    fn of(flags: &Parsed) -> Result<Self, String> {
        let number = |name: &str, default: i64| match flags.text(name) {
            None => Ok(default),
            Some(text) => text.parse::<i64>().map_err(|_| {
                format!("invalid value {text:?} for flag -{name}: parse error\n{USAGE}")
            }),
        };
        let (limit, monitor_retry) = (number("n", 1)?, number("monitor-retry", 3)?);
        let timeout = match flags.all_of(&["timeout", "try"]).last() {
            None => 0,
            Some((name, text)) => go_duration::parse(text).ok_or_else(|| {
                format!("invalid value {text:?} for flag -{name}: parse error\n{USAGE}")
            })?,
        };
        if limit <= 0 {
            return Err("Lock holder limit must be positive".to_owned());
        }
        let Some((prefix, child)) = flags.rest.split_first().filter(|(_, rest)| !rest.is_empty())
        else {
            return Err("Key prefix and child command must be specified".to_owned());
        };
        if timeout < 0 {
            return Err("Timeout must be positive".to_owned());
        }
        if monitor_retry < 0 {
            return Err("Number for 'monitor-retry' must be >= 0".to_owned());
        }
        let prefix = prefix.strip_prefix('/').unwrap_or(prefix).to_owned();
        let name = flags.text("name").filter(|name| !name.is_empty()).map_or_else(
            || format!("Consul lock for '{}' at '{prefix}'", child.join(" ")),
            str::to_owned,
        );
        let on = |name| flags.switch(name) == Some(true);
        Ok(Self {
            limit,
            prefix,
            child: child.to_vec(),
            name,
            timeout: u64::try_from(timeout).ok().filter(|it| *it > 0).map(Duration::from_nanos),
            monitor_retry,
            shell: flags.switch("shell") != Some(false),
            pass_stdin: on("pass-stdin"),
            child_exit_code: on("child-exit-code"),
            verbose: on("verbose"),
        })
    }

    fn say(&self, terminal: &mut Terminal<'_>, text: &str) {
        if self.verbose {
            terminal.line(text);
        }
    }
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let wanted = Wanted::of(&flags).map_err(|text| terminal.fail(text))?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let agent = api.call(Method::GET, "/v1/agent/self", &[], bytes::Bytes::new()).await;
    if let Err(why) = agent {
        return Err(terminal.fail(format!("Error querying Consul agent: {why}")));
    }
    let contest = Contest::new(runtime, &api, &wanted);
    match wanted.limit {
        1 => wanted.say(terminal, &format!("Setting up lock at path: {}", contest.lock_key())),
        _ if wanted.prefix.is_empty() => {
            return Err(terminal.fail("Lock setup failed: missing prefix"));
        }
        limit => {
            let prefix = &wanted.prefix;
            let text = format!("Setting up semaphore (limit {limit}) at prefix: {prefix}");
            wanted.say(terminal, &text);
        }
    }
    wanted.say(terminal, "Attempting lock acquisition");
    let session = Session::create(runtime, &api, &wanted.name, wanted.limit > 1).await;
    let session = session.map_err(|why| {
        terminal.fail(format!("Lock acquisition failed: failed to create session: {why}"))
    })?;
    let done = with_session(runtime, &wanted, &contest, &session, terminal).await;
    session.destroy().await;
    let code = done?;
    match contest.clean_up().await {
        Ok(Cleanup::Done) => wanted.say(terminal, "Cleanup succeeded"),
        Ok(Cleanup::InUse) => wanted.say(terminal, "Cleanup aborted, lock in use"),
        Err(why) => return Err(terminal.fail(format!("Lock cleanup failed: {why}"))),
    }
    if code == 0 { Ok(()) } else { Err(code) }
}

/// Acquires, runs the child, releases. The code that is left to exit with; an error ends at once.
async fn with_session<R: Runtime>(
    runtime: &R,
    wanted: &Wanted,
    contest: &Contest<'_, R>,
    session: &Session<'_, R>,
    terminal: &mut Terminal<'_>,
) -> Result<i32, i32> {
    let mut renewing = pin!(session.keep_alive());
    let mut stop = pin!(told_to_end(runtime));
    let mut progress = Progress::new(runtime.is_watched(), terminal);
    let acquiring = contest.acquire(&session.id, stop.as_mut(), &mut progress);
    match alongside(renewing.as_mut(), acquiring).await {
        Ok(true) => {}
        Ok(false) => {
            let text = "Shutdown triggered or timeout during lock acquisition";
            return Err(terminal.fail(text));
        }
        Err(why) => return Err(terminal.fail(format!("Lock acquisition failed: {why}"))),
    }
    let lost = contest.monitor(&session.id);
    let failed = hold(runtime, wanted, lost, stop, renewing.as_mut(), terminal).await;
    let released = alongside(renewing, contest.release(&session.id)).await;
    if let Err(why) = released {
        return Err(terminal.fail(format!("Lock release failed: {why}")));
    }
    Ok(if failed && wanted.child_exit_code { 2 } else { 0 })
}

/// Runs the child for as long as the lock is held. Whether it failed by itself.
async fn hold<R: Runtime>(
    runtime: &R,
    wanted: &Wanted,
    lost: impl Future<Output = ()>,
    mut stop: Pin<&mut impl Future<Output = ChildSignal>>,
    mut renewing: Pin<&mut impl Future<Output = std::convert::Infallible>>,
    terminal: &mut Terminal<'_>,
) -> bool {
    wanted.say(terminal, "Starting handler");
    if wanted.pass_stdin {
        wanted.say(terminal, "Stdin passed to handler process");
    }
    let command = AttachedCommand {
        argv: argv(&wanted.child, wanted.shell, &terminal.env),
        env: vec![("CONSUL_LOCK_HELD".to_owned(), "true".to_owned())],
        stdin: if wanted.pass_stdin { AttachedInput::Own } else { AttachedInput::Nothing },
    };
    let mut child = match runtime.start_attached(command) {
        Ok(child) => child,
        Err(error) => {
            terminal.fail(format!("Error starting handler: {error}"));
            wanted.say(terminal, "Child terminated, releasing lock");
            return true;
        }
    };
    let watching = async {
        match first_of(ended(&mut *child), first_of(lost, stop.as_mut())).await {
            Either::First(end) => Ok(end),
            Either::Second(why) => Err(why),
        }
    };
    let why = match alongside(renewing.as_mut(), watching).await {
        Ok(end) => {
            let why = match end {
                Ok(end) if end.is_success() => None,
                Ok(end) => Some(end.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = &why {
                terminal.fail(format!("Error running handler: {why}"));
            }
            wanted.say(terminal, "Child terminated, releasing lock");
            return why.is_some();
        }
        Err(why) => why,
    };
    match why {
        Either::First(()) => wanted.say(terminal, "Lock lost, killing child"),
        Either::Second(signal) => {
            // It hears the signal itself, too: an interrupt may mean more to it than a termination.
            let _ = child.signal(signal);
            wanted.say(terminal, "Shutdown triggered, killing child");
        }
    }
    alongside(renewing, kill(runtime, wanted, child, terminal)).await;
    false
}

/// SIGTERM, time to tidy up, SIGKILL.
async fn kill<R: Runtime>(
    runtime: &R,
    wanted: &Wanted,
    mut child: Box<dyn AttachedChild>,
    terminal: &mut Terminal<'_>,
) {
    let id = child.id();
    wanted.say(terminal, &format!("Terminating child pid {id}"));
    if let Err(error) = child.signal(ChildSignal::Terminate) {
        terminal.fail(format!("Failed to terminate {id}: {error}"));
        return;
    }
    if runtime.timeout(GRACE, pin!(ended_quietly(&mut *child))).await.is_ok() {
        wanted.say(terminal, "Child terminated");
        return;
    }
    let grace = go_duration::format(GRACE);
    wanted.say(terminal, &format!("Child did not exit after grace period of {grace}"));
    wanted.say(terminal, &format!("Killing child pid {id}"));
    match child.signal(ChildSignal::Kill) {
        Ok(()) => ended_quietly(&mut *child).await,
        Err(error) => drop(terminal.fail(format!("Failed to kill {id}: {error}"))),
    }
}

/// However it ends.
async fn ended_quietly(child: &mut dyn AttachedChild) {
    let _ = ended(child).await;
}
