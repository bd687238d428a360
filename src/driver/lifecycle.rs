//! What happens to a node from outside while it runs: signals, and the joins that it was started with
//! (spec cluster 7.1, 7.7).

use crate::agent::Request;
use crate::base::Duration;
use crate::base::runtime::{Either, Level, Runtime, Signal, first_of};
use crate::config;

use super::joining::{self, RetryJoin};
use super::mailbox::{Handle, Message};
use super::reload::Reloader;

/// How long a graceful leave may take that a signal asked for.
const LEAVE_LIMIT: Duration = Duration::from_secs(15);

/// The node ends although its agent has not left: it took too long, or a second signal came.
pub(super) struct Early;

/// Which signals mean a graceful leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    leave_on_interrupt: bool,
    leave_on_terminate: bool,
}

impl Signals {
    pub fn of(config: &config::AgentConfig) -> Self {
        Self {
            leave_on_interrupt: !config.skip_leave_on_interrupt,
            leave_on_terminate: config.leave_on_terminate,
        }
    }

    fn leaves_on(self, signal: Signal) -> bool {
        match signal {
            Signal::Interrupt => self.leave_on_interrupt,
            Signal::Terminate => self.leave_on_terminate,
            Signal::Hangup => false,
        }
    }
}

/// Hears signals while the node starts: there is nothing to reload yet. Ends when it is to start no further.
pub(super) async fn hear_early<R: Runtime>(runtime: &R) -> Early {
    loop {
        let signal = runtime.signal().await;
        if signal != Signal::Hangup {
            runtime.log(Level::Info, "agent", format_args!("Caught: signal={signal}"));
            return Early;
        }
        let text =
            format_args!("Caught: signal={signal} error=\"cannot reload before agent started\"");
        runtime.log(Level::Error, "agent", text);
    }
}

/// Leaves, or stops the node, at the first signal that asks for it. Ends only when the node must not wait
/// for its agent any more.
pub(super) async fn pass_signals_on<R: Runtime>(
    runtime: &R,
    handle: &Handle,
    signals: Signals,
    reloader: &Reloader<R>,
) -> Early {
    loop {
        let signal = runtime.signal().await;
        runtime.log(Level::Info, "agent", format_args!("Caught: signal={signal}"));
        if signals.leaves_on(signal) {
            let text = format_args!("Gracefully shutting down agent...");
            runtime.log(Level::Info, "agent", text);
            return leave(runtime, handle).await;
        }
        if signal == Signal::Hangup {
            // Why it does not apply is logged: there is nobody else to tell.
            let _ = reloader.reload().await;
        } else {
            let text = format_args!("Graceful shutdown disabled. Exiting");
            runtime.log(Level::Info, "agent", text);
            handle.post(Message::Stop);
        }
    }
}

/// The agent ends by itself once it has left; this ends before that when it must.
async fn leave<R: Runtime>(runtime: &R, handle: &Handle) -> Early {
    let second = async { while runtime.signal().await == Signal::Hangup {} };
    let left = async {
        let _ = handle.ask(Request::Leave).await;
        // What follows is the end of the event loop.
        std::future::pending::<()>().await;
    };
    match runtime.timeout(LEAVE_LIMIT, first_of(left, second)).await {
        Ok(Either::First(())) | Ok(Either::Second(())) => {}
        Err(_) => {
            runtime.log(Level::Error, "agent", format_args!("Timeout on graceful leave. Exiting"));
        }
    }
    Early
}

/// The joins that the configuration asks for.
pub(super) struct Joins {
    start: Vec<RetryJoin>,
    retry_lan: Option<RetryJoin>,
    retry_wan: Option<RetryJoin>,
}

impl Joins {
    pub fn of(config: &config::AgentConfig) -> Self {
        let lan_port = config.ports.serf_lan;
        let wan_port = config.ports.serf_wan.unwrap_or(lan_port);
        let wanted = |addresses: &[String], join: &config::Join, (wan, port)| {
            let (interval, attempts_max) = (join.interval, join.max);
            let addresses = addresses.to_vec();
            let wanted = RetryJoin { addresses, wan, port, interval, attempts_max };
            Some(wanted).filter(|wanted| !wanted.addresses.is_empty())
        };
        let (lan, wan) = (&config.lan_join, &config.wan_join);
        let start =
            [wanted(&lan.start, lan, (false, lan_port)), wanted(&wan.start, wan, (true, wan_port))];
        Self {
            start: start.into_iter().flatten().collect(),
            retry_lan: wanted(&lan.retry, lan, (false, lan_port)),
            retry_wan: wanted(&wan.retry, wan, (true, wan_port)),
        }
    }
}

/// Joins; ends only when a join that was needed has failed: why.
pub(super) async fn join_at_start<R: Runtime>(
    runtime: &R,
    handle: &Handle,
    joins: Joins,
) -> String {
    for wanted in &joins.start {
        let RetryJoin { addresses, wan, port, .. } = wanted;
        let why = match joining::join(runtime, handle, addresses, *wan, *port).await {
            Ok(report) if report.contacted > 0 => continue,
            Ok(report) => report.errors.join("; "),
            Err(failure) => failure.to_string(),
        };
        return format!("Error starting agent: failed to join: {why}");
    }
    let lan = join_or_give_up(runtime, handle, joins.retry_lan);
    let wan = join_or_give_up(runtime, handle, joins.retry_wan);
    first_of(lan, wan).await;
    "max join retry exhausted, exiting".to_owned()
}

/// Ends only when it has given up.
async fn join_or_give_up<R: Runtime>(runtime: &R, handle: &Handle, wanted: Option<RetryJoin>) {
    if let Some(wanted) = wanted
        && joining::retry_join(runtime, handle, &wanted).await.is_none()
    {
        return;
    }
    std::future::pending().await
}
