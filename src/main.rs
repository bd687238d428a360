//! The `proconsul` command.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use proconsul::base::Faults;
use proconsul::base::runtime::Level;
use proconsul::cli::{self, NodeRunner, Terminal};
use proconsul::config::AgentConfig;
use proconsul::driver::{Exit, Node, Unobserved};
use proconsul::runtime::TokioRuntime;

/// The shipped agent: unobserved, with nothing armed.
struct Shipped;

impl NodeRunner<TokioRuntime> for Shipped {
    async fn run(&self, runtime: TokioRuntime, config: AgentConfig) -> i32 {
        let observer = Arc::new(Unobserved);
        match Node::run(runtime, config, observer, Faults::none()).await {
            Exit::Left => 0,
            // A server that a signal ends without a leave exits with 1, as Consul's does (spec cluster
            // 7.1).
            Exit::Stopped | Exit::Failed(_) => 1,
        }
    }
}

/// A terminal that cannot go back to the beginning of a line.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|kind| kind == "dumb")
}

/// The path of this program; its name, where the system does not say.
fn program() -> String {
    let path = std::env::current_exe().ok();
    path.map_or_else(|| "proconsul".to_owned(), |path| path.display().to_string())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let ran = TokioRuntime::run(Level::Info, |runtime| async move {
        let mut terminal = Terminal {
            stdin: &mut std::io::stdin(),
            stdout: &mut std::io::stdout(),
            stderr: &mut std::io::stderr(),
            env: std::env::vars().collect(),
            watched: std::io::stderr().is_terminal() && !is_dumb(),
            program: program(),
        };
        cli::run(runtime, &args, &mut terminal, &Shipped).await
    });
    match ran {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("proconsul: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
