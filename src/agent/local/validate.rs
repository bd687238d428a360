//! What makes a definition of a service or a check one that can be used: the same for the HTTP API and for
//! configuration files, in Consul 1.9.8's words and order (spec api 2.2, 3.3).
//!
//! ```text
//!   HTTP body ─► http::agent::definitions ─┐
//!                                          ├─► complete ─► service / check ─► LocalRequest, Definitions
//!   file ──────► config::definitions ──────┘
//! ```
//!
//! Numbers that Consul keeps signed (ports, weights, sizes) are kept here in two's complement, because
//! Consul takes and shows a port of -1.
//!
//! Deliberately not here: what only the agent knows, such as whether a service exists and whether scripts
//! may run.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{CheckRegistration, CheckType, Health, ServiceRegistration};
use crate::state::{NodeService, ServiceAddress, Weights};

const PAIRS_MAX: usize = 64;
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 512;
const WEIGHT_MAX: i64 = 65_535;

/// Fills in what follows from the rest: the id, and addresses by network where the address is a literal.
/// Doing it twice changes nothing.
pub fn complete(service: &mut NodeService) {
    if service.id.is_empty() {
        service.id.clone_from(&service.service);
    }
    // As in Go, an IPv4 address in the form of IPv6 is one of IPv4.
    let networks = match service.address.parse().map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V4(_)) => ["lan_ipv4", "wan_ipv4"],
        Ok(IpAddr::V6(_)) => ["lan_ipv6", "wan_ipv6"],
        Err(_) => return,
    };
    for network in networks {
        let own = || ServiceAddress { address: service.address.clone(), port: service.port };
        service.tagged_addresses.entry(network.to_owned()).or_insert_with(own);
    }
}

/// Refuses a service, or one of its checks.
///
/// # Errors
/// The text for the user.
pub fn service(registration: &ServiceRegistration) -> Result<(), String> {
    let service = &registration.service;
    if service.service.is_empty() {
        return Err("Missing service name".to_owned());
    }
    if matches!(service.address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return Err("Invalid service address".to_owned());
    }
    sizes(service)?;
    for check in &registration.checks {
        check_type(check).map_err(|text| format!("Invalid check: {text}"))?;
    }
    match registration.checks.iter().all(has_status) {
        true => Ok(()),
        false => Err("Status for checks must 'passing', 'warning', 'critical'".to_owned()),
    }
}

/// Refuses weights and meta out of bounds: of a definition, what Consul looks at before an agent starts with it.
///
/// # Errors
/// The text for the user.
pub fn sizes(service: &NodeService) -> Result<(), String> {
    weights(service.weights).map_err(|text| format!("Invalid Weights: {text}"))?;
    metadata(&service.meta).map_err(|text| format!("Invalid Service Meta: {text}"))
}

/// Refuses a check that is registered by itself.
///
/// # Errors
/// The text for the user.
pub fn check(registration: &CheckRegistration) -> Result<(), String> {
    let check = &registration.check;
    if check.name.is_empty() {
        return Err("Missing check name".to_owned());
    }
    if !has_status(check) {
        return Err("Bad check status".to_owned());
    }
    check_type(check).map_err(|text| format!("Invalid check: {text}"))
}

/// None is good too: then it is critical.
fn has_status(check: &CheckType) -> bool {
    check.status.is_empty() || Health::of_word(&check.status).is_some()
}

/// Refuses what says two things at once, or nothing.
///
/// # Errors
/// Which rule it breaks (spec api 3.3).
pub fn check_type(check: &CheckType) -> Result<(), &'static str> {
    let does = &check.definition;
    let polls = !does.script_args.is_empty()
        || [&does.http, &does.tcp, &does.grpc].iter().any(|target| !target.is_empty());
    let alias = !does.alias_node.is_empty() || !does.alias_service.is_empty();
    let (repeated, expires) = (!does.interval.is_zero(), !does.ttl.is_zero());
    if repeated && expires {
        Err("Interval and TTL cannot both be specified")
    } else if polls && !repeated {
        Err("Interval must be > 0 for Script, HTTP, or TCP checks")
    } else if polls && alias {
        Err("Interval cannot be set for Alias checks")
    } else if alias && expires {
        Err("TTL must be not be set for Alias checks")
    } else if !polls && !alias && !expires {
        Err("TTL must be > 0 for TTL checks")
    } else if does.output_max_size.cast_signed() < 0 {
        Err("MaxOutputMaxSize must be positive")
    } else {
        Ok(())
    }
}

/// Refuses weights that DNS cannot express.
///
/// # Errors
/// What is wrong.
pub fn weights(weights: Weights) -> Result<(), &'static str> {
    let (passing, warning) = (weights.passing.cast_signed(), weights.warning.cast_signed());
    if passing < 1 {
        Err("Passing must be greater than 0")
    } else if warning < 0 {
        Err("Warning must be greater or equal than 0")
    } else if passing.max(warning) > WEIGHT_MAX {
        Err("DNS Weight must be between 0 and 65535")
    } else {
        Ok(())
    }
}

/// Refuses what a node or a service may not say of itself.
///
/// # Errors
/// The first pair that is wrong, and why.
pub fn metadata(pairs: &BTreeMap<String, String>) -> Result<(), String> {
    if pairs.len() > PAIRS_MAX {
        return Err(format!("Node metadata cannot contain more than {PAIRS_MAX} key/value pairs"));
    }
    for (key, value) in pairs {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let wrong = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !key.bytes().all(good) {
            "Key contains invalid characters".to_owned()
        } else if key.len() > KEY_MAX {
            format!("Key is too long (limit: {KEY_MAX} characters)")
        } else if key.starts_with("consul-") {
            "Key prefix 'consul-' is reserved for internal use".to_owned()
        } else if value.len() > VALUE_MAX {
            format!("Value is too long (limit: {VALUE_MAX} characters)")
        } else {
            continue;
        };
        return Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {wrong}"));
    }
    Ok(())
}
