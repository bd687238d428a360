//! `agent`: reads the configuration, prints the banner, and hands over to the driver
//! (spec api 5.3, in the shape of 1.9).

use std::fmt::Write as _;
use std::path::Path;

use crate::base::ids::uuid;
use crate::base::runtime::{Disk, File, Level, Runtime};
use crate::cli::{NodeRunner, Terminal, parse_flags};
use crate::config::{AGENT_FLAGS, AgentConfig, is_uuid};

const NODE_ID_FILE: &str = "node-id";

pub(super) async fn run<R: Runtime, N: NodeRunner<R>>(
    runtime: R,
    args: &[String],
    terminal: &mut Terminal<'_>,
    node: &N,
) -> i32 {
    let flags = match parse_flags(AGENT_FLAGS, "Usage: consul agent [options]", args, terminal) {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    let host_name = host_name(&runtime).await;
    let mut config = match AgentConfig::load(&runtime, &flags, &host_name).await {
        Ok(config) => config,
        Err(error) => return terminal.fail(format!("==> {error}")),
    };
    let servers = match config.servers(&runtime).await {
        Ok(servers) => servers,
        Err(error) => return terminal.fail(format!("==> {error}")),
    };
    match node_id(&runtime, &config).await {
        Ok(id) => config.node_id = Some(id),
        Err(error) => {
            let text = format!("==> Error starting agent: Failed to setup node ID: {error}");
            return terminal.fail(text);
        }
    }
    terminal.out(banner(&config));
    for warning in &config.warnings {
        runtime.log(Level::Warn, "agent", format_args!("{warning}"));
    }
    node.run(runtime, config, servers).await
}

async fn host_name<R: Runtime>(runtime: &R) -> String {
    let read = runtime.disk(Path::new("/etc")).read("hostname").await;
    let name = read.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    name.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

/// The configured id, or the one kept in the data folder, or a new one, kept there.
async fn node_id<R: Runtime>(runtime: &R, config: &AgentConfig) -> std::io::Result<String> {
    if let Some(id) = &config.node_id {
        return Ok(id.clone());
    }
    let Some(folder) = &config.data_dir else {
        return Ok(new_uuid(runtime));
    };
    let disk = runtime.disk(folder);
    disk.create_dir_all("").await?;
    if let Ok(bytes) = disk.read(NODE_ID_FILE).await {
        let kept = String::from_utf8_lossy(&bytes).trim().to_owned();
        if is_uuid(&kept) {
            return Ok(kept);
        }
    }
    // Absent, or torn by a crash at the first start: nobody has heard of it yet.
    let id = new_uuid(runtime);
    let file = disk.open(NODE_ID_FILE, true).await?;
    file.set_len(0).await?;
    file.write_at(0, id.as_bytes()).await?;
    file.sync().await?;
    disk.sync_dir("").await?;
    Ok(id)
}

fn new_uuid<R: Runtime>(runtime: &R) -> String {
    let mut bytes = [0; 16];
    runtime.entropy(&mut bytes);
    uuid(bytes)
}

fn banner(config: &AgentConfig) -> String {
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    let ports = &config.ports;
    let clients: Vec<String> = config.client_addrs.iter().map(ToString::to_string).collect();
    let node_id = config.node_id.as_deref().unwrap_or_default();
    let fields = [
        ("Version", format!("'{}'", crate::CONSUL_VERSION)),
        ("Node ID", format!("'{node_id}'")),
        ("Node name", format!("'{}'", config.node_name)),
        ("Datacenter", format!("'{}' (Segment: '<all>')", config.datacenter)),
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
            "Gossip: false, TLS-Outgoing: false, TLS-Incoming: false, Auto-Encrypt-TLS: false"
                .to_owned(),
        ),
    ];
    let mut text = String::from("==> Starting Consul agent...\n");
    for (name, value) in fields {
        writeln!(text, "{name:>18}: {value}").expect("writing to a string cannot fail");
    }
    text.push_str("\n==> Log data will now stream in as it occurs:\n\n");
    text
}
