//! `validate`: whether an agent would start with these files (spec api 5.18).

use crate::base::runtime::Runtime;
use crate::cli::command::{Command, Reach};
use crate::cli::{Terminal, agent};
use crate::config::AgentConfig;
use crate::config::flags::{Flag, Takes};

const USAGE: &str = "Usage: consul validate [options] FILE_OR_DIRECTORY...\n\n  \
    Performs a thorough sanity test on Consul configuration files. For each file\n  \
    or directory given, the validate command will attempt to parse the contents\n  \
    just as the \"consul agent\" command would, and catch any errors.\n\n  \
    This is useful to do a test of the configuration only, without actually\n  \
    starting the agent.\n\n  \
    Returns 0 if the configuration is valid, or 1 if there are problems.";

const FLAGS: &[Flag] = &[
    Flag {
        name: "config-format",
        takes: Takes::Text,
        help: "Config files are in this format, whatever their names: hcl or json.",
    },
    Flag {
        name: "quiet",
        takes: Takes::Bool,
        help: "When given, a successful run will produce no output.",
    },
];

pub(super) const COMMAND: Command = Command {
    path: "validate",
    synopsis: "Validate config files/directories",
    usage: USAGE,
    flags: FLAGS,
    reach: Reach::Nobody,
};

pub(super) async fn validate<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let paths: Vec<&str> = flags.rest.iter().map(String::as_str).collect();
    if paths.is_empty() {
        return Err(terminal.fail("Must specify at least one config file or directory"));
    }
    let format = flags.text("config-format");
    if !matches!(format, None | Some("" | "json" | "hcl")) {
        return Err(terminal.fail("-config-format must be either 'hcl' or 'json"));
    }
    let host_name = agent::host_name(runtime);
    let warnings = AgentConfig::validate(runtime, &paths, format, &host_name).await;
    let warnings = warnings.map_err(|error| {
        terminal.fail(format!("Config validation failed: {}", error.in_consuls_words()))
    })?;
    if flags.switch("quiet") != Some(true) {
        for warning in warnings {
            terminal.fail(warning);
        }
        terminal.line("Configuration is valid!");
    }
    Ok(())
}
