//! `exec`: asks the nodes of the cluster to run a command (spec api 5.23).
//!
//! ```text
//!   session ─► _rexec/SESSION/job (locked) ─► event "_rexec" ─► answers below _rexec/SESSION/NODE/
//!                                                               ack · out/N · exit
//! ```
//!
//! Agents answer only when they are configured to (`disable_remote_exec = false`), which by default
//! they are not; those of Proconsul never do. Without an answer for `-wait` the command ends, as
//! Consul's does: with the count of the nodes that acknowledged, none. What was stored is removed.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use crate::base::runtime::Runtime;
use crate::base::{Duration, go_duration};
use crate::cli::api::{Api, Found};
use crate::cli::command::{Command, Reach};
use crate::cli::{Terminal, commands, go_regex};
use crate::config::flags::{Flag, Parsed, Takes};

pub(super) const COMMAND: Command = Command {
    path: "exec",
    synopsis: "Executes a command on Consul nodes",
    usage: "Usage: consul exec [options] [-|command...]\n\n  \
        Asks the nodes of the cluster to run a command; a script from standard input, if it is '-'.\n  \
        Agents do so only when they are configured with \"disable_remote_exec\": false, and those of\n  \
        Proconsul never do.",
    flags: &[
        Flag {
            name: "node",
            takes: Takes::Text,
            help: "Regular expression to filter on node names.",
        },
        Flag {
            name: "prefix",
            takes: Takes::Text,
            help: "Prefix in the KV store to use for request data. The default is _rexec.",
        },
        Flag {
            name: "service",
            takes: Takes::Text,
            help: "Regular expression to filter on service instances.",
        },
        Flag {
            name: "shell",
            takes: Takes::Bool,
            help: "Use a shell to run the command. The default is true.",
        },
        Flag {
            name: "tag",
            takes: Takes::Text,
            help: "Regular expression to filter on service tags. Must be used with -service.",
        },
        Flag { name: "verbose", takes: Takes::Bool, help: "Enables verbose output." },
        Flag {
            name: "wait",
            takes: Takes::Span,
            help: "Period to wait with no responses before terminating execution. The default is 2s.",
        },
        Flag {
            name: "wait-repl",
            takes: Takes::Span,
            help: "Period to wait for replication before firing event. The default is 200ms.",
        },
    ],
    reach: Reach::Servers,
};

const QUIET_WAIT: Duration = Duration::from_secs(2);
const REPLICATION_WAIT: Duration = Duration::from_millis(200);
/// The session of a command that is gone ends after so long.
const SESSION_TTL: &str = "15s";

/// What is asked of the nodes.
struct Job {
    spec: Value,
    filters: Vec<(&'static str, String)>,
    prefix: String,
    wait: Duration,
    replication_wait: Duration,
    verbose: bool,
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let job = job_of(&flags, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let asked = api.call(Method::GET, "/v1/agent/self", &[], Bytes::new()).await;
    asked.map_err(|why| terminal.fail(format!("Error querying Consul agent: {why}")))?;
    let session = create_session(&api).await;
    let session =
        session.map_err(|why| terminal.fail(format!("Failed to create session: {why}")))?;
    if job.verbose {
        terminal.line(format!("Created remote execution session: {session}"));
    }
    let done = ask_nodes(runtime, &api, &job, &session, terminal).await;
    // The session goes first, so that no agent can write any more. That the removal fails is seen by
    // nobody: the session's end removes what it has locked.
    let path = format!("/v1/session/destroy/{session}");
    let _ = api.call(Method::PUT, &path, &[], Bytes::new()).await;
    let folder = format!("{}/{session}", job.prefix);
    let _ = api.kv(Method::DELETE, &folder, &[("recurse", "")], Bytes::new()).await;
    done
}

fn job_of(flags: &Parsed, terminal: &mut Terminal<'_>) -> Result<Job, i32> {
    let shell = flags.switch("shell") != Some(false);
    let mut command = flags.rest.join(" ");
    let (mut script, mut argv) = (Vec::new(), Value::Null);
    if command == "-" {
        if !shell {
            let text = "Cannot configure -shell=false when reading from stdin";
            return Err(terminal.fail(text));
        }
        command.clear();
        if let Err(error) = terminal.stdin.read_to_end(&mut script) {
            return Err(terminal.fail(format!("Failed to read stdin: {error}")));
        }
    } else if !shell {
        command.clear();
        argv = json!(flags.rest);
    }
    if command.is_empty() && script.is_empty() && flags.rest.first().is_none_or(|it| it == "-") {
        let help = commands::help(&COMMAND);
        return Err(terminal.fail(format!("Must specify a command to execute\n\n{help}")));
    }
    let mut filters = Vec::new();
    for name in ["node", "service", "tag"] {
        let expression = flags.text(name).unwrap_or_default();
        if let Err(error) = go_regex::compile(expression) {
            let text = format!("Failed to compile {name} filter regexp: {error}");
            return Err(terminal.fail(text));
        }
        if !expression.is_empty() {
            filters.push((name, expression.to_owned()));
        }
    }
    let has = |wanted| filters.iter().any(|(name, _)| *name == wanted);
    if has("tag") && !has("service") {
        return Err(terminal.fail("Cannot provide tag filter without service filter."));
    }
    let span =
        |name, default| flags.text(name).and_then(go_duration::parse_span).unwrap_or(default);
    let wait = span("wait", QUIET_WAIT);
    Ok(Job {
        spec: json!({
            "Command": command,
            "Args": argv,
            "Script": STANDARD.encode(script),
            "Wait": u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX),
        }),
        filters,
        prefix: flags.text("prefix").unwrap_or("_rexec").to_owned(),
        wait,
        replication_wait: span("wait-repl", REPLICATION_WAIT),
        verbose: flags.is_on("verbose"),
    })
}

async fn create_session<R: Runtime>(api: &Api<'_, R>) -> Result<String, String> {
    let body = json!({ "Name": "Remote Exec", "Behavior": "delete", "TTL": SESSION_TTL });
    let body = Bytes::from(body.to_string());
    id_of(&api.call(Method::PUT, "/v1/session/create", &[], body).await?.body)
}

fn id_of(body: &[u8]) -> Result<String, String> {
    let found: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let id = found["ID"].as_str().map(str::to_owned);
    id.ok_or_else(|| "malformed answer: it holds no ID".to_owned())
}

async fn ask_nodes<R: Runtime>(
    runtime: &R,
    api: &Api<'_, R>,
    job: &Job,
    session: &str,
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let key = format!("{}/{session}/job", job.prefix);
    let spec = Bytes::from(job.spec.to_string());
    let stored = match api.kv(Method::PUT, &key, &[("acquire", session)], spec).await {
        Ok(Found::Body(body)) if body.starts_with(b"true") => Ok(()),
        Ok(_) => Err(format!("failed to acquire key {key}")),
        Err(why) => Err(why),
    };
    stored.map_err(|why| terminal.fail(format!("Failed to create job file: {why}")))?;
    if job.verbose {
        terminal.line("Uploaded remote execution spec");
    }
    runtime.sleep(job.replication_wait).await;
    let filters: Vec<_> = job.filters.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let event = json!({ "Prefix": job.prefix, "Session": session }).to_string();
    let fired = api.call(Method::PUT, "/v1/event/fire/_rexec", &filters, event.into()).await;
    let id = fired.and_then(|answer| id_of(&answer.body));
    let id = id.map_err(|why| terminal.fail(format!("Failed to fire event: {why}")))?;
    if job.verbose {
        terminal.line(format!("Fired remote execution event: {id}"));
    }
    let heard = listen(runtime, api, job, session, terminal).await;
    let heard = heard.map_err(|why| terminal.fail(format!("Failed to read results: {why}")))?;
    terminal
        .line(format!("{} / {} node(s) completed / acknowledged", heard.ended, heard.acknowledged));
    // Somebody's command failed, or somebody did not say how it ended.
    if heard.failed > 0 || heard.ended < heard.acknowledged { Err(2) } else { Ok(()) }
}

/// What came from the nodes.
#[derive(Default)]
struct Heard {
    acknowledged: usize,
    ended: usize,
    failed: usize,
}

/// Shows what the nodes answer, until nobody has said anything for the wait.
async fn listen<R: Runtime>(
    runtime: &R,
    api: &Api<'_, R>,
    job: &Job,
    session: &str,
    terminal: &mut Terminal<'_>,
) -> Result<Heard, String> {
    let folder = format!("{}/{session}/", job.prefix);
    let mut seen = BTreeSet::new();
    let mut heard = Heard::default();
    let mut last_news = runtime.now();
    let mut renewed = runtime.now();
    loop {
        // A node that works on it may be silent for longer.
        let patience = job.wait * if heard.acknowledged > heard.ended { 2 } else { 1 };
        let keys: Vec<String> =
            match api.kv(Method::GET, &folder, &[("keys", "")], Bytes::new()).await? {
                Found::Nothing => Vec::new(),
                Found::Body(body) => {
                    serde_json::from_slice(&body).map_err(|error| error.to_string())?
                }
            };
        for key in keys {
            if !seen.insert(key.clone()) {
                continue;
            }
            last_news = runtime.now();
            show(api, &folder, &key, &mut heard, terminal).await?;
        }
        if runtime.now() >= last_news + patience {
            return Ok(heard);
        }
        if runtime.now() >= renewed + RENEWAL {
            renewed = runtime.now();
            let path = format!("/v1/session/renew/{session}");
            api.call(Method::PUT, &path, &[], Bytes::new()).await?;
        }
        runtime.sleep(POLL).await;
    }
}

const RENEWAL: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

async fn show<R: Runtime>(
    api: &Api<'_, R>,
    folder: &str,
    key: &str,
    heard: &mut Heard,
    terminal: &mut Terminal<'_>,
) -> Result<(), String> {
    let inner = key.strip_prefix(folder).unwrap_or(key);
    if inner.strip_suffix("/ack").is_some() {
        heard.acknowledged += 1;
        return Ok(());
    }
    let (node, is_exit) = match (inner.strip_suffix("/exit"), inner.rsplit_once("/out/")) {
        (Some(node), _) => (node, true),
        (_, Some((node, _))) => (node, false),
        // The job itself.
        _ => return Ok(()),
    };
    let Found::Body(value) = api.kv(Method::GET, key, &[("raw", "")], Bytes::new()).await? else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&value);
    if is_exit {
        heard.ended += 1;
        heard.failed += usize::from(text.trim() != "0");
        terminal.line(format!("==> {node}: finished with exit code {}", text.trim()));
    } else {
        text.trim_end().lines().for_each(|line| terminal.line(format!("    {node}: {line}")));
    }
    Ok(())
}
