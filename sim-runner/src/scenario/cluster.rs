//! `[cluster]` and `[time]`.

use proconsul::base::Duration;
use serde_json::{Map, Value};

use super::model::{Boot, ClusterPlan, NodePlan, Profile};
use super::reader::Reader;
use super::spelling::nearest;
use super::target::{self, Names};
use super::tree::{Item, Kind, Table};
use super::words;

/// More servers than this are no cluster.
const MOST_SERVERS: u64 = 99;
/// Agents in client mode come in greater numbers.
const MOST_CLIENTS: u64 = 2_000;

/// The node names, which everything else refers to. Errors in them are noted here, once.
pub fn names(reader: &mut Reader, root: &Table) -> Names {
    let cluster = match root.get("cluster") {
        Some(Item { kind: Kind::Table(table), .. }) => table,
        _ => return Names { servers: vec!["n1".to_owned()], ..Names::default() },
    };
    let servers = match cluster.get("servers") {
        None => vec!["n1".to_owned()],
        Some(item) => node_list(reader, item, "servers", "n", (1, MOST_SERVERS)),
    };
    let clients = match cluster.get("clients") {
        None => Vec::new(),
        Some(item) => node_list(reader, item, "clients", "c", (0, MOST_CLIENTS)),
    };
    if let (Some(twice), Some(item)) =
        (clients.iter().find(|name| servers.contains(name)), cluster.get("clients"))
    {
        reader.error(item.place, format!("two nodes are called {twice:?}"));
    }
    Names { servers, clients, ..Names::default() }
}

fn node_list(
    reader: &mut Reader,
    item: &Item,
    key: &str,
    prefix: &str,
    (least, most): (u64, u64),
) -> Vec<String> {
    let items = match &item.kind {
        Kind::Array(items) => items,
        Kind::Integer(_) => {
            let count = reader.integer(item, &format!("`{key}`"), least, most);
            return (1..=count.unwrap_or(least))
                .map(|number| format!("{prefix}{number}"))
                .collect();
        }
        _ => {
            let message = format!("`{key}` must be a number or a list of names");
            reader.advise(item.place, message, "for example 3, or [\"alpha\", \"beta\"]");
            return Vec::new();
        }
    };
    if !(least..=most).contains(&(items.len() as u64)) {
        reader.error(item.place, format!("`{key}` must be from {least} to {most} names"));
    }
    let mut names: Vec<String> = Vec::new();
    for one in items {
        let Some(text) = reader.text(one, "a node name") else { continue };
        let name = &text.text;
        if target::simple(name).is_some() || ["not", "and", "or", "at"].contains(&name.as_str()) {
            reader.error(
                one.place,
                format!("a node may not be called {name:?}: that is a word of the language"),
            );
        } else if !is_name(name) {
            reader.advise(
                one.place,
                format!("{name:?} is no node name"),
                "a name begins with a letter and has letters, digits, \"-\" and \"_\"",
            );
        } else if names.contains(name) {
            reader.error(one.place, format!("two nodes are called {name:?}"));
        } else {
            names.push(name.clone());
        }
    }
    names
}

/// Whether it can be the name of a node or the id of a step: a letter, then letters, digits, `-`, `_`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// `[cluster]`, after [`names`].
pub fn cluster(reader: &mut Reader, root: &Table) -> ClusterPlan {
    let servers = reader.names.servers.clone();
    let mut plan = ClusterPlan {
        nodes: Vec::new(),
        boot: Boot::Joined,
        profile: Profile::Modern,
        max_dead_servers: servers.len().saturating_sub(1) / 2,
    };
    let mut common = Value::Object(Map::new());
    let mut own = NodeConfigs::default();
    if let Some(table) = root.get("cluster").and_then(|item| reader.table(item, "[cluster]")) {
        reader.keys(table, "[cluster]", words::CLUSTER);
        if let Some(item) = table.get("boot")
            && reader.word(item, "`boot`", words::BOOT).as_deref() == Some("manual")
        {
            plan.boot = Boot::Manual;
        }
        if let Some(item) = table.get("profile")
            && reader.word(item, "`profile`", words::PROFILE).as_deref() == Some("legacy")
        {
            plan.profile = Profile::Legacy;
        }
        if let Some(most) = protect(reader, table, servers.len()) {
            plan.max_dead_servers = most;
        }
        if let Some(config) = table.get("config").and_then(|item| reader.table(item, "`config`")) {
            common = reader.json_object(config, "`config`");
        }
        own = node_configs(reader, table);
    }
    let clients = reader.names.clients.clone();
    let servers = servers.into_iter().map(|name| (name, true, &own.servers));
    let clients = clients.into_iter().map(|name| (name, false, &own.clients));
    for (name, server, role) in servers.chain(clients) {
        let mut config = common.clone();
        role.iter().for_each(|role| merge(&mut config, role));
        for (_, value) in own.nodes.iter().filter(|(node, _)| *node == name) {
            merge(&mut config, value);
        }
        plan.nodes.push(NodePlan { name, server, config });
    }
    plan
}

/// `node.servers`, `node.clients` and `node.NAME`.
#[derive(Default)]
struct NodeConfigs {
    servers: Option<Value>,
    clients: Option<Value>,
    nodes: Vec<(String, Value)>,
}

fn protect(reader: &mut Reader, table: &Table, servers: usize) -> Option<usize> {
    let table = reader.table(table.get("protect")?, "`protect`")?;
    reader.keys(table, "`protect`", words::PROTECT);
    let most = table.get("max_dead_servers")?;
    reader.integer(most, "`max_dead_servers`", 0, servers as u64).map(|most| most as usize)
}

fn node_configs(reader: &mut Reader, cluster: &Table) -> NodeConfigs {
    let mut configs = NodeConfigs::default();
    let Some(table) = cluster.get("node").and_then(|item| reader.table(item, "`node`")) else {
        return configs;
    };
    for entry in &table.entries {
        let what = format!("`node.{}`", entry.key);
        let roles = ["servers", "clients"];
        if !roles.contains(&entry.key.as_str()) && !reader.names.has_node(&entry.key) {
            let message = format!("there is no node {:?}", entry.key);
            match nearest(&entry.key, roles.into_iter().chain(reader.names.nodes())) {
                Some(meant) => {
                    let help = format!("did you mean {meant:?}?");
                    reader.advise(entry.place, message, help);
                }
                None => reader.error(entry.place, message),
            }
            continue;
        }
        let Some(config) = reader.table(&entry.value, &what) else { continue };
        let config = reader.json_object(config, &what);
        match entry.key.as_str() {
            "servers" => configs.servers = Some(config),
            "clients" => configs.clients = Some(config),
            name => configs.nodes.push((name.to_owned(), config)),
        }
    }
    configs
}

/// Merges objects key by key; anything else is replaced.
pub fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// `[time]` as written.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// `run`; computed when it is absent.
    pub run: Option<Duration>,
    /// `settle`.
    pub settle: Duration,
    /// `boot_within`.
    pub boot_within: Duration,
}

/// `[time]`.
pub fn time(reader: &mut Reader, root: &Table) -> Times {
    let seconds = Duration::from_secs;
    let mut times = Times { run: None, settle: seconds(300), boot_within: seconds(60) };
    if let Some(table) = root.get("time").and_then(|item| reader.table(item, "[time]")) {
        reader.keys(table, "[time]", words::TIME);
        if let Some(item) = table.get("run") {
            times.run = reader.duration(item, "`run`");
            if times.run == Some(Duration::ZERO) {
                reader.error(item.place, "`run` must be longer than nothing");
            }
        }
        if let Some(value) = table.get("settle").and_then(|item| reader.duration(item, "`settle`"))
        {
            times.settle = value;
        }
        if let Some(item) = table.get("boot_within")
            && let Some(value) = reader.duration(item, "`boot_within`")
        {
            times.boot_within = value;
        }
    }
    times
}
