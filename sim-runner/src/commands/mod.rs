//! What the commands do: from parsed arguments to text and an exit code.
//!
//! Exit codes: 0 holds, 1 violated, 2 bad scenario or usage, 3 undecided, 4 not deterministic, 70 a
//! bug in the testbed. Results go to stdout, progress and errors to stderr.

pub mod bench;
pub mod check;
pub mod expand;
pub mod list;
pub mod run;
pub mod sweep;

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use clap::Parser;

use crate::cli::{Cli, Command, Which, with_default_command};
use crate::report::verdict::{EXIT_TESTBED, EXIT_USAGE};
use crate::run::{Failed, ReportTo};
use crate::scenario::model::Seed;
use crate::{replay, zoo};

/// Parses the arguments, does what they say, and gives the exit code.
#[must_use]
pub fn main(arguments: Vec<String>) -> u8 {
    let cli = match Cli::try_parse_from(with_default_command(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors.
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = error.print();
            return code;
        }
    };
    let result = match cli.command {
        Command::Run(run) if run.seeds.is_some() => sweep::sweep(&run),
        Command::Run(run) => run::run(&run),
        Command::Expand(expand) => expand::expand(&expand),
        Command::List(list) => list::list(&list),
        Command::Check(check) => check::check(&check),
        Command::Diff(diff) => check::diff(&diff),
        Command::Bench(bench) => bench::bench(&bench),
        Command::ReplayOf(of) => seed(&of.which, true).and_then(|seed| {
            replay::serve(&of.which.job(seed, false, ReportTo::Nowhere), &of.digest).map(|()| 0)
        }),
    };
    result.unwrap_or_else(|failed| match failed {
        Failed::Usage(text) => {
            complain(&text);
            EXIT_USAGE
        }
        Failed::Testbed(text) => {
            complain(&format!("a bug in the testbed, not in the agent: {text}"));
            EXIT_TESTBED
        }
    })
}

fn complain(text: &str) {
    // A closed stderr leaves nothing to say it on.
    let _ = writeln!(std::io::stderr(), "sim-runner: {}", text.trim_end());
}

/// Prints to stdout.
///
/// # Errors
/// When stdout is closed: whoever reads a pipe may have seen enough.
pub fn print(text: &str) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failed::Testbed(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// The seed that was given, or one that is drawn and said first; and checks `--plant`.
///
/// # Errors
/// A seed that is none, a plant that does not exist.
pub fn seed(which: &Which, quiet: bool) -> Result<Seed, Failed> {
    if let Some(name) = &which.plant
        && zoo::find(name).is_none()
    {
        let names: Vec<&str> = zoo::PLANTS.iter().map(|plant| plant.name).collect();
        let near = crate::scenario::nearest(name, names.iter().copied());
        let help = near.map_or(String::new(), |near| format!(" Did you mean {near:?}?"));
        let text =
            format!("there is no planted bug {name:?}.{help} `sim-runner list` shows them all.");
        return Err(Failed::Usage(text));
    }
    match &which.seed {
        Some(text) => Seed::parse(text).map_err(Failed::Usage),
        None => {
            // std's hasher keys come from the system's entropy: enough to choose a seed.
            let drawn = RandomState::new().hash_one(0) >> 32;
            if !quiet {
                let _ = writeln!(std::io::stderr(), "seed {drawn}");
            }
            Seed::parse(&drawn.to_string()).map_err(Failed::Usage)
        }
    }
}
