//! `services register` and `services deregister`: services of the local agent, from flags or from files in
//! the syntax of configuration (spec api 5.15).
//!
//! Files are read as the agent reads them at its start, all together, so that what it would refuse is
//! refused here, with file and line, before anything is registered.

use bytes::Bytes;
use hyper::Method;
use serde_json::{Map, Value, json};

use crate::agent::{CheckType, ServiceRegistration};
use crate::base::runtime::Runtime;
use crate::base::{Duration, go_duration};
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{self, Flag, FlagError, Parsed, Takes};
use crate::config::{AGENT_FLAGS, AgentConfig};
use crate::http::escape::escape_path;

pub(super) const GROUP: Command = Command {
    path: "services",
    synopsis: "Interact with services",
    usage: "Usage: consul services <subcommand> [options] [args]\n\n  \
        Registers services with the local agent, and takes them away again.\n\n  \
        Register a service:\n\n      $ consul services register web.json\n\n  \
        Take one away:\n\n      $ consul services deregister -id=web",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const REGISTER: Command = Command {
    path: "services register",
    synopsis: "Register services with the local agent",
    usage: "Usage: consul services register [options] [FILE...]\n\n  \
        Registers services with the local agent: those defined in configuration files, or one that\n  \
        the flags describe. They stay until they are deregistered.\n\n      \
        $ consul services register web.json\n\n      \
        $ consul services register -name=web -port=8080 -tag=v1",
    flags: &[
        Flag { name: "address", takes: Takes::Text, help: "Address of the service." },
        Flag {
            name: "id",
            takes: Takes::Text,
            help: "ID of the service. Without it, it is the -name value.",
        },
        Flag { name: "kind", takes: Takes::Text, help: "The services 'kind'." },
        Flag {
            name: "meta",
            takes: Takes::Pairs,
            help: "Metadata to set on the service, formatted as key=value. May be given many times.",
        },
        Flag { name: "name", takes: Takes::Text, help: "Name of the service." },
        Flag { name: "port", takes: Takes::Int, help: "Port of the service." },
        Flag {
            name: "tag",
            takes: Takes::Texts,
            help: "Tag to add to the service. May be given many times.",
        },
        Flag {
            name: "tagged-address",
            takes: Takes::Pairs,
            help: "Tagged address to set on the service, formatted as key=host:port. May be given many \
                   times.",
        },
    ],
    reach: Reach::Namespaced,
};

pub(super) const DEREGISTER: Command = Command {
    path: "services deregister",
    synopsis: "Deregister services with the local agent",
    usage: "Usage: consul services deregister [options] [FILE...]\n\n  \
        Takes away services that were registered with the local agent: those defined in\n  \
        configuration files, or the one with this -id.\n\n      \
        $ consul services deregister web.json db.json\n\n      \
        $ consul services deregister -id=web",
    flags: &[Flag {
        name: "id",
        takes: Takes::Text,
        help: "ID to delete. This must not be set if arguments are given.",
    }],
    reach: Reach::Namespaced,
};

/// `services register`.
pub(super) async fn register<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = REGISTER.parse(args, terminal)?;
    let described = described(&flags).map_err(|text| terminal.fail(text))?;
    let name = flags.text("name").unwrap_or_default();
    let services = match (flags.rest.as_slice(), name) {
        ([], "") => {
            let text = "Service registration requires at least one argument or flags.";
            return Err(terminal.fail(text));
        }
        ([], name) => vec![(name.to_owned(), described)],
        (_, "") => {
            let services = from_files(runtime, &flags.rest).await;
            let services = services.map_err(|why| terminal.fail(format!("Error: {why}")))?;
            services.iter().map(|it| (it.service.service.clone(), written(it))).collect()
        }
        _ => {
            let text = "Service registration requires arguments or -id, not both.";
            return Err(terminal.fail(text));
        }
    };
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    for (name, body) in services {
        let body = Bytes::from(body.to_string());
        let done = api.call(Method::PUT, "/v1/agent/service/register", &[], body).await;
        done.map_err(|why| terminal.fail(format!("Error registering service {name:?}: {why}")))?;
        terminal.line(format!("Registered service: {name}"));
    }
    Ok(())
}

/// `services deregister`.
pub(super) async fn deregister<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = DEREGISTER.parse(args, terminal)?;
    let id = flags.text("id").unwrap_or_default();
    let services = match (flags.rest.as_slice(), id) {
        ([], "") => {
            let text = "Service deregistration requires at least one argument or -id.";
            return Err(terminal.fail(text));
        }
        ([], id) => vec![(id.to_owned(), String::new())],
        (_, "") => {
            let services = from_files(runtime, &flags.rest).await;
            let services = services.map_err(|why| terminal.fail(format!("Error: {why}")))?;
            let named = services.into_iter().map(|it| {
                let id = Some(it.service.id).filter(|id| !id.is_empty());
                (id.unwrap_or_else(|| it.service.service.clone()), it.service.service)
            });
            named.filter(|(id, _)| !id.is_empty()).collect()
        }
        _ => {
            let text = "Service deregistration requires arguments or -id, not both.";
            return Err(terminal.fail(text));
        }
    };
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    for (id, name) in services {
        let mut path = "/v1/agent/service/deregister/".to_owned();
        escape_path(&id, &mut path);
        let done = api.call(Method::PUT, &path, &[], Bytes::new()).await;
        // "registering" is Consul's word here.
        done.map_err(|why| terminal.fail(format!("Error registering service {name:?}: {why}")))?;
        terminal.line(format!("Deregistered service: {id}"));
    }
    Ok(())
}

/// The services that configuration files define, read as those of an agent with `-dev`.
async fn from_files<R: Runtime>(
    runtime: &R,
    files: &[String],
) -> Result<Vec<ServiceRegistration>, String> {
    let args = files.iter().map(|file| format!("-config-file={file}"));
    let args: Vec<String> = std::iter::once("-dev".to_owned()).chain(args).collect();
    let flags = flags::parse(AGENT_FLAGS, &args).map_err(|error| match error {
        FlagError::Bad(text) => text,
        FlagError::HelpRequested => "help is no file".to_owned(),
    })?;
    let config = AgentConfig::load(runtime, &flags, "localhost").await;
    Ok(config.map_err(|error| error.to_string())?.definitions.services)
}

/// The service that the flags describe.
fn described(flags: &Parsed) -> Result<Value, String> {
    let text = |name| flags.text(name).unwrap_or_default();
    let mut addresses = Map::new();
    for (tag, address) in flags.pairs("tagged-address") {
        addresses.insert(tag.to_owned(), tagged_address(address)?);
    }
    let mut service = json!({
        "Kind": text("kind"),
        "ID": text("id"),
        "Name": text("name"),
        "Tags": flags.all("tag").collect::<Vec<_>>(),
        "Address": text("address"),
        "Port": flags.text("port").and_then(|port| port.parse::<i64>().ok()).unwrap_or(0),
    });
    service["Meta"] =
        flags.pairs("meta").map(|(key, value)| (key.to_owned(), json!(value))).collect();
    service["TaggedAddresses"] = Value::Object(addresses);
    Ok(service)
}

/// `host:port`, or `host` alone.
fn tagged_address(text: &str) -> Result<Value, String> {
    let wrong = |why: &str| format!("Invalid Tagged Address: address {text}: {why}");
    let (host, port) = match text.rsplit_once(':') {
        None => return Ok(json!({ "Address": text, "Port": 0 })),
        Some((host, port)) => (host, port),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return Err(wrong("too many colons in address"));
    }
    let port: u16 = port.parse().map_err(|_| wrong("the port is no number below 65536"))?;
    Ok(json!({ "Address": bare.unwrap_or(host), "Port": port }))
}

/// A definition as the API takes it.
fn written(registration: &ServiceRegistration) -> Value {
    let service = &registration.service;
    let addresses = service.tagged_addresses.iter().map(|(tag, at)| {
        let port = at.port.cast_signed();
        (tag.clone(), json!({ "Address": at.address, "Port": port }))
    });
    json!({
        "Kind": service.kind,
        "ID": service.id,
        "Name": service.service,
        "Tags": service.tags,
        "Address": service.address,
        "TaggedAddresses": addresses.collect::<Map<_, _>>(),
        "Meta": service.meta,
        "Port": service.port.cast_signed(),
        "Weights": {
            "Passing": service.weights.passing.cast_signed(),
            "Warning": service.weights.warning.cast_signed(),
        },
        "EnableTagOverride": service.enable_tag_override,
        "Token": registration.token,
        "Checks": registration.checks.iter().map(check).collect::<Vec<_>>(),
    })
}

/// What is not said is left out: no span is the empty text.
fn check(check: &CheckType) -> Value {
    let it = &check.definition;
    let span = |span: Duration| match span.is_zero() {
        true => String::new(),
        false => go_duration::format(span),
    };
    let mut said = json!({
        "CheckID": check.check_id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "HTTP": it.http,
        "TLSSkipVerify": it.tls_skip_verify,
        "Header": it.header,
        "Method": it.method,
        "Body": it.body,
        "TCP": it.tcp,
        "Interval": span(it.interval),
        "OutputMaxSize": it.output_max_size,
        "Timeout": span(it.timeout),
        "DeregisterCriticalServiceAfter": span(it.deregister_critical_service_after),
        "ScriptArgs": it.script_args,
        "DockerContainerID": it.docker_container_id,
        "Shell": it.shell,
        "GRPC": it.grpc,
        "GRPCUseTLS": it.grpc_use_tls,
        "AliasNode": it.alias_node,
        "AliasService": it.alias_service,
        "TTL": span(it.ttl),
        "SuccessBeforePassing": check.success_before_passing,
        "FailuresBeforeCritical": check.failures_before_critical,
    });
    if let Value::Object(fields) = &mut said {
        fields.retain(|_, value| *value != "");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Origin;
    use crate::http::agent::service_of_json;
    use crate::state::{CheckDefinition, NodeService};

    #[test]
    fn what_is_written_is_what_the_api_reads() {
        let check = CheckType {
            check_id: "c".to_owned(),
            name: "alive".to_owned(),
            definition: CheckDefinition {
                http: "http://127.0.0.1/".to_owned(),
                interval: Duration::from_secs(10),
                ..CheckDefinition::default()
            },
            failures_before_critical: 3,
            ..CheckType::default()
        };
        let registration = ServiceRegistration {
            service: NodeService {
                id: "web-1".to_owned(),
                service: "web".to_owned(),
                tags: vec!["a".to_owned()],
                port: 80,
                ..NodeService::default()
            },
            checks: vec![check],
            origin: Origin::Api,
            ..ServiceRegistration::default()
        };
        let read = service_of_json(written(&registration).to_string().as_bytes()).expect("read");
        assert_eq!(read.checks, registration.checks);
        assert_eq!(read.service.id, "web-1");
        assert_eq!(read.service.tags, registration.service.tags);
    }

    #[test]
    fn tagged_addresses_have_a_port_or_none() {
        for (text, found) in [
            ("10.0.0.1:80", Ok(json!({ "Address": "10.0.0.1", "Port": 80 }))),
            ("n1", Ok(json!({ "Address": "n1", "Port": 0 }))),
            ("[::1]:80", Ok(json!({ "Address": "::1", "Port": 80 }))),
        ] {
            assert_eq!(tagged_address(text), found);
        }
        for bad in ["::1:80", "n1:http", "n1:70000"] {
            assert!(tagged_address(bad).is_err(), "{bad}");
        }
    }
}
