//! The sample configuration names every key, in both languages, and is right.

use std::collections::BTreeSet;

use crate::base::dns_settings::DnsSettings;
use crate::config::flags::Parsed;
use crate::config::keys::{all, is_block};
use crate::config::located_json::{Located, Value};
use crate::config::{AgentConfig, Dns, ReadFrom, definitions, hcl};

const HCL: &str = include_str!("../../packaging/sample.hcl");
const JSON: &str = include_str!("../../packaging/sample.json");

/// The keys of an object; those of blocks with the block's name in front.
fn named(prefix: &str, at: &Located, found: &mut BTreeSet<String>) {
    match &at.value {
        Value::Object(members) => {
            for member in members {
                let key = format!("{prefix}{}", member.key);
                let inner = if is_block(&key) { format!("{key}.") } else { String::new() };
                if is_block(&key) || matches!(&*key, "service" | "services" | "check" | "checks") {
                    named(&inner, &member.value, found);
                }
                found.insert(key);
            }
        }
        Value::List(items) => items.iter().for_each(|at| named(prefix, at, found)),
        _ => {}
    }
}

fn json(at: &Located) -> serde_json::Value {
    match &at.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(text) => serde_json::from_str(text).expect("a number"),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Object(members) => {
            members.iter().map(|member| (member.key.clone(), json(&member.value))).collect()
        }
    }
}

#[test]
fn the_sample_names_every_key() {
    let root = hcl::parse(HCL).expect("valid HCL");
    let mut found = BTreeSet::new();
    named("", &root, &mut found);
    let known = all().chain(definitions::keys());
    let missing: Vec<&str> = known.filter(|key| !found.contains(*key)).collect();
    assert!(missing.is_empty(), "packaging/sample.hcl does not name {missing:?}");
}

#[test]
fn the_sample_in_json_is_the_same() {
    let hcl = json(&hcl::parse(HCL).expect("valid HCL"));
    let other: serde_json::Value = serde_json::from_str(JSON).expect("valid JSON");
    for (key, value) in hcl.as_object().expect("an object") {
        assert_eq!(Some(value), other.get(key), "packaging/sample.json has another {key}");
    }
    assert_eq!(hcl, other, "packaging/sample.json says more");
}

#[test]
fn an_agent_starts_with_the_sample() {
    let of = |name, text| {
        let config = AgentConfig::from_parts(&[(name, text)], &Parsed::default(), "host1");
        AgentConfig { read_from: ReadFrom::default(), ..config.expect("valid") }
    };
    let config = of("sample.hcl", HCL);
    assert_eq!(config, of("sample.json", JSON));
    assert_eq!(
        config.warnings,
        [
            "bootstrap_expect > 0: expecting 3 servers".to_owned(),
            "The 'ui' field is deprecated. Use the 'ui_config.enabled' field instead.".to_owned(),
            "The 'ui_content_path' field is deprecated. Use the 'ui_config.content_path' field instead."
                .to_owned(),
            "The 'ui_dir' field is deprecated. Use the 'ui_config.dir' field instead.".to_owned(),
        ]
    );
    assert_eq!((config.definitions.services.len(), config.definitions.checks.len()), (2, 4));

    // What the sample calls a default is one.
    let flags = ["-server", "-bootstrap-expect=3", "-data-dir=/var/lib/consul", "-bind=10.0.0.1"];
    let flags: Vec<String> = flags.map(str::to_owned).to_vec();
    let flags = crate::config::flags::parse(crate::config::AGENT_FLAGS, &flags).expect("valid");
    let default = AgentConfig::from_parts(&[], &flags, "n1").expect("valid");
    let examples = AgentConfig {
        node_meta: config.node_meta.clone(),
        tagged_addresses: config.tagged_addresses.clone(),
        lan_join: config.lan_join.clone(),
        http: config.http.clone(),
        dns: Dns {
            settings: DnsSettings {
                recursors: config.dns.settings.recursors.clone(),
                service_ttl: config.dns.settings.service_ttl.clone(),
                ..default.dns.settings.clone()
            },
            ..default.dns.clone()
        },
        checks: config.checks,
        watches: config.watches.clone(),
        read_from: config.read_from.clone(),
        definitions: config.definitions.clone(),
        warnings: config.warnings.clone(),
        ..default
    };
    assert_eq!(config, examples);
}
