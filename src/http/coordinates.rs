//! `/v1/coordinate/` (spec api 2.10): where the nodes are, by the round trips between them.

use axum::response::Response;
use hyper::StatusCode;
use serde::Serialize;

use crate::agent::{Reply, Request};
use crate::gossip::Coordinate;
use crate::http::Backend;
use crate::http::decode::Object;
use crate::http::endpoint::Call;
use crate::http::options::{Options, mismatch, unexpected};
use crate::http::reply::{self, Refusal, set_read_meta};
use crate::state::{NodeCoordinate, Query, Rows};

/// A coordinate as clients know it. Seconds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CoordinateJson {
    vec: Vec<f64>,
    error: f64,
    adjustment: f64,
    height: f64,
}

impl From<&Coordinate> for CoordinateJson {
    fn from(coordinate: &Coordinate) -> Self {
        let Coordinate { vec, error, adjustment, height } = coordinate;
        Self { vec: vec.clone(), error: *error, adjustment: *adjustment, height: *height }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EntryJson<'a> {
    node: &'a str,
    segment: &'a str,
    coord: CoordinateJson,
}

impl<'a> From<&'a NodeCoordinate> for EntryJson<'a> {
    fn from(it: &'a NodeCoordinate) -> Self {
        let coord = CoordinateJson {
            vec: it.vec.iter().map(|part| part.get()).collect(),
            error: it.error.get(),
            adjustment: it.adjustment.get(),
            height: it.height.get(),
        };
        Self { node: &it.node, segment: &it.segment, coord }
    }
}

fn refuse_when_off<B: Backend>(call: &Call<B>) -> Result<(), Refusal> {
    match call.identity().coordinates {
        true => Ok(()),
        false => Err(Refusal::new(StatusCode::UNAUTHORIZED, "Coordinate support disabled")),
    }
}

#[derive(Serialize)]
struct MapJson<'a> {
    #[serde(rename = "Datacenter")]
    datacenter: &'a str,
    #[serde(rename = "AreaID")]
    area: &'a str,
    #[serde(rename = "Coordinates")]
    coordinates: Vec<EntryJson<'a>>,
}

/// GET `datacenters`: the servers of all datacenters, as the server that answers sees them.
pub(super) async fn datacenters<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    refuse_when_off(&call)?;
    match call.backend.ask(Request::CoordinateDatacenters).await? {
        Reply::DatacenterMaps(maps) => {
            let maps: Vec<MapJson<'_>> = maps
                .iter()
                .map(|map| MapJson {
                    datacenter: &map.datacenter,
                    area: &map.area,
                    coordinates: map.coordinates.iter().map(EntryJson::from).collect(),
                })
                .collect();
            Ok(call.json(&maps))
        }
        other => Err(mismatch(&other)),
    }
}

/// GET `nodes`.
pub(super) async fn nodes<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    refuse_when_off(&call)?;
    list(call, Query::Coordinates, true).await
}

/// GET `node/NAME`. A node of which nothing is known is 404, without the headers of a read.
pub(super) async fn node<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    refuse_when_off(&call)?;
    let node = call.path.strip_prefix("/v1/coordinate/node/").unwrap_or_default().to_owned();
    list(call, Query::NodeCoordinates { node }, false).await
}

async fn list<B: Backend>(
    call: Call<B>,
    query: Query,
    may_be_empty: bool,
) -> Result<Response, Refusal> {
    let (answer, meta) = call.options()?.read(&call.backend, query).await?;
    let Rows::Coordinates(rows) = &answer.rows else { return Err(unexpected(&answer.rows)) };
    let segment = call.params.has("segment").then(|| call.params.get("segment"));
    let wanted = rows.iter().filter(|row| segment.is_none_or(|segment| row.segment == segment));
    let rows: Vec<EntryJson<'_>> = wanted.map(EntryJson::from).collect();
    if rows.is_empty() && !may_be_empty {
        return Ok(reply::empty(StatusCode::NOT_FOUND));
    }
    let mut response = call.json(&rows);
    set_read_meta(response.headers_mut(), &meta);
    Ok(response)
}

/// PUT `update`: for agents that speak for others.
pub(super) async fn update<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    refuse_when_off(&call)?;
    let read = match Object::of_body(&mut call, "CoordinateUpdateRequest").await {
        Ok(object) => from_object(&object),
        Err(why) => Err(why),
    };
    let update =
        read.map_err(|why| Refusal::bad_request(format!("Request decode failed: {why}")))?;
    let options = Options::of_datacenter(&call);
    match options.ask(&call.backend, Request::CoordinateUpdate(Box::new(update))).await? {
        Reply::Done => Ok(reply::empty(StatusCode::OK)),
        other => Err(mismatch(&other)),
    }
}

fn from_object(object: &Object) -> Result<NodeCoordinate, String> {
    let mut update = NodeCoordinate {
        node: object.text("Node")?,
        segment: object.text("Segment")?,
        ..NodeCoordinate::default()
    };
    if let Some(coordinate) = object.object("Coord", "Coordinate")? {
        update.vec = coordinate.floats("Vec")?.into_iter().map(Into::into).collect();
        update.error = coordinate.float("Error")?.into();
        update.adjustment = coordinate.float("Adjustment")?.into();
        update.height = coordinate.float("Height")?.into();
    }
    Ok(update)
}
