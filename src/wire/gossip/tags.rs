//! What is opaque to memberlist: tags in a member's meta (spec cluster 2.3), a coordinate in an ack's
//! payload (spec cluster 2.17).

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::gossip::{Coordinate, Tags};
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer};

/// Stands before encoded tags.
const TAGS: u8 = 0xff;
/// Stands before a coordinate: the version of Serf's ping delegate.
const PING_VERSION: u8 = 1;

pub(super) fn encode_tags(tags: &Tags) -> Bytes {
    let mut out = vec![TAGS];
    let mut writer = Writer::new(&mut out);
    writer.map(tags.0.len());
    for (name, value) in &tags.0 {
        writer.key(name).str(value);
    }
    out.into()
}

pub(super) fn decode_tags(meta: &[u8]) -> Tags {
    let Some(encoded) = meta.strip_prefix(&[TAGS]) else {
        let role = String::from_utf8_lossy(meta).into_owned();
        return Tags(vec![("role".to_owned(), role)]);
    };
    read_tags(&mut Reader::new(encoded)).unwrap_or_default()
}

/// A map of strings. A name that comes again has its last value, as in Go.
pub(super) fn read_tags(reader: &mut Reader<'_>) -> Result<Tags, DecodeError> {
    let mut tags = Tags::default();
    let mut places = BTreeMap::new();
    reader.map(|reader, name| {
        let place = *places.entry(name).or_insert(tags.0.len());
        let value = reader.str()?.to_owned();
        match tags.0.get_mut(place) {
            Some((_, known)) => *known = value,
            None => {
                let name = std::str::from_utf8(name).map_err(|_| reader.error(Fault::NotUtf8))?;
                tags.0.push((name.to_owned(), value));
            }
        }
        Ok(())
    })?;
    Ok(tags)
}

pub(super) fn encode_coordinate(coordinate: &Coordinate) -> Bytes {
    // Eight dimensions take 130 bytes.
    let mut out = Vec::with_capacity(58 + 9 * coordinate.vec.len());
    out.push(PING_VERSION);
    let mut writer = Writer::new(&mut out);
    writer.map(4);
    writer.key("Adjustment").f64(coordinate.adjustment);
    writer.key("Error").f64(coordinate.error);
    writer.key("Height").f64(coordinate.height);
    writer.key("Vec").array(coordinate.vec.len());
    for dimension in &coordinate.vec {
        writer.f64(*dimension);
    }
    out.into()
}

pub(super) fn decode_coordinate(payload: &[u8]) -> Option<Coordinate> {
    let encoded = payload.strip_prefix(&[PING_VERSION])?;
    read_coordinate(&mut Reader::new(encoded)).ok()
}

fn read_coordinate(reader: &mut Reader<'_>) -> Result<Coordinate, DecodeError> {
    let mut coordinate = Coordinate { vec: Vec::new(), error: 0.0, adjustment: 0.0, height: 0.0 };
    reader.map(|reader, key| {
        match key {
            b"Adjustment" => coordinate.adjustment = reader.f64()?,
            b"Error" => coordinate.error = reader.f64()?,
            b"Height" => coordinate.height = reader.f64()?,
            b"Vec" => {
                coordinate.vec.clear();
                reader.array(|reader| {
                    coordinate.vec.push(reader.f64()?);
                    Ok(())
                })?;
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(coordinate)
}
