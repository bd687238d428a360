//! `rtt`: the estimated round trip between two nodes (spec api 5.16).

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::runtime::Runtime;
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::config::flags::{Flag, Takes};
use crate::gossip::Coordinate;

pub(super) const COMMAND: Command = Command {
    path: "rtt",
    synopsis: "Estimates network round trip time between nodes",
    usage: "Usage: consul rtt [options] node1 [node2]\n\n  \
        Estimates the round trip time between two nodes using Consul's network coordinate\n  \
        model of the cluster. Without a second node the agent's own is taken.",
    flags: &[Flag {
        name: "wan",
        takes: Takes::Bool,
        help: "Use WAN coordinates instead of LAN coordinates; names are then node.datacenter.",
    }],
    reach: Reach::Agent,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    node: String,
    #[serde(default)]
    segment: String,
    coord: Numbers,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Numbers {
    vec: Vec<f64>,
    error: f64,
    adjustment: f64,
    height: f64,
}

impl Numbers {
    fn coordinate(&self) -> Coordinate {
        let Numbers { vec, error, adjustment, height } = self;
        Coordinate { vec: vec.clone(), error: *error, adjustment: *adjustment, height: *height }
    }
}

#[derive(Deserialize)]
struct Map {
    #[serde(rename = "Datacenter")]
    datacenter: String,
    #[serde(rename = "AreaID")]
    area: String,
    #[serde(rename = "Coordinates")]
    coordinates: Vec<Entry>,
}

/// A coordinate of each of two nodes, as far as there is one.
type Both = [Option<Coordinate>; 2];

pub(super) async fn rtt<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    if !matches!(flags.rest.len(), 1 | 2) {
        let text = format!("One or two node names must be specified\n\n{}", COMMAND.help());
        return Err(terminal.fail(text));
    }
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let wan = flags.switch("wan") == Some(true);
    let mut names = flags.rest.clone();
    if names.len() == 1 {
        let own = own_name(&api, wan).await;
        names.push(
            own.map_err(|why| terminal.fail(format!("Unable to look up agent info: {why}")))?,
        );
    }
    let (kind, found) = match wan {
        true => ("WAN", over_wan(&api, &names).await),
        false => ("LAN", over_lan(&api, &names).await),
    };
    let found = found.map_err(|text| terminal.fail(text))?;
    let [Some(from), Some(to)] = &found else {
        let missing = usize::from(found[0].is_some());
        let text = format!("Could not find a coordinate for node {:?}", names[missing]);
        return Err(terminal.fail(text));
    };
    let millis = from.distance_s(to) * 1000.0;
    let (from, to) = (&names[0], &names[1]);
    terminal
        .line(format!("Estimated {from} <-> {to} rtt: {millis:.3} ms (using {kind} coordinates)"));
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelfAnswer {
    config: SelfConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelfConfig {
    node_name: String,
    datacenter: String,
}

async fn own_name<R: Runtime>(api: &Api<'_, R>, wan: bool) -> Result<String, String> {
    let SelfAnswer { config } = read(api, "/v1/agent/self").await?;
    Ok(match wan {
        true => format!("{}.{}", config.node_name, config.datacenter),
        false => config.node_name,
    })
}

async fn read<R: Runtime, T: for<'de> Deserialize<'de>>(
    api: &Api<'_, R>,
    path: &str,
) -> Result<T, String> {
    let answer = api.call(Method::GET, path, &[], Bytes::new()).await?;
    serde_json::from_slice(&answer.body).map_err(|error| format!("malformed answer: {error}"))
}

/// A pair of one segment, if there is one; else what there is.
async fn over_lan<R: Runtime>(api: &Api<'_, R>, names: &[String]) -> Result<Both, String> {
    let entries: Vec<Entry> = read(api, "/v1/coordinate/nodes")
        .await
        .map_err(|why| format!("Error getting coordinates: {why}"))?;
    let of = |name: &str| -> Vec<&Entry> {
        entries.iter().filter(|entry| entry.node.eq_ignore_ascii_case(name)).collect()
    };
    let (from, to) = (of(&names[0]), of(&names[1]));
    let pair = from
        .iter()
        .find_map(|from| to.iter().find(|to| to.segment == from.segment).map(|to| (*from, *to)));
    Ok(match pair {
        Some((from, to)) => comparable(from, to),
        None => [from.first(), to.first().filter(|_| from.is_empty())]
            .map(|entry| entry.map(|entry| entry.coord.coordinate())),
    })
}

/// Distances are defined between coordinates of equal dimension only.
fn comparable(from: &Entry, to: &Entry) -> Both {
    let same = from.coord.vec.len() == to.coord.vec.len();
    [Some(from.coord.coordinate()), Some(to.coord.coordinate()).filter(|_| same)]
}

/// Both in one area.
async fn over_wan<R: Runtime>(api: &Api<'_, R>, names: &[String]) -> Result<Both, String> {
    let mut parts = Vec::new();
    for name in names {
        match name.split('.').collect::<Vec<_>>()[..] {
            [node, datacenter] => parts.push((node.to_owned(), datacenter.to_owned())),
            _ => {
                let text = "Node names must be specified as <node name>.<datacenter> with -wan";
                return Err(text.to_owned());
            }
        }
    }
    let maps: Vec<Map> = read(api, "/v1/coordinate/datacenters")
        .await
        .map_err(|why| format!("Error getting coordinates: {why}"))?;
    let find = |(node, datacenter): &(String, String), area: Option<&str>| {
        let of = maps.iter().filter(|map| map.datacenter == *datacenter);
        of.filter(|map| area.is_none_or(|area| map.area == area))
            .flat_map(|map| map.coordinates.iter().map(|entry| (map.area.as_str(), entry)))
            .find(|(_, entry)| entry.node.eq_ignore_ascii_case(node))
    };
    let Some((area, from)) = find(&parts[0], None) else { return Ok([None, None]) };
    Ok(match find(&parts[1], Some(area)) {
        Some((_, to)) => comparable(from, to),
        None => [Some(from.coord.coordinate()), None],
    })
}
