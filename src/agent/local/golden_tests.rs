//! Golden transcripts: an agent's own services and checks, one story each in
//! `tests/agent/golden/local/`. `UPDATE_GOLDENFILES=1` writes them anew.
//!
//! | command | what it does |
//! |---|---|
//! | `local [keeps] [scripts] [interval=5m]` | an agent, and a catalog that knows its node from the leader |
//! | `service web [port=1] [address=…] [tags=a,b] [override] [ttl=10s] [ttl2=10s] [replace]` | registers |
//! | `check c [service=web] [ttl=10s \| tcp=… interval=3s \| args=… \| alias=web \| node=other] [after=1m] [passing=2] [critical=3]` | likewise |
//! | `drop-service web`, `drop-check c`, `maintain web on`, `maintain off` | asks |
//! | `passing c note`, `warning c note`, `critical c note` | a TTL check is told |
//! | `probed c critical text` | a probe ends |
//! | `kept`, `refused` | the disk answers |
//! | `down`, `up`, `slow`, `fast` | the servers |
//! | `lose web`, `lose-check c`, `foreign x` | somebody changes the catalog |
//! | `advance 10s` | time passes |
//! | `show`, `catalog` | the local state; what the catalog has of the node |
//! | `watch web 10s` | waits for a change of what it is now |

use std::error::Error;

use goldenscript::{ArgumentConsumer, Command as Line, Context};

use crate::base::{Duration, go_duration};
use crate::state::{
    CheckDefinition, Command, Deregister, HealthCheck, Node, NodeService, Register, Rows,
};

use super::bench_tests::{Bench, NODE, id};
use super::types::{
    CheckRegistration, CheckType, Health, LocalRequest, ProbeResult, ServiceRegistration,
};
use super::watch::content_hash;
use super::{LocalConfig, Origin};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Script {
    bench: Option<Bench>,
}

impl goldenscript::Runner for Script {
    type Command = Line;

    fn run(&mut self, line: &Line, _: &Context) -> Outcome<String> {
        let mut args = line.consume_args();
        if line.name == "local" {
            self.bench = Some(Bench::new(config(&mut args)?, 1));
        }
        let bench = self.bench.as_mut().ok_or("begin with: local")?;
        let shown =
            if line.name == "local" { Vec::new() } else { run(bench, &line.name, &mut args)? };
        args.reject_next()?;
        let mut lines = std::mem::take(&mut bench.transcript);
        lines.extend(shown);
        Ok(lines.join("\n"))
    }
}

fn config(args: &mut ArgumentConsumer<'_>) -> Outcome<LocalConfig> {
    let mut config = LocalConfig {
        node_id: id(1),
        node_name: NODE.to_owned(),
        datacenter: "dc1".to_owned(),
        address: "10.0.0.1".to_owned(),
        node_meta: [("consul-network-segment".to_owned(), String::new())].into(),
        ..LocalConfig::default()
    };
    config.check_update_interval = span(args, "interval")?;
    while let Some(word) = args.next_pos() {
        match word {
            "keeps" => config.keeps_definitions = true,
            "scripts" => config.enable_script_checks = true,
            other => return Err(format!("what is {other}?").into()),
        }
    }
    Ok(config)
}

fn span(args: &mut ArgumentConsumer<'_>, key: &str) -> Outcome<Duration> {
    let Some(text) = args.take_key(key) else { return Ok(Duration::ZERO) };
    go_duration::parse_span(text).ok_or_else(|| format!("{text} is no duration").into())
}

fn text(args: &mut ArgumentConsumer<'_>, key: &str) -> String {
    args.take_key(key).unwrap_or_default().to_owned()
}

fn next(args: &mut ArgumentConsumer<'_>) -> Outcome<String> {
    args.next_pos().map(str::to_owned).ok_or_else(|| "an argument is missing".into())
}

fn run(bench: &mut Bench, name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<Vec<String>> {
    match name {
        "kept" => bench.kept(&Ok(())),
        "refused" => bench.kept(&Err("no space left on device".to_owned())),
        "down" => bench.down = Some("No cluster leader".to_owned()),
        "up" => {
            bench.down = None;
            bench.server_up();
        }
        "slow" => bench.slow = true,
        "fast" => {
            bench.slow = false;
            bench.serve();
        }
        "advance" => {
            let span = go_duration::parse_span(&next(args)?).ok_or("no duration")?;
            bench.advance(span);
        }
        "probed" => {
            let (check, word) = (next(args)?, next(args)?);
            let health = Health::of_word(&word).ok_or("no status")?;
            let output = next(args)?;
            let found = bench.probed(&check, ProbeResult { health, output, at_once: false });
            return Ok(if found { Vec::new() } else { vec!["no probe".to_owned()] });
        }
        "lose" | "lose-check" => {
            let (node, what) = (NODE.to_owned(), next(args)?);
            let (service_id, check_id) =
                if name == "lose" { (what, String::new()) } else { (String::new(), what) };
            bench.catalog(&Command::Deregister(Deregister { node, service_id, check_id }));
        }
        "foreign" => foreign(bench, &next(args)?),
        "show" => return Ok(local(bench)),
        "catalog" => return Ok(remote(bench)),
        "watch" => {
            let service = next(args)?;
            let known = bench.local.entries.services.get(&service);
            let hash = known.map(|it| content_hash(&it.service)).unwrap_or_default();
            let max_wait = go_duration::parse_span(&next(args)?).ok_or("no duration")?;
            bench.ask(LocalRequest::Service { id: service, hash, max_wait });
        }
        asked => {
            bench.ask(request(asked, args)?);
        }
    }
    Ok(Vec::new())
}

fn request(name: &str, args: &mut ArgumentConsumer<'_>) -> Outcome<LocalRequest> {
    Ok(match name {
        "service" => {
            let mut service = NodeService { service: next(args)?, ..NodeService::default() };
            service.port = args.take_key("port").map_or(Ok(0), str::parse)?;
            service.address = text(args, "address");
            let tags = text(args, "tags");
            service.tags = tags.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect();
            let ttls = [span(args, "ttl")?, span(args, "ttl2")?];
            let checks = ttls.into_iter().filter(|ttl| !ttl.is_zero()).map(|ttl| {
                let definition = CheckDefinition { ttl, ..CheckDefinition::default() };
                CheckType { definition, ..CheckType::default() }
            });
            let mut what =
                ServiceRegistration { checks: checks.collect(), ..ServiceRegistration::default() };
            while let Some(word) = args.next_pos() {
                match word {
                    "override" => service.enable_tag_override = true,
                    "replace" => what.replace_existing_checks = true,
                    other => return Err(format!("what is {other}?").into()),
                }
            }
            LocalRequest::RegisterService(ServiceRegistration { service, ..what })
        }
        "check" => {
            let name = next(args)?;
            let definition = CheckDefinition {
                ttl: span(args, "ttl")?,
                tcp: text(args, "tcp"),
                interval: span(args, "interval")?,
                alias_service: text(args, "alias"),
                alias_node: text(args, "node"),
                deregister_critical_service_after: span(args, "after")?,
                script_args: args.take_key("args").into_iter().map(str::to_owned).collect(),
                ..CheckDefinition::default()
            };
            let check = CheckType {
                name,
                definition,
                success_before_passing: args.take_key("passing").map_or(Ok(0), str::parse)?,
                failures_before_critical: args.take_key("critical").map_or(Ok(0), str::parse)?,
                ..CheckType::default()
            };
            let (service_id, origin) = (text(args, "service"), Origin::Api);
            LocalRequest::RegisterCheck(CheckRegistration {
                service_id,
                check,
                token: String::new(),
                origin,
            })
        }
        "drop-service" => LocalRequest::DeregisterService { id: next(args)? },
        "drop-check" => LocalRequest::DeregisterCheck { id: next(args)? },
        "maintain" => {
            let (first, reason) = (next(args)?, String::new());
            match args.next_pos() {
                None => LocalRequest::NodeMaintenance { enable: first == "on", reason },
                Some(word) => {
                    LocalRequest::ServiceMaintenance { id: first, enable: word == "on", reason }
                }
            }
        }
        status => {
            let (status, id) = (status.to_owned(), next(args)?);
            let output = args.next_pos().unwrap_or_default().to_owned();
            LocalRequest::UpdateTtl { id, status, output }
        }
    })
}

/// Somebody registers a service on the node, past its agent, and one on another node.
fn foreign(bench: &mut Bench, name: &str) {
    for (node, number) in [(NODE, 1), ("other", 2)] {
        let (node, address) = (node.to_owned(), format!("10.0.0.{number}"));
        let node = Node { node, address, id: id(number), ..Node::default() };
        let tags = vec!["foreign".to_owned()];
        let (id, service) = (name.to_owned(), name.to_owned());
        let service = Some(NodeService { id, service, tags, ..NodeService::default() });
        let checks = vec![HealthCheck {
            node: node.node.clone(),
            check_id: format!("{name} check"),
            ..HealthCheck::default()
        }];
        let what = Register { node, service, checks, skip_node_update: true };
        bench.catalog(&Command::Register(Box::new(what)));
    }
}

fn local(bench: &Bench) -> Vec<String> {
    let entries = &bench.local.entries;
    let marked = |in_sync: bool| if in_sync { "" } else { " (to be pushed)" };
    let services = entries
        .services
        .values()
        .map(|it| format!("{}{}", service_line(&it.service), marked(it.in_sync)));
    let checks = entries
        .checks
        .values()
        .map(|it| format!("{}{}", check_line(&it.check), marked(it.in_sync)));
    let gone = entries.gone_services.keys().chain(entries.gone_checks.keys());
    services.chain(checks).chain(gone.map(|id| format!("gone {id}"))).collect()
}

fn remote(bench: &Bench) -> Vec<String> {
    let (services, checks) = bench.remote();
    let mut lines = Vec::new();
    if let Rows::NodeServices(Some((node, services))) = services {
        lines.push(format!("node {} {:?}", node.address, node.meta));
        lines.extend(services.iter().map(service_line));
    }
    if let Rows::Checks(checks) = checks {
        lines.extend(checks.iter().map(|it| check_line(it)));
    }
    lines
}

fn service_line(it: &NodeService) -> String {
    let tagged: Vec<&String> = it.tagged_addresses.keys().collect();
    format!("service {} port={} tags={:?} tagged={tagged:?}", it.id, it.port, it.tags)
}

fn check_line(it: &HealthCheck) -> String {
    let HealthCheck { check_id, status, output, kind, service_id, .. } = it;
    format!("check {check_id} {status} output={output:?} kind={kind:?} of={service_id:?}")
}

macro_rules! stories {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/agent/golden/local/", stringify!($name), ".txt"
            );
            goldenscript::run(&mut Script::default(), path).expect("a readable script");
        }
    )*};
}

stories! {
    registration,
    anti_entropy,
    checks,
    disk,
}
