//! The hosts that a plan asks for, and the trace's header that lists them.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;

use crate::scenario::model::{NodePlan, Plan};
use crate::trace::event::{Header, HostInfo, HostKind};

/// Servers and clients in the order of the plan, then the users, then the testbed.
pub fn hosts_of(plan: &Plan) -> Vec<HostInfo> {
    let address = |net: u8, number: usize| {
        let (high, low) = ((number / 250) as u8, (number % 250) as u8);
        Ipv4Addr::new(10, net, high, low + 1).to_string()
    };
    let mut hosts: Vec<HostInfo> = Vec::new();
    for (number, node) in plan.cluster.nodes.iter().enumerate() {
        let kind = if node.server { HostKind::Server } else { HostKind::Client };
        hosts.push(HostInfo { name: node.name.clone(), kind, address: address(0, number) });
    }
    let users: u32 = plan.workloads.iter().map(|workload| workload.users).sum();
    for number in 0..users as usize {
        let name = format!("u{}", number + 1);
        hosts.push(HostInfo { name, kind: HostKind::User, address: address(9, number) });
    }
    let name = "testbed".to_owned();
    hosts.push(HostInfo { name, kind: HostKind::Testbed, address: address(255, 0) });
    hosts
}

/// The header of a run of this plan.
pub fn header_of(plan: &Plan, hosts: &[HostInfo]) -> Header {
    Header {
        version: 1,
        title: plan.title.clone(),
        seed: plan.seed.text.clone(),
        hosts: hosts.to_vec(),
        run_ns: plan.time.run.as_nanos() as i64,
        settle_ns: plan.time.settle.as_nanos() as i64,
        lease_ns: lease(plan).as_nanos() as i64,
    }
}

/// The longest LeaderLeaseTimeout of any server: 500 ms times its `raft_multiplier`.
fn lease(plan: &Plan) -> Duration {
    let multiplier = |node: &NodePlan| {
        node.config.pointer("/performance/raft_multiplier").and_then(Value::as_u64).unwrap_or(5)
    };
    let greatest = plan.cluster.nodes.iter().map(multiplier).max().unwrap_or(5);
    Duration::from_millis(500) * u32::try_from(greatest).unwrap_or(5)
}
