//! The structs of `Coordinate.Update` and `Coordinate.ListDatacenters`; those of the other reads of
//! coordinates are in `catalog.rs`.
//!
//! ```text
//!   CoordinateUpdateRequest  { Coord: { Adjustment, Error, Height, Vec }, Datacenter, Node, Segment, Token }
//!   DatacenterMap            { AreaID, Coordinates: [{ Coord, Node, Segment }], Datacenter }
//! ```

use crate::agent::{DatacenterMap, Reply, Request};
use crate::wire::catalog::{read_list, text, write_list};
use crate::wire::coordinate::{read_batch, read_one, write_batch, write_numbers};
use crate::wire::msgpack::{DecodeError, Reader, Writer};

use super::Method;

/// Writes the body of a request; nothing for one of another kind.
pub(super) fn write_request(request: &Request, datacenter: &str, writer: &mut Writer<'_>) {
    match request {
        Request::CoordinateUpdate(it) => {
            writer.map(5);
            write_numbers(it, writer.key("Coord"));
            writer.key("Datacenter").str(datacenter);
            writer.key("Node").str(&it.node);
            writer.key("Segment").str(&it.segment);
            writer.key("Token").str("");
        }
        Request::CoordinateDatacenters => writer.map(0),
        _ => {}
    }
}

/// Reads the body of a request to one of these methods.
pub(super) fn read_request(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Request, DecodeError> {
    if method == Method::CoordinateListDatacenters {
        reader.skip()?;
        return Ok(Request::CoordinateDatacenters);
    }
    Ok(Request::CoordinateUpdate(Box::new(read_one(reader)?)))
}

/// Whether the reply is one to this method.
pub(super) fn fits(method: Method, reply: &Reply) -> bool {
    matches!(
        (method, reply),
        (Method::CoordinateUpdate, Reply::Done)
            | (Method::CoordinateListDatacenters, Reply::DatacenterMaps(_))
    )
}

/// Writes the body of an answer; an empty struct where there is nothing to say.
pub(super) fn write_reply(reply: &Reply, writer: &mut Writer<'_>) {
    let Reply::DatacenterMaps(maps) = reply else { return writer.map(0) };
    write_list(writer, maps, |map, writer| {
        writer.map(3);
        writer.key("AreaID").str(&map.area);
        write_batch(&map.coordinates, writer.key("Coordinates"));
        writer.key("Datacenter").str(&map.datacenter);
    });
}

/// Reads the body of an answer to one of these methods.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    if method == Method::CoordinateUpdate {
        reader.skip()?;
        return Ok(Reply::Done);
    }
    let maps = read_list(reader, |reader| {
        let mut map = DatacenterMap::default();
        reader.map(|reader, key| {
            match key {
                b"AreaID" => map.area = text(reader)?,
                b"Coordinates" => map.coordinates = read_batch(reader)?,
                b"Datacenter" => map.datacenter = text(reader)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(map)
    })?;
    Ok(Reply::DatacenterMaps(maps))
}
