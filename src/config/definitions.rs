//! `service`, `services`, `check` and `checks` of configuration files (spec api 6.3, 6.4).
//!
//! Keys are snake case; in any case and without the underscores they are the same, so that definitions
//! written for the HTTP API can be put into a file. What a definition must say is the API's rule
//! ([`validate`]), told with file and line to an agent that starts; `consul validate` does not ask for it, as
//! in Consul. Spans are texts (`"10s"`), never numbers.
//!
//! `proxy` and `connect` are taken and not kept: there is no mesh. Definitions of all files add up; of two
//! with one id the later is what the agent ends up with.

use std::collections::BTreeMap;

use crate::agent::{CheckRegistration, CheckType, Origin, ServiceRegistration, validate};
use crate::config::error::ConfigError;
use crate::config::keys::nearest;
use crate::config::located_json::{Located, Member, Value};
use crate::config::settings::{Given, Settings};
use crate::state::{NodeService, ServiceAddress, Weights};

const SERVICE: &[&str] = &[
    "address",
    "check",
    "checks",
    "connect",
    "enable_tag_override",
    "id",
    "kind",
    "meta",
    "name",
    "port",
    "proxy",
    "tagged_addresses",
    "tags",
    "token",
    "weights",
];
const CHECK: &[&str] = &[
    "alias_node",
    "alias_service",
    "args",
    "body",
    "deregister_critical_service_after",
    "docker_container_id",
    "failures_before_critical",
    "grpc",
    "grpc_use_tls",
    "header",
    "http",
    "id",
    "interval",
    "method",
    "name",
    "notes",
    "output_max_size",
    "script_args",
    "service_id",
    "shell",
    "status",
    "success_before_passing",
    "tcp",
    "timeout",
    "tls_skip_verify",
    "token",
    "ttl",
];
const WEIGHTS: &[&str] = &["passing", "warning"];
const ADDRESS: &[&str] = &["address", "port"];

impl Settings {
    /// One service or a list of them.
    pub(super) fn add_services(&mut self, given: &Given<'_>) -> Result<(), ConfigError> {
        for at in one_or_many(given.at) {
            let it = service(&Given { key: "service", at })?;
            let name = &it.service.service;
            // What the agent refuses when it registers, and `validate` does not look at.
            match validate::service(&it) {
                Ok(()) => self.services.push(it),
                Err(text) => {
                    let text = format!("service {name:?}: {text}");
                    self.unfinished.push(ConfigError::at(at.line, text));
                }
            }
        }
        Ok(())
    }

    /// One check or a list of them.
    pub(super) fn add_checks(&mut self, given: &Given<'_>) -> Result<(), ConfigError> {
        for at in one_or_many(given.at) {
            let mut check = check(&Given { key: "check", at })?;
            if check.check.check_id.is_empty() {
                check.check.check_id.clone_from(&check.check.name);
            }
            match validate::check(&check) {
                Ok(()) => self.checks.push(check),
                Err(text) => {
                    let text = format!("check {:?}: {text}", check.check.name);
                    self.unfinished.push(ConfigError::at(at.line, text));
                }
            }
        }
        Ok(())
    }
}

fn one_or_many(at: &Located) -> &[Located] {
    match &at.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(at),
    }
}

/// Keys that definitions of other releases hold, and what to do about them.
const OTHER_RELEASES: &[(&str, &str)] = &[
    ("disable_redirects", LATER),
    ("failures_before_warning", LATER),
    ("h2ping", LATER),
    ("h2ping_use_tls", LATER),
    ("locality", LATER),
    ("os_service", LATER),
    (
        "script",
        "scripts have no shell of their own any more; write args = [\"/bin/sh\", \"-c\", …]",
    ),
    ("socket_path", LATER),
    ("tcp_use_tls", LATER),
    ("tls_server_name", LATER),
    ("udp", LATER),
];
const LATER: &str = "it is of a later Consul than 1.9.8; remove it";

fn other_release(key: &str) -> Option<&'static str> {
    let found = OTHER_RELEASES.iter().find(|(other, _)| squeezed(other) == squeezed(key));
    found.map(|(_, why)| *why)
}

/// Says which ids are defined more than once.
pub(super) fn warn_of_doubles(said: &Settings, warnings: &mut Vec<String>) {
    let services = said.services.iter().map(|it| ("service", it.service.id.as_str()));
    let checks = said.checks.iter().map(|it| ("check", it.check.check_id.as_str()));
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for definition in services.chain(checks) {
        *seen.entry(definition).or_default() += 1;
    }
    for ((kind, id), times) in seen.into_iter().filter(|(_, times)| *times > 1) {
        warnings.push(format!("{kind} {id:?} is defined {times} times: the last one counts"));
    }
}

/// Calls `set` with the snake-case key of each member that is said, and what it says.
fn each(
    given: &Given<'_>,
    known: &[&'static str],
    mut set: impl FnMut(&'static str, &Given<'_>) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    for Member { line, key, value } in given.members()? {
        let Some(name) = known.iter().copied().find(|name| squeezed(name) == squeezed(key)) else {
            let text = match (other_release(key), nearest(key, known.iter().copied())) {
                (Some(why), _) => format!("config key {key} in {}: {why}", given.key),
                (None, Some(near)) => {
                    format!("invalid config key {key} in {}, did you mean {near}?", given.key)
                }
                (None, None) => format!("invalid config key {key} in {}", given.key),
            };
            return Err(ConfigError::at(*line, text));
        };
        if value.value != Value::Null {
            set(name, &Given { key: &format!("{}.{key}", given.key), at: value })?;
        }
    }
    Ok(())
}

fn squeezed(key: &str) -> String {
    key.chars().filter(|char| *char != '_').map(|char| char.to_ascii_lowercase()).collect()
}

fn service(given: &Given<'_>) -> Result<ServiceRegistration, ConfigError> {
    let mut it = NodeService::default();
    let (mut checks, mut token) = (Vec::new(), String::new());
    each(given, SERVICE, |key, said| {
        match key {
            "address" => it.address = said.text()?,
            "check" | "checks" => {
                for at in one_or_many(said.at) {
                    let check = check(&Given { key: said.key, at })?;
                    checks.push(CheckType { check_id: check.check.check_id, ..check.check });
                }
            }
            "enable_tag_override" => it.enable_tag_override = said.bool()?,
            "id" => it.id = said.text()?,
            "kind" => it.kind = said.text()?,
            "meta" => it.meta = said.pairs()?,
            "name" => it.service = said.text()?,
            "port" => it.port = said.integer()?.cast_unsigned(),
            "tagged_addresses" => it.tagged_addresses = tagged_addresses(said)?,
            "tags" => it.tags = said.texts()?,
            "token" => token = said.text()?,
            "weights" => it.weights = weights(said)?,
            _ => drop(said.members()?),
        }
        Ok(())
    })?;
    validate::complete(&mut it);
    validate::sizes(&it).map_err(|text| {
        ConfigError::at(given.at.line, format!("service {:?}: {text}", it.service))
    })?;
    Ok(ServiceRegistration {
        service: it,
        checks,
        token,
        replace_existing_checks: false,
        origin: Origin::Config,
    })
}

/// `service_id` counts for a check by itself; in a service it is read over.
fn check(given: &Given<'_>) -> Result<CheckRegistration, ConfigError> {
    let mut it = CheckRegistration { origin: Origin::Config, ..CheckRegistration::default() };
    each(given, CHECK, |key, said| {
        match key {
            "id" => it.check.check_id = said.text()?,
            "name" => it.check.name = said.text()?,
            "notes" => it.check.notes = said.text()?,
            "service_id" => it.service_id = said.text()?,
            "status" => it.check.status = said.text()?,
            "token" => it.token = said.text()?,
            "failures_before_critical" => it.check.failures_before_critical = said.unsigned()?,
            "success_before_passing" => it.check.success_before_passing = said.unsigned()?,
            other => define(&mut it.check, other, said)?,
        }
        Ok(())
    })?;
    Ok(it)
}

fn define(check: &mut CheckType, key: &str, said: &Given<'_>) -> Result<(), ConfigError> {
    let it = &mut check.definition;
    match key {
        "alias_node" => it.alias_node = said.text()?,
        "alias_service" => it.alias_service = said.text()?,
        "args" | "script_args" => it.script_args = said.texts()?,
        "body" => it.body = said.text()?,
        "deregister_critical_service_after" => {
            it.deregister_critical_service_after = said.span()?;
        }
        "docker_container_id" => it.docker_container_id = said.text()?,
        "grpc" => it.grpc = said.text()?,
        "grpc_use_tls" => it.grpc_use_tls = said.bool()?,
        "header" => it.header = header(said)?,
        "http" => it.http = said.text()?,
        "interval" => it.interval = said.span()?,
        "method" => it.method = said.text()?,
        "output_max_size" => it.output_max_size = said.integer()?.cast_unsigned(),
        "shell" => it.shell = said.text()?,
        "tcp" => it.tcp = said.text()?,
        "timeout" => it.timeout = said.span()?,
        "tls_skip_verify" => it.tls_skip_verify = said.bool()?,
        "ttl" => it.ttl = said.span()?,
        other => unreachable!("known key {other} of a check has no field"),
    }
    Ok(())
}

fn header(given: &Given<'_>) -> Result<BTreeMap<String, Vec<String>>, ConfigError> {
    let values = |member: &Member| {
        let texts = Given { key: given.key, at: &member.value }.texts()?;
        Ok((member.key.clone(), texts))
    };
    given.members()?.iter().map(values).collect()
}

fn tagged_addresses(given: &Given<'_>) -> Result<BTreeMap<String, ServiceAddress>, ConfigError> {
    let mut addresses = BTreeMap::new();
    for member in given.members()? {
        let mut address = ServiceAddress::default();
        each(&Given { key: given.key, at: &member.value }, ADDRESS, |key, said| {
            match key {
                "port" => address.port = said.integer()?.cast_unsigned(),
                _ => address.address = said.text()?,
            }
            Ok(())
        })?;
        addresses.insert(member.key.clone(), address);
    }
    Ok(addresses)
}

/// One of them said alone leaves the other at one.
fn weights(given: &Given<'_>) -> Result<Weights, ConfigError> {
    let mut weights = Weights::default();
    each(given, WEIGHTS, |key, said| {
        let weight = said.integer()?.cast_unsigned();
        match key {
            "passing" => weights.passing = weight,
            _ => weights.warning = weight,
        }
        Ok(())
    })?;
    Ok(weights)
}

/// What the agent says of a script that it may not run.
const SCRIPTS_DISABLED: &str = "Scripts are disabled on this agent; to enable, configure \
     'enable_script_checks' or 'enable_local_script_checks' to true";

/// Refuses scripts in files when no switch lets them run.
pub(super) fn refuse_scripts(said: &Settings) -> Result<(), ConfigError> {
    let is_script = |check: &CheckType| !check.definition.script_args.is_empty();
    let of_service = said.services.iter().find(|service| service.checks.iter().any(is_script));
    if let Some(service) = of_service {
        let name = &service.service.service;
        let text = format!("Failed to register service {name:?}: {SCRIPTS_DISABLED}");
        return Err(ConfigError::new(text));
    }
    match said.checks.iter().find(|check| is_script(&check.check)) {
        Some(check) => {
            let name = &check.check.name;
            let text = format!("Failed to register check '{name}': {SCRIPTS_DISABLED}");
            Err(ConfigError::new(text))
        }
        None => Ok(()),
    }
}

/// The keys of services and checks, for the test of the sample.
#[cfg(test)]
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    SERVICE.iter().chain(CHECK).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::located_json::parse;

    #[test]
    fn every_known_key_has_a_field() {
        for key in SERVICE.iter().chain(CHECK) {
            let fits = ["true", "1", "\"10s\"", "{}"].iter().any(|value| {
                let at = parse(&format!("{{\"{key}\": {value}}}")).expect("valid");
                let given = Given { key: "it", at: &at };
                let mut settings = Settings::default();
                // What is said may not be enough; that it is said in the wrong kind ends earlier.
                let ended = |error: ConfigError| error.text.contains("expected");
                match CHECK.contains(key) {
                    true => !check(&given).is_err_and(ended),
                    false => !settings.add_services(&given).is_err_and(ended),
                }
            });
            assert!(fits, "{key}");
        }
    }
}
