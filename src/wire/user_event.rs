//! The payload of a user event of Consul's (spec cluster 10.9): what travels as Serf's `consul:event:NAME`.
//!
//! ```text
//!   { ID, n: name, [nf: node filter], [p: payload], [sf: service filter], [tf: tag filter], v: version }
//! ```
//!
//! Names in brackets are left out when empty. Consul writes it with its codec's `WriteExt`, in which
//! strings of 32 to 255 bytes have a marker of one length byte and byte slices are messagepack's
//! binaries; nothing else between agents does. Every form is read, as everywhere.

use bytes::Bytes;

use crate::agent::FiredEvent;
use crate::base::ids::is_uuid;

use super::msgpack::{DecodeError, Fault, Reader, Writer};

/// Markers of messagepack 5 that the old dialect does not have.
const STR8: u8 = 0xd9;
const BIN8: u8 = 0xc4;
const BIN16: u8 = 0xc5;
const BIN32: u8 = 0xc6;

/// The payload; the event's Lamport time is Serf's.
#[must_use]
pub fn encode(event: &FiredEvent) -> Bytes {
    let filters = [&event.node_filter, &event.service_filter, &event.tag_filter];
    let optional = filters.iter().filter(|filter| !filter.is_empty()).count();
    let payload = usize::from(!event.payload.is_empty());
    let mut out = Vec::with_capacity(64 + event.name.len() + event.payload.len());
    let mut writer = Writer::new(&mut out);
    writer.map(3 + optional + payload);
    text("ID", &event.id, &mut writer);
    text("n", &event.name, &mut writer);
    filter("nf", &event.node_filter, &mut writer);
    if !event.payload.is_empty() {
        writer.key("p");
        binary(&event.payload, &mut writer);
    }
    filter("sf", &event.service_filter, &mut writer);
    filter("tf", &event.tag_filter, &mut writer);
    writer.key("v").uint(event.version);
    out.into()
}

fn filter(key: &str, value: &str, writer: &mut Writer<'_>) {
    if !value.is_empty() {
        text(key, value, writer);
    }
}

fn text(key: &str, value: &str, writer: &mut Writer<'_>) {
    writer.key(key);
    match u8::try_from(value.len()) {
        Ok(length) if length >= 32 => {
            writer.value(&[STR8, length]);
            writer.value(value.as_bytes());
        }
        _ => writer.str(value),
    }
}

fn binary(value: &[u8], writer: &mut Writer<'_>) {
    if let Ok(length) = u8::try_from(value.len()) {
        writer.value(&[BIN8, length]);
    } else if let Ok(length) = u16::try_from(value.len()) {
        writer.value(&[BIN16]);
        writer.value(&length.to_be_bytes());
    } else {
        let length = u32::try_from(value.len()).expect("a front end takes no body of 4 GiB");
        writer.value(&[BIN32]);
        writer.value(&length.to_be_bytes());
    }
    writer.value(value);
}

/// Reads a payload. The time is left at zero.
///
/// # Errors
/// Not messagepack, or an id that is not a UUID: the index of lists is made of it.
pub fn decode(payload: &[u8]) -> Result<FiredEvent, DecodeError> {
    let mut reader = Reader::new(payload);
    let mut event = FiredEvent::default();
    reader.map(|reader, key| {
        match key {
            b"ID" => event.id = reader.str()?.to_owned(),
            b"n" => event.name = reader.str()?.to_owned(),
            b"p" => event.payload = Bytes::copy_from_slice(reader.bytes()?),
            b"nf" => event.node_filter = reader.str()?.to_owned(),
            b"sf" => event.service_filter = reader.str()?.to_owned(),
            b"tf" => event.tag_filter = reader.str()?.to_owned(),
            b"v" => event.version = reader.u64()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    if !is_uuid(&event.id) {
        let text = event.id.chars().take(64).collect();
        return Err(reader.error(Fault::Text { what: "the id of a user event", text }));
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> FiredEvent {
        FiredEvent {
            id: "b54fe110-7af5-cafc-d1fb-afc8ba432b1c".to_owned(),
            name: "deploy".to_owned(),
            version: 1,
            ..FiredEvent::default()
        }
    }

    #[test]
    fn empty_fields_are_left_out_and_ids_have_one_length_byte() {
        let bytes = encode(&event());
        let mut expected = vec![0x83, 0xa2, b'I', b'D', STR8, 36];
        expected.extend_from_slice(b"b54fe110-7af5-cafc-d1fb-afc8ba432b1c");
        expected.extend_from_slice(&[0xa1, b'n', 0xa6]);
        expected.extend_from_slice(b"deploy");
        expected.extend_from_slice(&[0xa1, b'v', 1]);
        assert_eq!(bytes, expected);
        assert_eq!(decode(&bytes), Ok(event()));
    }

    #[test]
    fn payloads_of_all_lengths_come_back() {
        for length in [1, 31, 255, 256, 70_000] {
            let payload = Bytes::from(vec![7; length]);
            let filters = "n".repeat(length);
            let sent = FiredEvent {
                payload,
                node_filter: filters.clone(),
                service_filter: filters,
                tag_filter: "v1".to_owned(),
                ..event()
            };
            assert_eq!(decode(&encode(&sent)), Ok(sent));
        }
    }

    #[test]
    fn an_id_that_is_no_uuid_is_refused() {
        let mut odd = event();
        odd.id = "b54fe110".to_owned();
        let refused = decode(&encode(&odd)).expect_err("it is no UUID");
        assert!(refused.to_string().contains("the id of a user event"), "{refused}");
    }
}
