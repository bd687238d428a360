//! From what was said to what holds: defaults filled in, contradictions refused in Consul's words
//! (spec api 5.3).

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::agent::Definitions;
use crate::base::Duration;
use crate::base::runtime::Level;
use crate::config::error::ConfigError;
use crate::config::mode::{self, Mode};
use crate::config::settings::Settings;
use crate::config::{
    AgentConfig, CheckSettings, Host, Join, Ports, RaftTimers, ReadFrom, autopilot, definitions,
    gossip, node, watches,
};
use crate::raft::Profile;
use crate::raft::config::{SNAPSHOT_INTERVAL, SNAPSHOT_THRESHOLD, TRAILING_LOGS};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const RETRY_INTERVAL: Duration = Duration::from_secs(30);

pub(super) fn check(
    said: Settings,
    dev: bool,
    host: &Host<'_>,
    mut warnings: Vec<String>,
) -> Result<AgentConfig, ConfigError> {
    let mode = mode::check(&said, dev, &mut warnings)?;
    let Mode { profile, server, .. } = mode;
    let is_legacy = profile == Profile::Legacy;
    let data_dir = said.data_dir.clone().filter(|dir| !dir.is_empty()).map(PathBuf::from);
    if data_dir.is_none() && !dev {
        return refuse(match profile {
            Profile::Modern => "data_dir cannot be empty",
            Profile::Legacy => "Must specify data directory using -data-dir",
        });
    }
    let bind_addr =
        address("bind_addr", said.bind_addr.as_deref(), if dev { LOOPBACK } else { ANY })?;
    let lan_join = join(&said.start_join, &said.retry_join, said.retry_interval, said.retry_max)?;
    let wan_join = join(
        &said.start_join_wan,
        &said.retry_join_wan,
        said.retry_interval_wan,
        said.retry_max_wan,
    )?;
    let alone = dev || mode.bootstrap_expect == 0 && lan_join.is_empty() || !host.starts;
    let advertise_addr = advertised(&said, bind_addr, alone, host, &mut warnings)?;
    warnings.extend_from_slice(&said.warnings);
    warn_of_ignored(&said, &mut warnings);
    definitions::warn_of_doubles(&said, &mut warnings);
    let ports = ports(&said, dev)?;
    watches::check(&said, &ports, &mut warnings)?;
    let addresses = (bind_addr, advertise_addr);
    let client_addrs = client_addresses(&said)?;
    let datacenter = datacenter(&said)?;
    said.dns.refuse_alt_domain(&datacenter)?;
    let default_query_time = said.default_query_time.unwrap_or(Duration::from_secs(300));
    let hold = if is_legacy { Duration::ZERO } else { Duration::from_secs(7) };
    let drain = if is_legacy { Duration::ZERO } else { Duration::from_secs(5) };
    Ok(AgentConfig {
        profile,
        node_name: node::name(&said, host.name, &mut warnings)?,
        node_id: node::id(&said)?,
        node_meta: node::meta(&said)?,
        datacenter,
        server,
        dev,
        bootstrap: mode.bootstrap,
        bootstrap_expect: mode.bootstrap_expect,
        data_dir,
        pid_file: said.pid_file.clone().filter(|path| !path.is_empty()),
        bind_addr,
        advertise_addr,
        dns: said.dns.check(profile, &client_addrs)?,
        http_addrs: said.addresses.http(&client_addrs)?,
        tagged_addresses: said.addresses.tagged()?,
        client_addrs,
        ports,
        gossip: gossip::check(&said, (dev, server), addresses, &ports)?,
        lan_join,
        wan_join,
        raft: raft_timers(&said, mode)?,
        autopilot: autopilot::check(&said)?,
        http: said.http.check(said.web_ui.check(said.ui, dev)?)?,
        rpc_hold_timeout: said.rpc_hold_timeout.unwrap_or(hold),
        leave_drain_time: said.leave_drain_time.unwrap_or(drain),
        session_ttl_min: session_ttl_min(&said),
        log_level: log_level(said.log_level.as_deref(), dev)?,
        log: said.log.check()?,
        telemetry: said.telemetry.check(&mut warnings),
        leave_on_terminate: said.leave_on_terminate.unwrap_or(!server && !is_legacy),
        skip_leave_on_interrupt: said.skip_leave_on_interrupt.unwrap_or(server && !is_legacy),
        rejoin_after_leave: said.rejoin_after_leave.unwrap_or(false),
        kv_max_value_size: said.kv_max_value_size.unwrap_or(512 * 1024),
        txn_max_req_len: said
            .txn_max_req_len
            .unwrap_or(512 * 1024)
            .max(said.kv_max_value_size.unwrap_or(0)),
        default_query_time,
        max_query_time: said.max_query_time.unwrap_or(Duration::from_secs(600)),
        checks: check_settings(&said, is_legacy, host.starts)?,
        watches: said.watches,
        definitions: Definitions { services: said.services, checks: said.checks, ..<_>::default() },
        warnings,
        read_from: ReadFrom::default(),
    })
}

/// Unsaid, or zero: 10 s.
fn session_ttl_min(said: &Settings) -> Duration {
    said.session_ttl_min.filter(|span| !span.is_zero()).unwrap_or(Duration::from_secs(10))
}

/// 0.5.2 runs every script, and keeps outputs of the same size.
fn check_settings(
    said: &Settings,
    is_legacy: bool,
    starts: bool,
) -> Result<CheckSettings, ConfigError> {
    let remote_scripts = is_legacy || said.enable_script_checks.unwrap_or(false);
    let local_scripts = remote_scripts || said.enable_local_script_checks.unwrap_or(false);
    if !local_scripts && starts {
        definitions::refuse_scripts(said)?;
    }
    let output_max_size = said.check_output_max_size.unwrap_or(4096);
    if output_max_size == 0 {
        return refuse(
            "check_output_max_size must be positive, to discard check output use the \
             discard_check_output flag",
        );
    }
    Ok(CheckSettings {
        remote_scripts,
        local_scripts,
        update_interval: said.check_update_interval.unwrap_or(Duration::from_secs(300)),
        discard_output: said.discard_check_output.unwrap_or(false),
        output_max_size,
    })
}

fn warn_of_ignored(said: &Settings, warnings: &mut Vec<String>) {
    if said.disable_host_node_id == Some(false) {
        let text = "disable_host_node_id: the id of this host is not used; the node id is random";
        warnings.push(text.to_owned());
    }
}

fn join(
    start: &[String],
    retry: &[String],
    interval: Option<Duration>,
    max: Option<i64>,
) -> Result<Join, ConfigError> {
    let Ok(max) = u64::try_from(max.unwrap_or(0)) else {
        return refuse("retry_max must be greater than or equal to zero");
    };
    let interval = interval.unwrap_or(RETRY_INTERVAL);
    if interval.is_zero() {
        return refuse("retry_interval cannot be zero");
    }
    Ok(Join { start: start.to_vec(), retry: retry.to_vec(), interval, max })
}

pub(super) fn refuse<T>(text: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::new(text))
}

pub(super) fn address(
    key: &str,
    text: Option<&str>,
    default: IpAddr,
) -> Result<IpAddr, ConfigError> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| ConfigError::new(format!("{key} {text:?} is not an IP address"))),
    }
}

fn advertised(
    said: &Settings,
    bind: IpAddr,
    alone: bool,
    host: &Host<'_>,
    warnings: &mut Vec<String>,
) -> Result<IpAddr, ConfigError> {
    let advertise = address("advertise_addr", said.advertise_addr.as_deref(), bind)?;
    if !advertise.is_unspecified() {
        return Ok(advertise);
    }
    if said.advertise_addr.is_some() {
        return refuse("Advertise address cannot be 0.0.0.0, :: or [::]");
    }
    let (kind, found) = match advertise {
        IpAddr::V4(_) => ("private IPv4", host.interfaces.private()),
        IpAddr::V6(_) => {
            let public = host.interfaces.public();
            ("public IPv6", public.into_iter().filter(IpAddr::is_ipv6).collect())
        }
    };
    match found[..] {
        [] => {}
        [one] => return Ok(one),
        _ if !host.starts => return Ok(found[0]),
        _ => {
            return refuse(format!(
                "Multiple {kind} addresses found. Please configure one with 'bind' and/or 'advertise'."
            ));
        }
    }
    if !alone {
        return refuse(
            "no address to advertise: other servers must know how to reach this one; give \
             -advertise, or -bind with an address of this machine",
        );
    }
    if host.starts {
        warnings
            .push("no -bind or -advertise: this server is known to itself as 127.0.0.1".to_owned());
    }
    Ok(LOOPBACK)
}

fn client_addresses(said: &Settings) -> Result<Vec<IpAddr>, ConfigError> {
    let text = said.client_addr.as_deref().unwrap_or("127.0.0.1");
    let addresses: Result<Vec<IpAddr>, ConfigError> =
        text.split_whitespace().map(|one| address("client_addr", Some(one), LOOPBACK)).collect();
    match addresses {
        Ok(list) if list.is_empty() => refuse("client_addr cannot be empty"),
        other => other,
    }
}

fn ports(said: &Settings, dev: bool) -> Result<Ports, ConfigError> {
    let port = |key: &str, said: Option<i64>, default: i64| match said.unwrap_or(default) {
        -1 | 0 => Ok(None),
        number => u16::try_from(number).map(Some).map_err(|_| {
            ConfigError::new(format!(
                "ports.{key}: invalid port {number}: must be -1 or 1 to 65535"
            ))
        }),
    };
    let needed = |key: &str, said, default| match port(key, said, default)? {
        Some(number) => Ok(number),
        None => refuse(format!("ports.{key} must be a valid port from 1 to 65535")),
    };
    let ports = Ports {
        http: port("http", said.port_http, 8500)?,
        https: port("https", said.port_https, -1)?,
        grpc: port("grpc", said.port_grpc, if dev { 8502 } else { -1 })?,
        dns: port("dns", said.port_dns, 8600)?,
        server: needed("server", said.port_server, 8300)?,
        serf_lan: needed("serf_lan", said.port_serf_lan, 8301)?,
        serf_wan: port("serf_wan", said.port_serf_wan, 8302)?,
    };
    if ports.https.is_some() {
        return refuse("ports.https is not supported yet: remove it or set it to -1");
    }
    Ok(ports)
}

/// 0.5.2 knew no multiplier: its timers are the base (spec cluster 4.2).
fn raft_timers(said: &Settings, mode: Mode) -> Result<RaftTimers, ConfigError> {
    let dev = mode.dev;
    let unscaled = dev || mode.profile == Profile::Legacy;
    let multiplier = said.raft_multiplier.unwrap_or(if unscaled { 1 } else { 5 });
    let factor = match u32::try_from(multiplier) {
        Ok(factor @ 1..=10) => factor,
        _ => {
            return refuse(format!(
                "performance.raft_multiplier cannot be {multiplier}. Must be between 1 and 10"
            ));
        }
    };
    let (heartbeat, election, lease) = if dev { (35, 52, 20) } else { (1000, 1000, 500) };
    Ok(RaftTimers {
        heartbeat_timeout: Duration::from_millis(heartbeat) * factor,
        election_timeout: Duration::from_millis(election) * factor,
        leader_lease_timeout: Duration::from_millis(lease) * factor,
        commit_timeout: Duration::from_millis(50),
        snapshot_interval: snapshot_interval(said)?,
        // As in Consul, zero means what nobody has said.
        snapshot_threshold: or_default(said.raft_snapshot_threshold, SNAPSHOT_THRESHOLD),
        trailing_logs: or_default(said.raft_trailing_logs, TRAILING_LOGS),
        pre_vote: !said.raft_prevote_disabled.unwrap_or(true),
    })
}

fn or_default(said: Option<u64>, default: u64) -> u64 {
    said.filter(|&said| said > 0).unwrap_or(default)
}

fn snapshot_interval(said: &Settings) -> Result<Duration, ConfigError> {
    match said.raft_snapshot_interval {
        Some(interval) if interval == Duration::ZERO => Ok(SNAPSHOT_INTERVAL),
        Some(interval) if interval < Duration::from_millis(5) => {
            refuse(format!("raft_snapshot_interval is {interval:?}: it must be at least 5ms"))
        }
        Some(interval) => Ok(interval),
        None => Ok(SNAPSHOT_INTERVAL),
    }
}

fn log_level(text: Option<&str>, dev: bool) -> Result<Level, ConfigError> {
    match text.unwrap_or(if dev { "DEBUG" } else { "INFO" }).to_ascii_uppercase().as_str() {
        "TRACE" => Ok(Level::Trace),
        "DEBUG" => Ok(Level::Debug),
        "INFO" => Ok(Level::Info),
        "WARN" => Ok(Level::Warn),
        "ERR" | "ERROR" => Ok(Level::Error),
        other => refuse(format!(
            "Invalid log level: {other}. Valid log levels are: [TRACE DEBUG INFO WARN ERR]"
        )),
    }
}

fn datacenter(said: &Settings) -> Result<String, ConfigError> {
    let name = said.datacenter.as_deref().unwrap_or("dc1").to_lowercase();
    if name.is_empty() {
        return refuse("datacenter cannot be empty");
    }
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.bytes().all(is_good) {
        return refuse(format!(
            "datacenter can only contain lowercase alphanumeric, - or _ characters. received: \
             {name:?}"
        ));
    }
    Ok(name)
}
