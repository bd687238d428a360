//! Golden transcripts of DNS: `tests/agent/golden/dns/*`. Regenerate with `UPDATE_GOLDENFILES=1` and read the
//! difference.
//!
//! ```text
//!   parse NAME [srv]                                    what a name asks for
//!   node NAME ADDRESS [meta=k:v] [v4=IP] [v6=IP]
//!   service NODE NAME [id=ID] [port=N] [address=A] [tags=a,b] [weights=5/3] [v4=IP] [v6=IP]
//!   check NODE STATUS [id=ID] [service=ID]
//!   query NAME SERVICE [ttl=9s] [passing=true]
//!   set KEY=VALUE …                                     of the settings
//!   fail any=true leader=true, contact=SECONDS, recursor ADDRESS KIND
//!   ask NAME TYPE [edns=SIZE] [subnet=true] [tcp=true]
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use goldenscript::{ArgumentConsumer, Command as Line, Context};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME};
use hickory_proto::rr::{Name, RData, Record};
use proconsul::agent::Failure;
use proconsul::base::{Duration, go_duration};
use proconsul::dns::{Asked, Server, Settings, Transport};
use proconsul::raft::Profile;
use proconsul::state::{
    Command, HealthCheck, Node, NodeService, PreparedQuery, PreparedQueryCommand, Register,
    ServiceAddress, ServiceQuery, Weights,
};

use crate::dns_message::{question, shown};
use crate::dns_store::{DnsStore, Recursor};
use crate::http_store::now;

type Done = Result<String, Box<dyn Error>>;

struct Script {
    store: DnsStore,
    /// One for the whole script: it remembers.
    server: Server<DnsStore>,
    settings: Settings,
}

impl Default for Script {
    fn default() -> Self {
        let (store, settings) = (DnsStore::new(1), Settings::of("n1"));
        Self { server: Server::new(store.clone(), settings.clone()), store, settings }
    }
}

impl goldenscript::Runner for Script {
    type Command = Line;

    fn run(&mut self, line: &Line, _context: &Context) -> Done {
        let mut args = line.consume_args();
        let mut next = || args.next_pos().unwrap_or("").to_owned();
        let (first, second) = (next(), next());
        match line.name.as_str() {
            "parse" => return Ok(parsed(&first, second == "srv")),
            "node" => self.node(first, second, &mut args),
            "service" => self.service(first, second, &mut args),
            "check" => self.check(first, second, &mut args),
            "query" => self.query(first, second, &mut args),
            "set" => self.set(&mut args)?,
            "fail" => {
                let mut shared = self.store.shared();
                let mut failure = |key: &str| args.take_key(key).map(|_| Failure::NoLeader);
                shared.failures = [failure("any"), failure("leader")];
                let seconds = args.take_key("contact").map(str::parse).transpose()?.unwrap_or(0);
                shared.last_contact = Duration::from_secs(seconds);
            }
            "recursor" => {
                let at: SocketAddr = first.parse()?;
                self.settings.config.recursors.push(at);
                self.store.shared().recursors.insert(at, recursor(&second));
            }
            "ask" => return self.ask(&first, &second, args),
            other => return Err(format!("no such command: {other}").into()),
        }
        args.reject_next()?;
        Ok(String::new())
    }
}

fn parsed(name: &str, srv: bool) -> String {
    let labels: Vec<String> =
        name.split('.').filter(|it| !it.is_empty()).map(str::to_lowercase).collect();
    format!("{:?}\n", Asked::parse(&labels, srv))
}

impl Script {
    fn node(&mut self, node: String, address: String, args: &mut ArgumentConsumer<'_>) {
        let pair = |text: &str| {
            let (key, value) = text.split_once(':').unwrap_or((text, ""));
            (key.to_owned(), value.to_owned())
        };
        let meta = args.take_key("meta").into_iter().flat_map(|it| it.split(',')).map(pair);
        let meta = meta.collect();
        let tagged = |name: &str, at: Option<&str>| at.map(|at| (name.to_owned(), at.to_owned()));
        let addresses = [("lan_ipv4", args.take_key("v4")), ("lan_ipv6", args.take_key("v6"))];
        let tagged_addresses =
            addresses.into_iter().filter_map(|(name, at)| tagged(name, at)).collect();
        let node = Node {
            node,
            address,
            meta,
            tagged_addresses,
            datacenter: "dc1".into(),
            ..Node::default()
        };
        self.register(Register { node, ..Register::default() });
    }

    fn service(&mut self, node: String, service: String, args: &mut ArgumentConsumer<'_>) {
        let text = |args: &mut ArgumentConsumer<'_>, key: &str| {
            args.take_key(key).unwrap_or_default().to_owned()
        };
        let id = args.take_key("id").unwrap_or(&service).to_owned();
        let weights = args.take_key("weights").and_then(|it| it.split_once('/'));
        let number = |text: &str| text.parse().expect("a number");
        let weights = weights.map_or(Weights::default(), |(passing, warning)| Weights {
            passing: number(passing),
            warning: number(warning),
        });
        let at = |address: &str| ServiceAddress { address: address.to_owned(), port: 0 };
        let addresses = [("lan_ipv4", args.take_key("v4")), ("lan_ipv6", args.take_key("v6"))];
        let tagged =
            addresses.into_iter().filter_map(|(name, it)| Some((name.to_owned(), at(it?))));
        let service = NodeService {
            id,
            service,
            port: args.take_key("port").map_or(0, number),
            tagged_addresses: tagged.collect(),
            tags: text(args, "tags")
                .split(',')
                .filter(|it| !it.is_empty())
                .map(Into::into)
                .collect(),
            address: text(args, "address"),
            weights,
            ..NodeService::default()
        };
        let node = Node { node, ..Node::default() };
        let service = Some(service);
        self.register(Register { node, service, skip_node_update: true, ..Register::default() });
    }

    fn check(&mut self, node: String, status: String, args: &mut ArgumentConsumer<'_>) {
        let service_id = args.take_key("service").unwrap_or_default().to_owned();
        let check_id = args.take_key("id").unwrap_or("c").to_owned();
        let check = HealthCheck {
            node: node.clone(),
            name: check_id.clone(),
            check_id,
            status,
            service_name: service_id.clone(),
            service_id,
            ..HealthCheck::default()
        };
        let (node, checks) = (Node { node, ..Node::default() }, vec![check]);
        self.register(Register { node, checks, skip_node_update: true, ..Register::default() });
    }

    fn register(&self, what: Register) {
        self.store.write(&Command::Register(Box::new(what)));
    }

    fn query(&mut self, name: String, service: String, args: &mut ArgumentConsumer<'_>) {
        let only_passing = args.take_key("passing").is_some();
        let id = format!("11111111-2222-3333-4444-{:012x}", self.store.shared().index);
        let dns_ttl = args.take_key("ttl").unwrap_or_default().to_owned();
        let service = ServiceQuery { service, only_passing, ..ServiceQuery::default() };
        let query = PreparedQuery { id, name, service, dns_ttl, ..PreparedQuery::default() };
        self.store.write(&Command::PreparedQuery(PreparedQueryCommand::Create(Box::new(query))));
    }

    fn set(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<(), Box<dyn Error>> {
        let settings = &mut self.settings;
        let span = |text: &str| go_duration::parse_span(text).expect("a duration");
        while let Some((key, value)) = args.next_key() {
            let on = value == "true";
            match key {
                "domain" => settings.config.domain = value.to_owned(),
                "alt" => settings.config.alt_domain = value.to_owned(),
                "legacy" => {
                    settings.profile = if on { Profile::Legacy } else { Profile::Modern };
                }
                "stale" => settings.config.allow_stale = on,
                "max_stale" => settings.config.max_stale = span(value),
                "node_ttl" => settings.config.node_ttl = span(value),
                "passing" => settings.config.only_passing = on,
                "truncate" => settings.config.enable_truncate = on,
                "udp" => settings.config.udp_answer_limit = value.parse()?,
                "a_limit" => settings.config.a_record_limit = value.parse()?,
                "uncompressed" => settings.config.disable_compression = on,
                "meta" => settings.config.node_meta_txt = on,
                "cache" => settings.config.use_cache = on,
                "min_ttl" => settings.config.soa.min_ttl = value.parse()?,
                service => {
                    settings.config.service_ttl.insert(service.to_owned(), span(value));
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, name: &str, kind: &str, mut args: ArgumentConsumer<'_>) -> Done {
        let edns = args.take_key("edns").map(str::parse).transpose()?;
        let over = args.take_key("tcp").map_or(Transport::Udp, |_| Transport::Tcp);
        let asked = question(name, kind, edns, args.take_key("subnet").is_some());
        args.reject_next()?;
        self.server.set(self.settings.clone());
        let from = SocketAddr::from(([10, 0, 0, 77], 5353));
        let answer = now(self.server.answer(&asked, from, over)).ok_or("no answer")?;
        let mut text = shown(&answer);
        let mut shared = self.store.shared();
        for line in shared.log.drain(..) {
            text.push_str(&format!("log: {line}\n"));
        }
        for (who, over) in shared.asked.drain(..) {
            text.push_str(&format!("asked: {who} {over}\n"));
        }
        Ok(text)
    }
}

/// A recursor that says 192.0.2.99 of every name, or what its kind says.
fn recursor(kind: &str) -> Recursor {
    match kind {
        "refuses" => {
            |bytes| answered(bytes, |it| it.metadata.response_code = ResponseCode::Refused)
        }
        "unknown" => {
            |bytes| answered(bytes, |it| it.metadata.response_code = ResponseCode::NXDomain)
        }
        "silent" => |_| Err(std::io::ErrorKind::TimedOut.into()),
        "garbles" => |_| Ok(b"garbage that is longer than a head".to_vec()),
        "alias" => |bytes| {
            answered(bytes, |it| {
                let target = Name::from_ascii("target.example.test.").expect("a name");
                let name = it.queries[0].name().clone();
                it.add_answer(Record::from_rdata(name, 60, RData::CNAME(CNAME(target.clone()))));
                let ip = RData::A(A::new(192, 0, 2, 99));
                it.add_answer(Record::from_rdata(target, 60, ip));
            })
        },
        _ => |bytes| {
            answered(bytes, |it| {
                let (name, ip) = (it.queries[0].name().clone(), RData::A(A::new(192, 0, 2, 99)));
                it.add_answer(Record::from_rdata(name, 60, ip));
            })
        },
    }
}

fn answered(bytes: &[u8], fill: fn(&mut Message)) -> std::io::Result<Vec<u8>> {
    let mut message = Message::from_vec(bytes).expect("a question").into_response();
    message.metadata.recursion_available = true;
    fill(&mut message);
    Ok(message.to_vec().expect("an answer"))
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/golden/dns").join(name);
    goldenscript::run(&mut Script::default(), path).expect("the transcript is as recorded");
}

#[test]
fn names_are_read_as_recorded() {
    run("names");
}

#[test]
fn services_answer_as_recorded() {
    run("services");
}

#[test]
fn nodes_and_the_zone_answer_as_recorded() {
    run("zone");
}

#[test]
fn recursors_answer_as_recorded() {
    run("recursors");
}

#[test]
fn what_is_old_or_missing_answers_as_recorded() {
    run("failures");
}

#[test]
fn consul_0_5_2_answers_as_recorded() {
    run("legacy");
}
