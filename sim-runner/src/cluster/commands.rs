//! The agent's command line on a node: the shipped code, as somebody logged in there would run it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use proconsul::base::Duration;
use proconsul::base::runtime::{Runtime, Task};
use proconsul::cli::{self, NodeRunner, Terminal};
use proconsul::config::AgentConfig;
use tokio::sync::oneshot;

use crate::fabric::{HostId, SimRuntime};
use crate::trace::event::{Host, What};

use super::Cluster;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub exit: i32,
    /// What it wrote to standard output and standard error, in the order it did.
    pub output: String,
}

/// The time in which a command that is given up closes what it has open.
const LAST_BREATH: Duration = Duration::from_millis(10);

/// In a simulation agents are started by steps.
struct NoAgent;

impl NodeRunner<SimRuntime> for NoAgent {
    async fn run(&self, _: SimRuntime, _: AgentConfig) -> i32 {
        1
    }
}

/// Both output streams of a command.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("a simulation has one thread").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Cluster {
    /// Runs a command line (without the program's name) on a node, which finds its agent as
    /// `CONSUL_HTTP_ADDR` says.
    ///
    /// # Errors
    /// That it could not be run, or did not end in time.
    pub async fn run_command(
        &self,
        host: Host,
        args: Vec<String>,
        patience: Duration,
    ) -> Result<Ran, String> {
        let name = self.name(host);
        let Some(runtime) = self.shared.fabric.visit(HostId(host.0)) else {
            return Err(format!("{name} has no power: nobody can run a command there"));
        };
        let command = args.join(" ");
        let agent = self.http_address(host).to_string();
        let screen = Screen::default();
        let (mut stdout, mut stderr) = (screen.clone(), screen.clone());
        let (send, ended) = oneshot::channel();
        let own = runtime.clone();
        let task = runtime.spawn("command", async move {
            let mut terminal = Terminal {
                stdin: &mut io::empty(),
                stdout: &mut stdout,
                stderr: &mut stderr,
                env: BTreeMap::from([("CONSUL_HTTP_ADDR".to_owned(), agent)]),
                watched: false,
                program: "proconsul".to_owned(),
            };
            let exit = cli::run(own, &args, &mut terminal, &NoAgent).await;
            // Nobody waits any more for one that was given up.
            let _ = send.send(exit);
        });
        let testbed = self.runtime(self.testbed());
        let result = match testbed.timeout(patience, ended).await {
            Ok(Ok(exit)) => Ok(exit),
            Ok(Err(_)) => Err(format!("the command ended with the power of {name}, or panicked")),
            Err(_) => {
                task.abort();
                testbed.sleep(LAST_BREATH).await;
                Err(format!("the command did not end within {patience:?}"))
            }
        };
        self.shared.fabric.leave(&runtime);
        let output = screen.0.lock().expect("a simulation has one thread").clone();
        let output = String::from_utf8_lossy(&output).into_owned();
        let exit = result?;
        self.push(host, What::Ran { command, exit });
        Ok(Ran { exit, output })
    }
}
