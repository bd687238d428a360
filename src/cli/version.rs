//! `version`: which release this is, and which one it behaves like (spec api 5.19).
//!
//! What is printed is Consul's own answer, to the letter, since scripts compare it; which Proconsul it is
//! stands in the JSON alone.

use serde_json::json;

use crate::cli::Terminal;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Takes};

pub(super) const COMMAND: Command = Command {
    path: "version",
    synopsis: "Prints the Consul version",
    usage: "Usage: consul version [options]\n\n  \
        Prints the version of Consul whose behaviour is followed; -format=json adds that of Proconsul.",
    flags: &[Flag {
        name: "format",
        takes: Takes::Text,
        help: "Output format: pretty or json. The default is pretty.",
    }],
    reach: Reach::Nobody,
};

/// What `version` prints.
#[must_use]
pub fn version_text() -> String {
    format!(
        "Consul v{}\nProtocol 2 spoken by default, understands 2 to 3 (agent will automatically use \
         protocol >2 when speaking to compatible agents)\n",
        crate::CONSUL_VERSION
    )
}

pub(super) fn run(args: &[String], terminal: &mut Terminal<'_>) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    match flags.text("format").unwrap_or("pretty") {
        "pretty" => terminal.out(version_text()),
        "json" => {
            let shown = json!({
                "Version": crate::CONSUL_VERSION,
                "Revision": "",
                "Prerelease": "",
                "Proconsul": env!("CARGO_PKG_VERSION"),
                "RPC": { "Default": 2, "Min": 2, "Max": 3 },
            });
            terminal.line(format!("{shown:#}"));
        }
        other => {
            return Err(terminal.fail(format!("Unknown format: {other}. Use pretty or json")));
        }
    }
    Ok(())
}
