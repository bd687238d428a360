//! What a node's configuration says of its DNS, for `dns-sound`: read from the plan, as agents read it
//! (spec api 4.2, 4.4, 4.7 and 4.8).
//!
//! A step that changes any of it makes the settings of all nodes uncertain: then nothing is held against
//! an agent that one of the two would excuse.

use serde_json::Value;

use crate::scenario::model::{Action, Plan, Profile};

/// Of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The zones that it answers for, in lower case.
    pub domains: Vec<String>,
    /// Its datacenter.
    pub datacenter: String,
    /// Whether a warning is enough to leave an instance out.
    pub only_passing: bool,
    /// Whether any server's state will do.
    pub allow_stale: bool,
    /// Whether a state that is too old has it ask the leader.
    pub bounds_age: bool,
    /// Whether answers may come from what was kept.
    pub use_cache: bool,
    /// Whether what is cut short says so.
    pub says_truncated: bool,
    /// Whether answers have a number of addresses at most.
    pub limits_addresses: bool,
    /// Of nodes, s; none when it is uncertain.
    pub node_ttl: Option<u32>,
    /// Of services by name, `prefix*` or `*`, s; none when it is uncertain.
    service_ttls: Option<Vec<(String, u32)>>,
}

impl Settings {
    /// Of a node of the plan.
    #[must_use]
    pub fn of(plan: &Plan, node: &str) -> Self {
        let config = plan.cluster.nodes.iter().find(|it| it.name == node).map(|it| &it.config);
        let config = config.unwrap_or(&Value::Null);
        let text = |key: &str| config[key].as_str().map(str::to_lowercase);
        let dns = &config["dns_config"];
        let on = |key: &str, default: bool| dns[key].as_bool().unwrap_or(default);
        let modern = plan.cluster.profile == Profile::Modern;
        let certain = modern && !changes(plan);
        let domains = [Some(text("domain").unwrap_or("consul.".to_owned())), text("alt_domain")];
        let domains = domains.iter().flatten().map(|zone| zone.trim_end_matches('.').to_owned());
        let node_ttl = match &dns["node_ttl"] {
            Value::Null => Some(0),
            ttl => seconds(ttl),
        };
        Self {
            domains: domains.filter(|zone| !zone.is_empty()).collect(),
            datacenter: text("datacenter").unwrap_or("dc1".to_owned()),
            only_passing: certain && on("only_passing", false),
            allow_stale: !certain || on("allow_stale", true),
            bounds_age: !certain || !dns["max_stale"].is_null(),
            use_cache: on("use_cache", false) || changes(plan),
            says_truncated: certain && on("enable_truncate", false),
            limits_addresses: !certain || dns["a_record_limit"].as_u64().unwrap_or(0) > 0,
            node_ttl: node_ttl.filter(|_| certain),
            service_ttls: service_ttls(&dns["service_ttl"]).filter(|_| certain),
        }
    }

    /// Of a service's records, s: the exact name, else the longest prefix, else `*`, else 0; none when it
    /// is uncertain.
    #[must_use]
    pub fn service_ttl(&self, service: &str) -> Option<u32> {
        let ttls = self.service_ttls.as_ref()?;
        let fits = |(pattern, _): &&(String, u32)| match pattern.strip_suffix('*') {
            Some(prefix) => service.starts_with(prefix),
            None => service == pattern,
        };
        let exact = ttls.iter().find(|(pattern, _)| pattern == service);
        let best = exact.or_else(|| ttls.iter().filter(fits).max_by_key(|(it, _)| it.len()));
        Some(best.map_or(0, |(_, ttl)| *ttl))
    }
}

fn service_ttls(table: &Value) -> Option<Vec<(String, u32)>> {
    let Some(table) = table.as_object() else { return Some(Vec::new()) };
    table.iter().map(|(name, ttl)| Some((name.to_lowercase(), seconds(ttl)?))).collect()
}

/// Whole seconds of a duration in Go's form, of those that are one number: `"10s"`, `"2m"`.
fn seconds(ttl: &Value) -> Option<u32> {
    let text = ttl.as_str()?;
    let number = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(number);
    let number: u32 = number.parse().ok()?;
    match unit {
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        "ms" => Some(number / 1000),
        _ => None,
    }
}

/// Whether a step changes what agents do about DNS.
fn changes(plan: &Plan) -> bool {
    let of_dns = |config: &Value| {
        ["dns_config", "domain", "alt_domain", "datacenter"].iter().any(|it| !config[it].is_null())
    };
    plan.steps.iter().any(|step| match &step.action {
        Action::Start { config: Some(config), .. }
        | Action::Restart { config: Some(config), .. } => of_dns(config),
        Action::Config { set, .. } => of_dns(set),
        _ => false,
    })
}
