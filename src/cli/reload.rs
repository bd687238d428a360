//! `reload`: has the agent read its configuration again (spec api 5.6).

use bytes::Bytes;
use hyper::Method;

use crate::base::runtime::Runtime;
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};

const USAGE: &str = "Usage: consul reload\n\n  \
    Causes the agent to reload configurations. This can be used instead\n  \
    of sending the SIGHUP signal to the agent.";

pub(super) const COMMAND: Command = Command {
    path: "reload",
    synopsis: "Triggers the agent to reload configuration files",
    usage: USAGE,
    flags: &[],
    reach: Reach::Agent,
};

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let done = api.call(Method::PUT, "/v1/agent/reload", &[], Bytes::new()).await;
    done.map_err(|why| terminal.fail(format!("Error reloading: {why}")))?;
    terminal.line("Configuration reload triggered");
    Ok(())
}
