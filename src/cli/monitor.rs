//! `monitor`: the agent's log lines, as they come, until a signal or the agent ends it (spec api 5.8).

use crate::base::runtime::{Either, Runtime, Signal, first_of};
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Takes};

pub(super) const COMMAND: Command = Command {
    path: "monitor",
    synopsis: "Stream logs from a Consul agent",
    usage: "Usage: consul monitor [options]\n\n  \
        Shows recent log messages of a Consul agent, and attaches to the agent, outputting log\n  \
        messages as they occur in real time. The monitor lets you listen for log levels that may be\n  \
        filtered out of the Consul agent.",
    flags: FLAGS,
    reach: Reach::Agent,
};

const FLAGS: &[Flag] = &[
    Flag { name: "log-json", takes: Takes::Bool, help: "Output logs in JSON format." },
    Flag {
        name: "log-level",
        takes: Takes::Text,
        help: "Log level of the agent; INFO by default.",
    },
];

pub(super) async fn monitor<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let mut params = vec![("loglevel", flags.text("log-level").unwrap_or("INFO"))];
    if flags.switch("log-json") == Some(true) {
        params.push(("logjson", ""));
    }
    let stdout = &mut *terminal.stdout;
    let mut begun = false;
    let show = |piece: &[u8]| {
        begun = true;
        // A closed pipe is the reader's choice; the agent's end or a signal ends the command.
        let _ = stdout.write_all(piece).and_then(|()| stdout.flush());
    };
    let ended = first_of(api.follow("/v1/agent/monitor", &params, show), told_to_stop(runtime));
    match ended.await {
        Either::Second(()) => Ok(()),
        // It went on for a while, then the connection broke.
        Either::First(Err(why)) if !begun => {
            Err(terminal.fail(format!("Error starting monitor: {why}")))
        }
        Either::First(_) => {
            terminal.line("");
            terminal.line(
                "Remote side ended the monitor! This usually means that the\n\
                 remote side has exited or crashed.",
            );
            Err(1)
        }
    }
}

async fn told_to_stop<R: Runtime>(runtime: &R) {
    while runtime.signal().await == Signal::Hangup {}
}
