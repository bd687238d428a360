//! `agent`: reads the configuration, prints the banner, and hands over to the driver
//! (spec api 5.3, in the shape of 1.9).

use std::fmt::Write as _;

use crate::base::runtime::{Level, Runtime};
use crate::cli::command::{Command, Reach};
use crate::cli::{NodeRunner, Terminal};
use crate::config::{AGENT_FLAGS, AgentConfig};

pub(super) const COMMAND: Command = Command {
    path: "agent",
    synopsis: "Runs a Consul agent",
    usage: "Usage: consul agent [options]\n\n  \
        Starts the agent and runs until an interrupt is received. The agent represents a single node\n  \
        in a cluster.",
    flags: AGENT_FLAGS,
    reach: Reach::Nobody,
};

pub(super) async fn run<R: Runtime, N: NodeRunner<R>>(
    runtime: R,
    args: &[String],
    terminal: &mut Terminal<'_>,
    node: &N,
) -> i32 {
    let flags = match COMMAND.parse(args, terminal) {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    let host_name = host_name(&runtime);
    let mut config = match AgentConfig::load(&runtime, &flags, &host_name).await {
        Ok(config) => config,
        Err(error) => return terminal.fail(format!("==> {error}")),
    };
    if let Err(error) = config.settle_node_id(&runtime).await {
        let text = format!("==> Error starting agent: Failed to setup node ID: {error}");
        return terminal.fail(text);
    }
    runtime.set_log_level(config.log_level);
    if let Err(error) = runtime.open_log(&config.log) {
        return terminal.fail(format!("==> Failed to setup logging: {error}"));
    }
    // Whoever reads JSON gets nothing else.
    if !config.log.json {
        terminal.out(banner(&config));
    }
    for warning in &config.warnings {
        runtime.log(Level::Warn, "agent", format_args!("{warning}"));
    }
    node.run(runtime, config).await
}

/// What the kernel calls this host; a container has a name of its own.
pub(super) fn host_name<R: Runtime>(runtime: &R) -> String {
    let name = runtime.machine().hostname;
    if name.is_empty() { "localhost".to_owned() } else { name }
}

fn banner(config: &AgentConfig) -> String {
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    let ports = &config.ports;
    let clients: Vec<String> = config.client_addrs.iter().map(ToString::to_string).collect();
    let node_id = config.node_id.as_deref().unwrap_or_default();
    let segment = if config.server { "<all>" } else { "" };
    let fields = [
        ("Version", format!("'{}'", crate::CONSUL_VERSION)),
        ("Node ID", format!("'{node_id}'")),
        ("Node name", format!("'{}'", config.node_name)),
        ("Datacenter", format!("'{}' (Segment: '{segment}')", config.datacenter)),
        ("Server", format!("{} (Bootstrap: {})", config.server, config.bootstrap && !config.dev)),
        (
            "Client Addr",
            format!(
                "[{}] (HTTP: {}, HTTPS: {}, gRPC: {}, DNS: {})",
                clients.join(" "),
                port(ports.http),
                port(ports.https),
                port(ports.grpc),
                port(ports.dns)
            ),
        ),
        (
            "Cluster Addr",
            format!(
                "{} (LAN: {}, WAN: {})",
                config.advertise_addr,
                ports.serf_lan,
                port(ports.serf_wan)
            ),
        ),
        (
            "Encrypt",
            format!(
                "Gossip: {}, TLS-Outgoing: false, TLS-Incoming: false, Auto-Encrypt-TLS: false",
                config.encrypts_gossip()
            ),
        ),
    ];
    let mut text = String::from("==> Starting Consul agent...\n");
    for (name, value) in fields {
        writeln!(text, "{name:>18}: {value}").expect("writing to a string cannot fail");
    }
    text.push_str("\n==> Log data will now stream in as it occurs:\n\n");
    text
}
