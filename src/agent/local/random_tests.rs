//! Users, a catalog that loses things and gains others, servers and disks that fail: after quiet the
//! catalog says of the node what the local state says (spec cluster 11.7, invariants 78 to 80).

use std::collections::BTreeMap;

use crate::base::{Duration, Prng};
use crate::state::{
    CheckDefinition, Command, Deregister, HealthCheck, Node, NodeService, Register, Rows,
};

use super::bench_tests::{Bench, NODE, id};
use super::types::{
    CheckRegistration, CheckType, Health, LocalReload, LocalRequest, ProbeResult,
    ServiceRegistration,
};
use super::{LocalConfig, Origin};

const QUIET: Duration = Duration::from_secs(60 * 2 + 30);

fn config(prng: &mut Prng) -> LocalConfig {
    LocalConfig {
        node_id: id(1),
        node_name: NODE.to_owned(),
        datacenter: "dc1".to_owned(),
        address: "10.0.0.1".to_owned(),
        node_meta: BTreeMap::from([("consul-network-segment".to_owned(), String::new())]),
        keeps_definitions: prng.below(2) == 0,
        check_update_interval: Duration::from_secs(prng.below(2) * 300),
        ..LocalConfig::default()
    }
}

fn name(prng: &mut Prng) -> String {
    format!("s{}", prng.below(4))
}

fn check(prng: &mut Prng) -> CheckType {
    let second = Duration::from_secs(1);
    let mut definition = CheckDefinition::default();
    match prng.below(4) {
        0 => definition.ttl = second * (5 + prng.below(40) as u32),
        1 => definition.alias_service = name(prng),
        2 => definition.alias_node = "other".to_owned(),
        _ => (definition.tcp, definition.interval) = ("10.0.0.9:80".to_owned(), second * 3),
    }
    if prng.below(3) == 0 {
        definition.deregister_critical_service_after = second * 70;
    }
    let check_id = format!("c{}", prng.below(5));
    CheckType { name: check_id.clone(), check_id, definition, ..CheckType::default() }
}

fn service(prng: &mut Prng) -> ServiceRegistration {
    let service = NodeService {
        service: name(prng),
        tags: (0..prng.below(3)).map(|it| it.to_string()).collect(),
        port: prng.below(3),
        enable_tag_override: prng.below(5) == 0,
        ..NodeService::default()
    };
    let checks = (0..prng.below(3)).map(|_| check(prng)).collect();
    let replace_existing_checks = prng.below(2) == 0;
    ServiceRegistration { service, checks, replace_existing_checks, ..Default::default() }
}

fn request(prng: &mut Prng) -> LocalRequest {
    let (id, enable) = (format!("c{}", prng.below(5)), prng.below(2) == 0);
    match prng.below(8) {
        0 | 1 => LocalRequest::RegisterService(service(prng)),
        2 => LocalRequest::DeregisterService { id: name(prng) },
        3 => {
            let service_id = if enable { String::new() } else { name(prng) };
            let (check, token, origin) = (check(prng), String::new(), Origin::Api);
            LocalRequest::RegisterCheck(CheckRegistration { service_id, check, token, origin })
        }
        4 => LocalRequest::DeregisterCheck { id },
        5 => LocalRequest::NodeMaintenance { enable, reason: String::new() },
        6 => LocalRequest::ServiceMaintenance { id: name(prng), enable, reason: id },
        _ => {
            let status = ["passing", "warning", "critical"][prng.below(3) as usize].to_owned();
            LocalRequest::UpdateTtl { id, status, output: prng.below(9).to_string() }
        }
    }
}

/// Files that are read again, some of which bring what users have brought, too.
fn files(prng: &mut Prng) -> LocalReload {
    let service = |prng: &mut Prng| ServiceRegistration { origin: Origin::Config, ..service(prng) };
    let mut services: Vec<_> = (0..prng.below(3)).map(|_| service(prng)).collect();
    services.iter_mut().for_each(|it| super::validate::complete(&mut it.service));
    let check = |prng: &mut Prng| CheckRegistration {
        service_id: if prng.below(2) == 0 { name(prng) } else { String::new() },
        check: check(prng),
        token: String::new(),
        origin: Origin::Config,
    };
    let checks = (0..prng.below(3)).map(|_| check(prng)).collect();
    let node_meta = BTreeMap::from([("consul-network-segment".to_owned(), String::new())]);
    LocalReload { services, checks, node_meta, discard_check_output: prng.below(4) == 0 }
}

/// Reads files again: all of it holds then, or nothing has changed; how checks stand has not.
fn reload(bench: &mut Bench, prng: &mut Prng) {
    let what = files(prng);
    let ids = |bench: &Bench| -> Vec<String> {
        let services = bench.local.entries.services.iter();
        services.filter(|(_, it)| it.origin == Origin::Config).map(|(id, _)| id.clone()).collect()
    };
    let standing = |bench: &Bench| -> BTreeMap<String, String> {
        let checks = bench.local.entries.checks.iter();
        checks.map(|(id, it)| (id.clone(), it.check.status.clone())).collect()
    };
    let (old_ids, old_standing) = (ids(bench), standing(bench));
    let mut wanted: Vec<String> = what.services.iter().map(|it| it.service.id.clone()).collect();
    wanted.sort();
    wanted.dedup();
    let aliases = what.checks.iter().map(|it| &it.check);
    let aliases = aliases.chain(what.services.iter().flat_map(|it| &it.checks));
    let no_aliases = aliases.clone().all(|it| it.definition.kind() != "alias")
        && bench.local.local_aliases.is_empty();
    bench.ask(LocalRequest::Reload(Box::new(what)));
    assert!(ids(bench) == wanted || ids(bench) == old_ids, "all of it or nothing");
    for (id, status) in standing(bench).iter().filter(|_| no_aliases) {
        assert!(old_standing.get(id).is_none_or(|old| old == status), "{id} stands as it stood");
    }
}

/// Something that is none of the agent's doing.
fn disturb(bench: &mut Bench, prng: &mut Prng) {
    let here = prng.below(3) > 0;
    let node = if here { NODE } else { "other" }.to_owned();
    let (service_id, check_id) = (name(prng), format!("c{}", prng.below(5)));
    match prng.below(6) {
        0 => bench.catalog(&Command::Deregister(Deregister {
            node,
            service_id,
            ..Deregister::default()
        })),
        1 => bench.catalog(&Command::Deregister(Deregister {
            node,
            check_id,
            ..Deregister::default()
        })),
        2 => {
            let address = if here { "10.0.0.1" } else { "10.0.0.2" }.to_owned();
            let row = Node { node: node.clone(), address, ..Node::default() };
            let row = if here { Node { id: id(1), ..row } } else { row };
            let service = NodeService {
                id: service_id.clone(),
                service: service_id,
                port: 99,
                ..NodeService::default()
            };
            let checks = vec![HealthCheck { node, check_id, ..HealthCheck::default() }];
            let (service, skip_node_update) = (Some(service), false);
            let what = Register { node: row, service, checks, skip_node_update };
            bench.catalog(&Command::Register(Box::new(what)));
        }
        3 => bench.down = Some("No cluster leader".to_owned()),
        4 => {
            bench.down = None;
            bench.server_up();
        }
        _ => {
            bench.slow = !bench.slow;
            bench.serve();
        }
    }
}

/// The catalog's view is the local state, beside what the leader keeps.
fn agrees(bench: &Bench) {
    let (services, checks) = bench.remote();
    let Rows::NodeServices(Some((node, services))) = services else { panic!("no node") };
    assert_eq!(node.meta.len(), 1, "the node's meta");
    let strip = |it: &NodeService| NodeService { create_index: 0, modify_index: 0, ..it.clone() };
    let remote: Vec<NodeService> =
        services.iter().filter(|it| it.id != "consul").map(strip).collect();
    let entries = &bench.local.entries;
    let own: Vec<NodeService> = entries.services.values().map(|it| it.service.clone()).collect();
    assert_eq!(own, remote);
    let Rows::Checks(checks) = checks else { panic!("no checks") };
    let brief = |it: &HealthCheck| {
        (it.check_id.clone(), it.status.clone(), it.service_id.clone(), it.notes.clone())
    };
    let remote: Vec<_> =
        checks.iter().filter(|it| it.check_id != "serfHealth").map(|it| brief(it)).collect();
    let own: Vec<_> = entries.checks.values().map(|it| brief(&it.check)).collect();
    assert_eq!(own, remote);
}

fn run(seed: u64) {
    let mut prng = Prng::new(seed);
    let mut bench = Bench::new(config(&mut prng), seed);
    let mut asked = 0;
    for _ in 0..60 {
        match prng.below(7) {
            0 | 1 => {
                bench.ask(request(&mut prng));
                asked += 1;
            }
            6 => {
                reload(&mut bench, &mut prng);
                asked += 1;
            }
            2 => disturb(&mut bench, &mut prng),
            3 => {
                let refused = prng.below(5) == 0;
                bench.kept(&if refused { Err("disk full".to_owned()) } else { Ok(()) });
            }
            4 => {
                let health = if prng.below(2) == 0 { Health::Passing } else { Health::Critical };
                let check = format!("c{}", prng.below(5));
                let (output, at_once) = (prng.below(9).to_string(), false);
                bench.probed(&check, ProbeResult { health, output, at_once });
            }
            _ => bench.advance(Duration::from_millis(prng.below(30_000))),
        }
    }
    (bench.down, bench.slow) = (None, false);
    bench.serve();
    bench.kept(&Ok(()));
    // What follows a critical check may still happen, and then everything is pushed.
    bench.advance(QUIET);
    bench.kept(&Ok(()));
    bench.advance(QUIET);
    bench.kept(&Ok(()));
    agrees(&bench);
    assert_eq!(bench.answers.len(), asked, "each request has one answer");
}

#[test]
fn after_quiet_the_catalog_says_what_the_local_state_says() {
    for seed in 0..300 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
