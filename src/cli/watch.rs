//! `watch`: shows a view of the data once, or runs a program for each of its states (spec api 5.21).
//!
//! A program reads the view as JSON on one line and finds its index in `CONSUL_INDEX`. When it fails, the
//! command ends with 1. A signal is passed on to it, and ends the command.

use std::future::poll_fn;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::base::attached::{AttachedChild, AttachedCommand, AttachedInput};
use crate::base::go_duration;
use crate::base::runtime::{Either, Runtime, first_of};
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::attached::{argv, told_to_end};
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Parsed, Takes, parse_bool};
use crate::http::client::Answer;
use crate::watch::{self, Asker, Handed, Owner, Params, Plan, Question, indented};

const USAGE: &str = "Usage: consul watch [options] [child...]\n\n  \
    Watches for changes in a given data view from Consul. If a child process is specified, it\n  \
    will be invoked with the latest results on changes. Otherwise, the latest values are dumped\n  \
    to stdout and the watch terminates.\n\n  \
    Providing the watch type is required, and other parameters may be required or supported\n  \
    depending on the watch type.";

const FLAGS: &[Flag] = &[
    text("filter", "Filter expression. Only for 'services', 'nodes', 'service' and 'checks'."),
    text("key", "Specifies the key to watch. Only for 'key' type."),
    text("name", "Specifies an event name to watch. Only for 'event' type."),
    text(
        "passingonly",
        "Specifies if only hosts passing all checks are displayed: true or false, the default.",
    ),
    text("prefix", "Specifies the key prefix to watch. Only for 'keyprefix' type."),
    text("service", "Specifies the service to watch. Required for 'service' type."),
    Flag {
        name: "shell",
        takes: Takes::Bool,
        help: "Use a shell to run the command (SHELL names it). The default is true.",
    },
    text("state", "Specifies the states to watch. Optional for 'checks' type."),
    text("tag", "Specifies the service tag to filter on. Can be given many times."),
    text(
        "type",
        "Specifies the watch type. One of key, keyprefix, services, nodes, service, checks, or event.",
    ),
];

pub(super) const COMMAND: Command = Command {
    path: "watch",
    synopsis: "Watch for changes in Consul",
    usage: USAGE,
    flags: FLAGS,
    reach: Reach::Servers,
};

const fn text(name: &'static str, help: &'static str) -> Flag {
    Flag { name, takes: Takes::Text, help }
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let kind = flags.text("type").unwrap_or_default();
    if kind.is_empty() {
        let help = COMMAND.help();
        return Err(terminal.fail(format!("Watch type must be specified\n\n{help}")));
    }
    let unsupported = format!("Type {kind} is not supported in the CLI tool");
    if kind.starts_with("connect_") {
        return Err(terminal.fail(unsupported));
    }
    let mut plan = params(&flags).and_then(Plan::parse).map_err(|text| terminal.fail(text))?;
    if kind.starts_with("agent_") {
        return Err(terminal.fail(unsupported));
    }
    // They go with every question of a command.
    (plan.stale, plan.datacenter, plan.token) = <_>::default();
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let leader = api.call(Method::GET, "/v1/status/leader", &[], Bytes::new()).await;
    if let Err(why) = leader {
        return Err(terminal.fail(format!("Error querying Consul agent: {why}")));
    }
    let child = Some(flags.rest.as_slice()).filter(|words| !words.is_empty());
    let argv = child.map(|words| argv(words, flags.switch("shell") != Some(false), &terminal.env));
    let seat = Seat::default();
    let mut viewer = Viewer { runtime, terminal, kind: plan.kind(), argv, seat: seat.clone() };
    let mut asker = Asking(&api);
    let watching = watch::run(runtime, &mut asker, &plan, &mut viewer);
    match first_of(watching, told_to_end(runtime)).await {
        Either::First(0) => Ok(()),
        Either::First(code) => Err(code),
        Either::Second(signal) => {
            if let Some(child) = &*seat.lock().expect(NO_PANIC) {
                // One that has ended meanwhile needs no signal.
                let _ = child.signal(signal);
            }
            Ok(())
        }
    }
}

/// Asks as every command does.
struct Asking<'a, 'b, R>(&'a Api<'b, R>);

impl<R: Runtime> Asker for Asking<'_, '_, R> {
    async fn ask(&mut self, question: &Question<'_>) -> Result<Answer, String> {
        let params: Vec<(&str, &str)> =
            question.params.iter().map(|(name, value)| (*name, &**value)).collect();
        self.0.exchange(Method::GET, &question.path, &params, Bytes::new()).await
    }
}

/// Where the child sits while it runs, so that signals reach it.
type Seat = Arc<Mutex<Option<Box<dyn AttachedChild>>>>;
const NO_PANIC: &str = "nothing panics while it holds the child";

/// Who is shown the results.
struct Viewer<'a, 'b, R> {
    runtime: &'a R,
    terminal: &'a mut Terminal<'b>,
    kind: &'static str,
    /// None: the first result is printed, and that is all.
    argv: Option<Vec<String>>,
    seat: Seat,
}

impl<R: Runtime> Owner for Viewer<'_, '_, R> {
    type End = i32;

    async fn hand(&mut self, told: Handed) -> ControlFlow<i32> {
        let (index, data) = match told {
            Handed::Result(index, data) => (index, data),
            Handed::Errored(why, retry) => {
                let (kind, retry) = (self.kind, go_duration::format(retry));
                let text = format!(
                    "[ERROR] watch: Watch errored: type={kind} error={why:?} retry={retry}"
                );
                self.terminal.fail(text);
                return ControlFlow::Continue(());
            }
        };
        let Some(argv) = self.argv.clone() else {
            self.terminal.line(indented(&data));
            return ControlFlow::Break(0);
        };
        let mut stdin = data.to_vec();
        stdin.push(b'\n');
        let env = vec![("CONSUL_INDEX".to_owned(), index.to_string())];
        let command = AttachedCommand { argv, env, stdin: AttachedInput::Bytes(stdin) };
        let why = match self.runtime.start_attached(command) {
            Ok(child) => {
                *self.seat.lock().expect(NO_PANIC) = Some(child);
                let seat = &self.seat;
                let end = poll_fn(|cx| match &mut *seat.lock().expect(NO_PANIC) {
                    Some(child) => child.poll_ended(cx),
                    None => Poll::Ready(Err(io::ErrorKind::NotFound.into())),
                });
                let ended = end.await;
                *self.seat.lock().expect(NO_PANIC) = None;
                match ended {
                    Ok(end) if end.is_success() => return ControlFlow::Continue(()),
                    Ok(end) => format!("Error executing handler: {end}"),
                    Err(error) => format!("Error executing handler: {error}"),
                }
            }
            Err(error) => format!("Error starting handler: {error}"),
        };
        ControlFlow::Break(self.terminal.fail(why))
    }
}

fn params(flags: &Parsed) -> Result<Params, String> {
    let mut params = Params::new();
    let names = [
        ("type", "type"),
        ("key", "key"),
        ("prefix", "prefix"),
        ("service", "service"),
        ("state", "state"),
        ("name", "name"),
        ("filter", "filter"),
        ("datacenter", "datacenter"),
        ("token", "token"),
    ];
    for (flag, name) in names {
        if let Some(text) = flags.text(flag).filter(|text| !text.is_empty()) {
            params.insert(name.to_owned(), Value::from(text));
        }
    }
    let tags: Vec<&str> = flags.all("tag").collect();
    if !tags.is_empty() {
        params.insert("tag".to_owned(), Value::from(tags));
    }
    if flags.switch("stale") == Some(true) {
        params.insert("stale".to_owned(), Value::Bool(true));
    }
    if let Some(text) = flags.text("passingonly").filter(|text| !text.is_empty()) {
        let on = parse_bool(text).ok_or_else(|| {
            let why = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
            format!("Failed to parse passingonly flag: {why}")
        })?;
        params.insert("passingonly".to_owned(), Value::Bool(on));
    }
    Ok(params)
}
