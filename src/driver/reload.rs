//! The configuration, read again while the node runs: by SIGHUP, `consul reload` and `PUT
//! /v1/agent/reload` (spec api 6.6).
//!
//! ```text
//!   ReadFrom::again ─ error ─► told, logged; everything is as it was
//!       │ checked as a whole
//!       ▼
//!   the core (services, checks, node meta, …) ─ refused ─► likewise
//!       ▼
//!   log level ─► Raft's snapshots ─► each part that is a Reloads, in the order of their list
//! ```
//!
//! One at a time. What cannot change in a process life (ports, addresses, names, …) is compared with what
//! runs, and named in a warning each time that it differs.
//!
//! Whatever else depends on the configuration and may change (watches, DNS, …) implements [`Reloads`] and is
//! put into the list in `node`. It must not fail on what the configuration's own check has let pass.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::agent::{Input, LocalReload, LocalReply, LocalRequest, Reply, Request};
use crate::base::Seats;
use crate::base::metrics::{Metrics, PrefixFilter};
use crate::base::runtime::{Level, Runtime};
use crate::config::{AgentConfig, Telemetry};
use crate::raft::SnapshotTuning;

use super::local::node_meta;
use super::mailbox::{Handle, Message};

/// A part of a node that takes another configuration while it runs.
pub(super) trait Reloads: Send + Sync {
    /// Takes what it needs of it.
    ///
    /// # Errors
    /// Why it could not, for the user; the parts behind it are not told then.
    fn reload(&self, config: &AgentConfig) -> Result<(), String>;
}

/// `limits.http_max_conns_per_client`: connections that are there stay.
impl Reloads for Seats {
    fn reload(&self, config: &AgentConfig) -> Result<(), String> {
        self.set_per_client(config.http.max_conns_per_client);
        Ok(())
    }
}

/// `telemetry.prefix_filter`, `telemetry.filter_default`.
impl Reloads for Metrics {
    fn reload(&self, config: &AgentConfig) -> Result<(), String> {
        self.set_filter(config.telemetry.filter.clone());
        Ok(())
    }
}

/// Reads a node's configuration again. Clones are the same.
#[derive(Clone)]
pub(super) struct Reloader<R> {
    runtime: R,
    handle: Handle,
    shared: Arc<Shared>,
}

struct Shared {
    /// What the node was started with.
    running: AgentConfig,
    parts: Vec<Box<dyn Reloads>>,
    turn: Mutex<()>,
}

impl<R: Runtime> Reloader<R> {
    /// For a node that runs with this configuration; `parts` are told in this order.
    pub fn new(
        runtime: &R,
        handle: &Handle,
        running: &AgentConfig,
        parts: Vec<Box<dyn Reloads>>,
    ) -> Self {
        let shared = Shared { running: running.clone(), parts, turn: Mutex::new(()) };
        Self { runtime: runtime.clone(), handle: handle.clone(), shared: Arc::new(shared) }
    }

    /// Reads it again and applies it.
    ///
    /// # Errors
    /// Why it does not apply, for the user. It is logged, too.
    pub async fn reload(&self) -> Result<(), String> {
        let _turn = self.shared.turn.lock().await;
        let done = self.read_and_apply().await;
        if let Err(why) = &done {
            let text = format_args!("Reload config failed: error={why:?}");
            self.runtime.log(Level::Error, "agent", text);
        }
        done
    }

    async fn read_and_apply(&self) -> Result<(), String> {
        let running = &self.shared.running;
        let read = running.read_from.again(&self.runtime).await;
        let new = read.map_err(|error| error.to_string())?;
        let local = LocalReload {
            services: new.definitions.services.clone(),
            checks: new.definitions.checks.clone(),
            node_meta: node_meta(&new),
            discard_check_output: new.checks.discard_output,
        };
        let request = Request::Local(Box::new(LocalRequest::Reload(Box::new(local))));
        match self.handle.ask(request).await {
            Ok(Reply::Local(reply)) if *reply == LocalReply::Done => {}
            Ok(other) => return Err(format!("unexpected answer to a reload: {other:?}")),
            Err(why) => return Err(why.to_string()),
        }
        let warn = |text: &str| self.runtime.log(Level::Warn, "agent", format_args!("{text}"));
        new.warnings.iter().for_each(|warning| warn(warning));
        for key in needs_restart(running, &new) {
            warn(&format!("{key} has changed: this takes effect when the agent is restarted"));
        }
        self.runtime.set_log_level(new.log_level);
        if running.server {
            let tuning = SnapshotTuning {
                interval: new.raft.snapshot_interval,
                threshold: new.raft.snapshot_threshold,
                trailing_logs: new.raft.trailing_logs,
            };
            self.handle.post(Message::Input(Input::TuneSnapshots(tuning)));
        }
        self.shared.parts.iter().try_for_each(|part| part.reload(&new))?;
        self.runtime.log(Level::Info, "agent", format_args!("Configuration reloaded"));
        Ok(())
    }
}

/// A telemetry's part that stays as it is.
fn sinks(it: &Telemetry) -> Telemetry {
    Telemetry { filter: PrefixFilter::new(true), ..it.clone() }
}

/// The keys that are said otherwise now and that a running agent does not change.
fn needs_restart(running: &AgentConfig, new: &AgentConfig) -> Vec<&'static str> {
    // An id that was found in the data folder or drawn was not said, and stays.
    let other_id = new.node_id.is_some() && new.node_id != running.node_id;
    let (old_raft, new_raft) = (&running.raft, &new.raft);
    let timers = (old_raft.heartbeat_timeout, old_raft.election_timeout, old_raft.pre_vote)
        != (new_raft.heartbeat_timeout, new_raft.election_timeout, new_raft.pre_vote);
    let (old_checks, new_checks) = (&running.checks, &new.checks);
    let old_http = (&running.http.response_headers, &running.http.block_endpoints);
    let new_http = (&new.http.response_headers, &new.http.block_endpoints);
    let joins = (&running.lan_join, &running.wan_join) != (&new.lan_join, &new.wan_join);
    let bootstrap = (running.bootstrap, running.bootstrap_expect);
    let leaves = (running.leave_on_terminate, running.skip_leave_on_interrupt);
    let limits = (running.kv_max_value_size, running.txn_max_req_len);
    let times = (running.default_query_time, running.max_query_time);
    let scripts = (old_checks.remote_scripts, old_checks.local_scripts);
    [
        ("node_name", running.node_name != new.node_name),
        ("node_id", other_id),
        ("datacenter", running.datacenter != new.datacenter),
        ("server", running.server != new.server),
        ("profile", running.profile != new.profile),
        ("bootstrap or bootstrap_expect", bootstrap != (new.bootstrap, new.bootstrap_expect)),
        ("data_dir", running.data_dir != new.data_dir),
        ("bind_addr", running.bind_addr != new.bind_addr),
        ("advertise_addr", running.advertise_addr != new.advertise_addr),
        ("client_addr", running.client_addrs != new.client_addrs),
        ("ports", running.ports != new.ports),
        ("encrypt, or how the agent gossips,", running.gossip != new.gossip),
        ("retry_join or start_join", joins),
        ("performance.raft_multiplier or raft_prevote_disabled", timers),
        ("performance.rpc_hold_timeout", running.rpc_hold_timeout != new.rpc_hold_timeout),
        ("performance.leave_drain_time", running.leave_drain_time != new.leave_drain_time),
        ("session_ttl_min", running.session_ttl_min != new.session_ttl_min),
        (
            "leave_on_terminate or skip_leave_on_interrupt",
            leaves != (new.leave_on_terminate, new.skip_leave_on_interrupt),
        ),
        ("limits of values", limits != (new.kv_max_value_size, new.txn_max_req_len)),
        (
            "default_query_time or max_query_time",
            times != (new.default_query_time, new.max_query_time),
        ),
        (
            "enable_script_checks or enable_local_script_checks",
            scripts != (new_checks.remote_scripts, new_checks.local_scripts),
        ),
        (
            "check_update_interval or check_output_max_size",
            (old_checks.update_interval, old_checks.output_max_size)
                != (new_checks.update_interval, new_checks.output_max_size),
        ),
        ("log_json, log_file or log_rotate_*", running.log != new.log),
        ("telemetry", sinks(&running.telemetry) != sinks(&new.telemetry)),
        ("http_config", old_http != new_http),
        ("pid_file", running.pid_file != new.pid_file),
        ("ui_config", running.http.ui != new.http.ui),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}
