//! `catalog`: the datacenters, nodes and services that there are (spec api 5.14).
//!
//! Nothing found is told on standard error, and is success.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::runtime::Runtime;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::cli::{Terminal, columns, files, table};
use crate::config::flags::{Flag, Parsed, Takes};
use crate::http::escape::escape_path;

pub(super) const GROUP: Command = Command {
    path: "catalog",
    synopsis: "Interact with the catalog",
    usage: "Usage: consul catalog <subcommand> [options] [args]\n\n  \
        Shows what is registered: datacenters, nodes and services.\n\n  \
        List all nodes:\n\n      $ consul catalog nodes\n\n  \
        List the services of one node:\n\n      $ consul catalog services -node=web-1",
    flags: &[],
    reach: Reach::Nobody,
};

pub(super) const DATACENTERS: Command = Command {
    path: "catalog datacenters",
    synopsis: "Lists all known datacenters",
    usage: "Usage: consul catalog datacenters [options]\n\n  \
        Prints the names of all datacenters that the queried agent knows, one per line.",
    flags: &[],
    reach: Reach::Servers,
};

pub(super) const NODES: Command = Command {
    path: "catalog nodes",
    synopsis: "Lists all nodes in the given datacenter",
    usage: "Usage: consul catalog nodes [options]\n\n  \
        Prints the nodes of a datacenter; by default that of the local agent.\n\n  \
        With full IDs, tagged addresses and metadata:\n\n      $ consul catalog nodes -detailed\n\n  \
        Only nodes that provide a service:\n\n      $ consul catalog nodes -service=web\n\n  \
        Only nodes with this metadata:\n\n      $ consul catalog nodes -node-meta=\"foo=bar\"\n\n  \
        The nearest to node-web first:\n\n      $ consul catalog nodes -near=node-web",
    flags: &[
        Flag {
            name: "detailed",
            takes: Takes::Bool,
            help: "Output detailed information about the nodes including their addresses and metadata.",
        },
        Flag {
            name: "filter",
            takes: Takes::Text,
            help: "Filter to use with the request: an expression, @file, or - for standard input.",
        },
        Flag {
            name: "near",
            takes: Takes::Text,
            help: "Node name to sort the list by, the shortest estimated round trip first. \"_agent\" is \
                   the node of the queried agent.",
        },
        Flag {
            name: "node-meta",
            takes: Takes::Pairs,
            help: "Metadata to filter nodes with the given `key=value` pairs. May be given many times.",
        },
        Flag {
            name: "service",
            takes: Takes::Text,
            help: "Service `id or name` to filter nodes. Only nodes which are providing the given \
                   service will be returned.",
        },
    ],
    reach: Reach::Servers,
};

pub(super) const SERVICES: Command = Command {
    path: "catalog services",
    synopsis: "Lists all registered services in a datacenter",
    usage: "Usage: consul catalog services [options]\n\n  \
        Prints the names of the services of a datacenter; by default that of the local agent.\n\n  \
        With their tags:\n\n      $ consul catalog services -tags\n\n  \
        Only those on one node:\n\n      $ consul catalog services -node=web",
    flags: &[
        Flag {
            name: "node",
            takes: Takes::Text,
            help: "Node `id or name` for which to list services.",
        },
        Flag {
            name: "node-meta",
            takes: Takes::Pairs,
            help: "Metadata to filter nodes with the given `key=value` pairs: only services on such nodes \
                   are listed. May be given many times.",
        },
        Flag {
            name: "tags",
            takes: Takes::Bool,
            help: "Display each service's tags as a comma-separated list beside each service entry.",
        },
    ],
    reach: Reach::Namespaced,
};

type Pairs = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Node {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Node")]
    name: String,
    #[serde(rename = "Address")]
    address: String,
    #[serde(rename = "Datacenter", default)]
    datacenter: String,
    #[serde(rename = "TaggedAddresses", default)]
    tagged_addresses: Option<Pairs>,
    // Of a node; in an answer about a service, `Meta` is absent and this is there.
    #[serde(rename = "Meta", alias = "NodeMeta", default)]
    meta: Option<Pairs>,
}

impl Node {
    fn row(&self, detailed: bool) -> Vec<String> {
        let short: String = self.id.chars().take(8).collect();
        let id = if detailed { self.id.clone() } else { short };
        let mut row = vec![self.name.clone(), id, self.address.clone(), self.datacenter.clone()];
        if detailed {
            row.extend([joined(&self.tagged_addresses), joined(&self.meta)]);
        }
        row
    }
}

/// `a=1, b=2`.
fn joined(pairs: &Option<Pairs>) -> String {
    let pairs = pairs.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

async fn read<R: Runtime, T: DeserializeOwned>(
    api: &Api<'_, R>,
    path: &str,
    params: &[(&str, &str)],
) -> Result<T, String> {
    let answer = api.call(Method::GET, path, params, Bytes::new()).await?;
    serde_json::from_slice(&answer.body).map_err(|error| format!("malformed answer: {error}"))
}

/// Metadata as the API wants it: `key:value`.
fn metadata(flags: &Parsed) -> Vec<String> {
    flags.pairs("node-meta").map(|(key, value)| format!("{key}:{value}")).collect()
}

/// `catalog datacenters`.
pub(super) async fn datacenters<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = DATACENTERS.parse_bare(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let names: Vec<String> = read(&api, "/v1/catalog/datacenters", &[])
        .await
        .map_err(|why| terminal.fail(format!("Error listing datacenters: {why}")))?;
    names.iter().for_each(|name| terminal.line(name));
    Ok(())
}

/// `catalog nodes`.
pub(super) async fn nodes<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = NODES.parse_bare(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let text = |name| flags.text(name).unwrap_or_default();
    let filter = files::data(runtime, text("filter"), terminal)
        .await
        .map_err(|why| terminal.fail(format!("Could not process filter argument: {why}")))?;
    let filter = String::from_utf8_lossy(&filter);
    let metadata = metadata(&flags);
    let mut params = vec![("near", text("near")), ("filter", &*filter)];
    params.retain(|(_, value)| !value.is_empty());
    params.extend(metadata.iter().map(|pair| ("node-meta", pair.as_str())));
    let (mut path, what) = match text("service") {
        "" => ("/v1/catalog/nodes".to_owned(), "nodes"),
        _ => ("/v1/catalog/service/".to_owned(), "nodes for service"),
    };
    escape_path(text("service"), &mut path);
    let nodes: Vec<Node> = read(&api, &path, &params)
        .await
        .map_err(|why| terminal.fail(format!("Error listing {what}: {why}")))?;
    if nodes.is_empty() {
        terminal.fail("No nodes match the given query - try expanding your search.");
        return Ok(());
    }
    let detailed = flags.is_on("detailed");
    let head = ["Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"];
    let head = head[..if detailed { 6 } else { 4 }].iter().map(|cell| (*cell).to_owned());
    let mut rows = vec![head.collect()];
    rows.extend(nodes.iter().map(|node| node.row(detailed)));
    terminal.out(table(&rows));
    Ok(())
}

#[derive(Deserialize)]
struct NodeServices {
    #[serde(rename = "Services")]
    services: BTreeMap<String, Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    service: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// `catalog services`.
pub(super) async fn services<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = SERVICES.parse_bare(args, terminal)?;
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let metadata = metadata(&flags);
    let params: Vec<_> = metadata.iter().map(|pair| ("node-meta", pair.as_str())).collect();
    let mut services: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let asked = match flags.text("node").unwrap_or_default() {
        "" => match read(&api, "/v1/catalog/services", &params).await {
            Ok(found) => {
                services = found;
                Ok(())
            }
            Err(why) => Err(format!("Error listing services: {why}")),
        },
        node => {
            let mut path = "/v1/catalog/node/".to_owned();
            escape_path(node, &mut path);
            match read::<R, Option<NodeServices>>(&api, &path, &params).await {
                Ok(found) => {
                    let instances = found.into_iter().flat_map(|node| node.services.into_values());
                    for Instance { service, tags } in instances {
                        services.entry(service).or_default().extend(tags.unwrap_or_default());
                    }
                    Ok(())
                }
                Err(why) => Err(format!("Error listing services for node: {why}")),
            }
        }
    };
    asked.map_err(|text| terminal.fail(text))?;
    if services.is_empty() {
        terminal.fail("No services match the given query - try expanding your search.");
        return Ok(());
    }
    if !flags.is_on("tags") {
        services.keys().for_each(|name| terminal.line(name));
        return Ok(());
    }
    let rows = services.into_iter().map(|(name, mut tags)| {
        tags.sort();
        vec![name, tags.join(",")]
    });
    terminal.line(columns(&rows.collect::<Vec<_>>()).trim());
    Ok(())
}
