//! The agents' processes: configured, started, ended, stopped for a while.

use std::sync::{Arc, MutexGuard};

use proconsul::base::runtime::{Level, Runtime, Signal};
use proconsul::config::{AGENT_FLAGS, AgentConfig, flags};
use proconsul::driver::{Exit, Node};
use serde_json::{Value, json};

use crate::fabric::{HostId, Keep};
use crate::scenario::merge_config;
use crate::scenario::model::{Boot, NodePlan, Profile};
use crate::trace::event::{Host, What};

use super::Cluster;
use super::observers::NodeObserver;

impl Cluster {
    /// Starts the agent of a node that is down. `added` configuration stays for later starts.
    pub fn start(&self, host: Host, args: &[String], added: Option<&Value>) {
        if let Some(added) = added {
            let mut all = self.lock_added();
            merge_config(&mut all[usize::from(host.0)], added);
        }
        let config = self.node_config(host, args);
        let cluster = self.clone();
        self.shared.recorder.forget_stop(host);
        self.push(host, What::Started);
        self.shared.fabric.boot(HostId(host.0), move |runtime| async move {
            let recorder = cluster.shared.recorder.clone();
            let clock = cluster.shared.fabric.clone();
            let observer = Arc::new(NodeObserver::new(recorder, clock, host, cluster.name(host)));
            let faults = cluster.shared.faults.clone();
            match config {
                Ok(config) => {
                    // It has logged why it ended.
                    let _: Exit = Node::run(runtime, config, observer, faults).await;
                }
                Err(why) => runtime.log(Level::Error, "agent", format_args!("{why}")),
            }
        });
        // The machine's other programs come with its power.
        self.backends().back(self, host);
    }

    fn lock_added(&self) -> MutexGuard<'_, Vec<Value>> {
        self.shared.added.lock().expect("a simulation has one thread")
    }

    /// What the node is configured with: the agent's own reader reads a file that we write.
    fn node_config(&self, host: Host, args: &[String]) -> Result<AgentConfig, String> {
        let name = format!("{}.json", self.name(host));
        let mut file = self.config_file(host);
        self.fill_value(&mut file)?;
        let args = args.iter().map(|text| self.fill(text)).collect::<Result<Vec<_>, _>>()?;
        let flags = flags::parse(AGENT_FLAGS, &args).map_err(|error| format!("{error:?}"))?;
        AgentConfig::from_parts(&[(&name, &file.to_string())], &flags, self.name(host))
            .map_err(|error| error.to_string())
    }

    /// The node's configuration file, names in braces not filled in.
    fn config_file(&self, host: Host) -> Value {
        let place = usize::from(host.0);
        let node: &NodePlan = &self.shared.plan.cluster.nodes[place];
        let ip = self.ip(host);
        let servers = self.servers();
        let mut file = json!({
            "node_name": node.name,
            "server": node.server,
            "bind_addr": ip.to_string(),
            "client_addr": ip.to_string(),
            "data_dir": "data",
        });
        // A manual boot is told nothing of the others but what the scenario says.
        if self.shared.plan.cluster.boot == Boot::Joined {
            let addresses = servers.iter().map(|s| self.ip(*s).to_string()).collect::<Vec<_>>();
            if node.server {
                file["bootstrap_expect"] = json!(servers.len());
            }
            file["retry_join"] = json!(addresses);
            // All start at once: the first try meets nobody who listens.
            file["retry_interval"] = json!("1s");
        }
        if self.shared.plan.cluster.profile == Profile::Legacy {
            file["profile"] = json!("legacy");
        }
        merge_config(&mut file, &node.config);
        merge_config(&mut file, &self.lock_added()[place]);
        file
    }

    /// The node's data directory, as an absolute path.
    #[must_use]
    pub fn data_dir(&self, host: Host) -> String {
        let file = self.config_file(host);
        let folder = file["data_dir"].as_str().unwrap_or("data");
        format!("/{}", folder.trim_matches('/'))
    }

    /// Changes the configuration file, and tells the agent if it runs.
    pub fn configure(&self, host: Host, set: &Value) {
        merge_config(&mut self.lock_added()[usize::from(host.0)], set);
        if self.shared.fabric.is_running(HostId(host.0)) {
            self.shared.fabric.signal(HostId(host.0), Signal::Hangup);
        }
    }

    /// Cuts the power of a host.
    pub fn kill(&self, host: Host, keep: Keep) {
        self.shared.fabric.kill(HostId(host.0), keep);
    }

    /// Gives a host without power another address.
    pub fn readdress(&self, host: Host) {
        let times = {
            let mut moves = self.shared.moves.lock().expect("a simulation has one thread");
            let times = moves.entry(host).or_default();
            *times += 1;
            *times
        };
        let address = self.shared.recorder.moved(host, times);
        let ip = address.parse().expect("addresses are made by hosts_of");
        self.shared.fabric.set_ip(HostId(host.0), ip);
        self.push(host, What::Readdressed { address });
    }

    /// Sends a signal to the agent.
    pub fn signal(&self, host: Host, signal: Signal) {
        self.shared.recorder.expect_stop(host);
        self.shared.fabric.signal(HostId(host.0), signal);
    }

    /// SIGSTOP.
    pub fn pause(&self, host: Host) {
        self.push(host, What::Paused);
        self.shared.fabric.pause(HostId(host.0));
    }

    /// SIGCONT.
    pub fn resume(&self, host: Host) {
        self.push(host, What::Resumed);
        self.shared.fabric.resume(HostId(host.0));
    }
}
