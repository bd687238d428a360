//! Where nodes are: a batch in a log entry, single ones in a snapshot (spec cluster 10.8).
//!
//! ```text
//!   [{ Coord: { Adjustment, Error, Height, Vec }, Node, Segment }]
//! ```

use super::catalog::{read_list, text, write_list};
use super::msgpack::{DecodeError, Reader, Writer};
use crate::state::{FloatBits, NodeCoordinate};

/// Writes a batch.
pub fn write_batch(batch: &[NodeCoordinate], writer: &mut Writer<'_>) {
    write_list(writer, batch, |it, writer| {
        writer.map(3);
        write_numbers(it, writer.key("Coord"));
        writer.key("Node").str(&it.node);
        writer.key("Segment").str(&it.segment);
    });
}

/// Writes a coordinate without its node.
pub fn write_numbers(it: &NodeCoordinate, writer: &mut Writer<'_>) {
    writer.map(4);
    writer.key("Adjustment").f64(it.adjustment.get());
    writer.key("Error").f64(it.error.get());
    writer.key("Height").f64(it.height.get());
    write_list(writer.key("Vec"), &it.vec, |number, writer| writer.f64(number.get()));
}

/// Reads one.
///
/// # Errors
/// Anything else.
pub fn read_batch(reader: &mut Reader<'_>) -> Result<Vec<NodeCoordinate>, DecodeError> {
    read_list(reader, read_one)
}

/// Reads a coordinate with its node; other fields are read over.
///
/// # Errors
/// Anything else.
pub fn read_one(reader: &mut Reader<'_>) -> Result<NodeCoordinate, DecodeError> {
    let mut it = NodeCoordinate::default();
    reader.map(|reader, key| {
        match key {
            b"Coord" => read_numbers(reader, &mut it)?,
            b"Node" => it.node = text(reader)?,
            b"Segment" => it.segment = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

/// Reads a coordinate without its node.
///
/// # Errors
/// Anything else.
pub fn read_numbers(reader: &mut Reader<'_>, into: &mut NodeCoordinate) -> Result<(), DecodeError> {
    let number = |reader: &mut Reader<'_>| reader.f64().map(FloatBits::from);
    reader.map(|reader, key| {
        match key {
            b"Adjustment" => into.adjustment = number(reader)?,
            b"Error" => into.error = number(reader)?,
            b"Height" => into.height = number(reader)?,
            b"Vec" => into.vec = read_list(reader, number)?,
            _ => reader.skip()?,
        }
        Ok(())
    })
}
