//! gRPC checks: `host:port[/service]` is asked whether it is `SERVING`.

use crate::agent::{Health, Probe, ProbeResult};
use crate::base::Duration;
use crate::base::runtime::Runtime;
use crate::http::grpc_health::{SERVING, ask_health, rpc_error};

use super::dial::dial;
use super::{critical, result};

pub(super) async fn look<R: Runtime>(
    runtime: &R,
    probe: &Probe,
    patience: Duration,
) -> ProbeResult {
    let target = &probe.definition.grpc;
    if probe.definition.grpc_use_tls {
        let why = "this agent does not speak TLS yet: gRPC checks over TLS cannot be run";
        return critical(rpc_error("Unavailable", why));
    }
    let (address, service) = target.split_once('/').unwrap_or((target, ""));
    let asking = async {
        let stream = dial(runtime, address).await.map_err(|why| {
            let why = format!(
                "all SubConns are in TransientFailure, latest connection error: connection error: \
                 desc = \"transport: Error while dialing {why}\""
            );
            rpc_error("Unavailable", &why)
        })?;
        ask_health(runtime, stream, address, service).await
    };
    match runtime.timeout(patience, asking).await {
        Ok(Ok(SERVING)) => result(Health::Passing, format!("gRPC check {target}: success")),
        Ok(Ok(_)) => critical("gRPC application didn't report service healthy".to_owned()),
        Ok(Err(why)) => critical(why),
        Err(_) => critical(rpc_error("DeadlineExceeded", "context deadline exceeded")),
    }
}
