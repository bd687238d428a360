//! Gossip: datagrams, streams, what Serf and its keys put into them. Promised of all:
//!
//! * No panic; a problem or an error for what cannot be read.
//! * Memory in proportion to the input, or to the bound on what it unfolds to.
//! * What decodes encodes, to bytes that decode to the same.

use proconsul::gossip::Message;
use proconsul::wire::gossip::{
    CODEC, EncryptionVersion, Key, Keyring, PacketOptions, Problem, Reception, Seal, StreamDecoder,
    StreamError, StreamMessage, StreamOptions, decode_conflict_response, decode_key_request,
    decode_key_response, decode_packet, decode_serf, encode_conflict_response, encode_key_request,
    encode_key_response, encode_packet, encode_serf, encode_stream, open,
};

use super::Target;
use super::targets::way;
use crate::gossip_vectors::{keyring, raw, vectors};
use crate::wire_vectors::hex;

pub const ALL: &[Target] = &[
    Target { name: "gossip_packet", run: packet, corpus: packets },
    Target { name: "gossip_sealed", run: sealed, corpus: packets },
    Target { name: "gossip_stream", run: stream, corpus: streams },
    Target { name: "gossip_serf", run: serf, corpus: serf_messages },
    Target { name: "gossip_tags", run: tags, corpus: metas },
    Target { name: "coordinate", run: coordinate, corpus: coordinates },
    Target { name: "keyring_file", run: keyring_file, corpus: keyring_files },
    Target { name: "key_payload", run: key_payload, corpus: key_payloads },
];

static NO_KEYS: Keyring = Keyring::new();
const OPEN: Reception<'_> = Reception { keyring: &NO_KEYS, verify_incoming: true };

/// Messages that one datagram may unfold to.
const MESSAGES: usize = 4_096;

/// The plain bytes of all captured datagrams, and the sealed ones as they came.
fn packets() -> Vec<Vec<u8>> {
    let udp = vectors().into_iter().filter(|it| it["transport"] == "udp");
    let mut all: Vec<Vec<u8>> =
        udp.flat_map(|it| [Some(raw(&it)), it["plain_hex"].as_str().map(hex)]).flatten().collect();
    // A label, a compound in a compound, a bomb of parts without bytes.
    all.push([&[244, 3][..], b"abc", &all[2]].concat());
    all.push(vec![7, 1, 0, 4, 7, 1, 0, 0]);
    all.push([&[7, 255][..], &[0; 510]].concat());
    all
}

fn streams() -> Vec<Vec<u8>> {
    let tcp = vectors().into_iter().filter(|it| it["transport"] == "tcp");
    let mut all: Vec<Vec<u8>> = Vec::new();
    for vector in tcp {
        all.push(raw(&vector));
        all.extend(vector["decoded"]["plain_hex"].as_str().map(hex));
        // The header of a mutator's changes breaks every compressed one; plain ones are short enough.
        let ring = keyring(&vector);
        let reception = Reception { keyring: &ring, verify_incoming: true };
        let whole = StreamDecoder::new().decode(&raw(&vector), &reception);
        if let Ok(Some(received)) = whole {
            let mut plain = Vec::new();
            encode_stream(&received.message, &StreamOptions::default(), &mut plain);
            all.push(plain);
        }
    }
    let join = decode_serf(b"\x01\x82\xa5LTime\x01\xa4Node\xa1a").expect("a join");
    for message in [StreamMessage::User(join), StreamMessage::Error("no".to_owned())] {
        let mut out = Vec::new();
        encode_stream(&message, &StreamOptions::default(), &mut out);
        all.push(out);
    }
    all
}

fn captured_messages() -> Vec<Message> {
    let decoded = |vector: &serde_json::Value| {
        let ring = keyring(vector);
        decode_packet(&raw(vector), &Reception { keyring: &ring, verify_incoming: true }).messages
    };
    vectors().iter().filter(|it| it["transport"] == "udp").flat_map(decoded).collect()
}

fn serf_messages() -> Vec<Vec<u8>> {
    let encoded = |message| match message {
        Message::User(message) => {
            let mut out = Vec::new();
            encode_serf(&message, &mut out);
            Some(out)
        }
        _ => None,
    };
    let mut all: Vec<Vec<u8>> = captured_messages().into_iter().filter_map(encoded).collect();
    // No captured query has filters.
    let mut filtered =
        b"\x04\x82\xa4Addr\xa4\x7f\0\0\x01\xa7Filters\x92\xa5\0\x92\xa1a\xa1b".to_vec();
    filtered.extend(b"\xae\x01\x82\xa4Expr\xa1x\xa3Tag\xa1y");
    all.push(filtered);
    all
}

fn metas() -> Vec<Vec<u8>> {
    let meta = |message| match message {
        Message::Alive(alive) => Some(alive.meta.to_vec()),
        _ => None,
    };
    captured_messages().into_iter().filter_map(meta).collect()
}

fn coordinates() -> Vec<Vec<u8>> {
    let payload = |message| match message {
        Message::Ack { payload, .. } => payload.map(|it| it.to_vec()),
        _ => None,
    };
    captured_messages().into_iter().filter_map(payload).collect()
}

fn keyring_files() -> Vec<Vec<u8>> {
    let texts = [
        r#"["AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]"#,
        "[]",
        "null",
        "[\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\"\n]",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

fn key_payloads() -> Vec<Vec<u8>> {
    vec![
        b"\x07\x81\xa3Key\xb00123456789abcdef".to_vec(),
        b"\x08\x84\xa4Keys\x91\xa4AAEC\xa7Message\xa0\xaaPrimaryKey\xa0\xa6Result\xc3".to_vec(),
        b"\x06\x85\xa4Addr\xa4\x7f\0\0\x01\xa4Name\xa1a\xa4Port\x01\xa6Status\x01\xa4Tags\x81\xa1a\xa1b"
            .to_vec(),
    ]
}

/// Which kinds of messages, at most one of each: what stands for the way that was taken.
fn kinds(messages: &[Message]) -> String {
    let mut kinds: Vec<String> = messages
        .iter()
        .map(|it| format!("{it:?}").split(['(', ' ']).next().unwrap_or_default().to_owned())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.join(" ")
}

/// A problem without the sums that it tells.
fn told(problem: &Problem) -> String {
    way(&problem.text.split("packet: ").next().unwrap_or_default())
}

fn packet(bytes: &[u8]) -> String {
    let unpacked = decode_packet(bytes, &OPEN);
    assert!(unpacked.messages.len() <= MESSAGES && unpacked.problems.len() <= 8);
    for message in &unpacked.messages {
        let mut out = Vec::new();
        let options = PacketOptions { compress: true, checksum: true, seal: None };
        encode_packet(std::slice::from_ref(message), &options, &mut out);
        let back = decode_packet(&out, &OPEN);
        assert_eq!((back.messages.as_slice(), back.problems.len()), (&[message.clone()][..], 0));
        let mut plain = Vec::new();
        encode_packet(std::slice::from_ref(message), &PacketOptions::default(), &mut plain);
        assert_eq!((CODEC.message_len)(message), plain.len());
    }
    format!(
        "{} {}",
        kinds(&unpacked.messages),
        unpacked.problems.first().map_or_else(String::new, told)
    )
}

fn sealed(bytes: &[u8]) -> String {
    let mut ring = Keyring::new();
    for length in [32, 16, 24] {
        let key: Vec<u8> = (0..length).collect();
        ring.add(&key).expect("of a good size");
    }
    let reception = Reception { keyring: &ring, verify_incoming: true };
    let as_it_is = decode_packet(bytes, &reception);
    // A key of any length, padded or not: sealed, it is the same datagram.
    let key: &Key = &ring.keys()[bytes.len() % 3];
    let versions = [EncryptionVersion::Padded, EncryptionVersion::Plain];
    let version = versions[bytes.len() / 3 % 2];
    let seal = Seal { key, version, nonce: [7; 12] };
    let mut sealed = seal.seal(bytes, b"");
    assert_eq!(sealed.len(), version.sealed_len(bytes.len()));
    assert_eq!(open(ring.keys(), &sealed, b"").as_deref(), Ok(bytes));
    // Inside there is no label any more.
    if bytes.first() != Some(&244) {
        assert_eq!(decode_packet(&sealed, &reception), decode_packet(bytes, &OPEN));
    }
    // The version is not part of what is sealed: only padding would tell.
    let sum: usize = bytes.iter().map(|byte| 31 * usize::from(*byte)).sum();
    let at = 1 + sum % (sealed.len() - 1);
    sealed[at] ^= 1 << (at % 8);
    assert!(open(ring.keys(), &sealed, b"").is_err(), "changed at {at}");
    as_it_is.problems.first().map_or_else(|| kinds(&as_it_is.messages), told)
}

fn stream(bytes: &[u8]) -> String {
    let received = match StreamDecoder::new().decode(bytes, &OPEN) {
        Err(error) => return way(&error),
        Ok(None) => {
            let cut = bytes.len() / 2;
            assert_eq!(StreamDecoder::new().decode(&bytes[..cut], &OPEN), Ok(None), "cut at {cut}");
            return "not yet".to_owned();
        }
        Ok(Some(received)) => received,
    };
    let used = received.used;
    assert!(0 < used && used <= bytes.len());
    // In pieces it is the same as at once.
    let mut decoder = StreamDecoder::new();
    for cut in [1, used / 3, used / 2, used - 1] {
        assert_eq!(decoder.decode(&bytes[..cut], &OPEN), Ok(None), "cut at {cut} of {used}");
    }
    assert_eq!(decoder.decode(&bytes[..used], &OPEN), Ok(Some(received.clone())));
    for compress in [false, true] {
        let mut out = Vec::new();
        encode_stream(&received.message, &StreamOptions { compress, seal: None }, &mut out);
        match StreamDecoder::new().decode(&out, &OPEN) {
            Ok(Some(back)) => assert_eq!(back.message, received.message),
            // What says a name twice as long in old form than it came in may exceed a limit.
            Err(StreamError::TooLarge(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let name = format!("{:?}", received.message);
    let name = name.split(['(', ' ']).next().unwrap_or_default();
    format!("{name} {}", received.problems.first().map_or_else(String::new, way))
}

fn serf(bytes: &[u8]) -> String {
    match decode_serf(bytes) {
        Err(problem) => way(&problem),
        Ok(message) => {
            let mut out = Vec::new();
            encode_serf(&message, &mut out);
            assert_eq!(decode_serf(&out), Ok(message.clone()));
            format!("{message:?}").split(['(', ' ']).next().unwrap_or_default().to_owned()
        }
    }
}

fn tags(bytes: &[u8]) -> String {
    let tags = (CODEC.decode_tags)(bytes);
    let content: usize = tags.0.iter().map(|(name, value)| name.len() + value.len()).sum();
    // A byte that is no text becomes a sign of three.
    assert!(content <= 3 * bytes.len() + 4);
    assert_eq!((CODEC.decode_tags)(&(CODEC.encode_tags)(&tags)), tags);
    format!("{} {}", tags.0.len().min(20), bytes.first() == Some(&0xff))
}

fn coordinate(bytes: &[u8]) -> String {
    match (CODEC.decode_coordinate)(bytes) {
        None => "none".to_owned(),
        Some(coordinate) => {
            assert!(coordinate.vec.len() <= bytes.len());
            let encoded = (CODEC.encode_coordinate)(&coordinate);
            let back = (CODEC.decode_coordinate)(&encoded).expect("ours");
            assert_eq!((CODEC.encode_coordinate)(&back), encoded, "bits stay");
            format!("{}", coordinate.vec.len().min(9))
        }
    }
}

fn keyring_file(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return "no text".to_owned() };
    match Keyring::from_file_text(text) {
        Err(error) => way(&error),
        Ok(ring) => {
            assert_eq!(Keyring::from_file_text(&ring.to_file_text()), Ok(ring.clone()));
            format!("{} keys", ring.keys().len())
        }
    }
}

fn key_payload(bytes: &[u8]) -> String {
    let request = decode_key_request(bytes).map(|it| {
        assert_eq!(decode_key_request(&encode_key_request(&it)), Ok(it));
    });
    let response = decode_key_response(bytes).map(|it| {
        assert!(it.keys.len() <= bytes.len());
        assert_eq!(decode_key_response(&encode_key_response(&it)), Ok(it));
    });
    let conflict = decode_conflict_response(bytes).map(|it| {
        assert_eq!(decode_conflict_response(&encode_conflict_response(&it)), Ok(it));
    });
    let shown = |it: Result<(), _>| it.map_or_else(|error| way(&error), |()| "read".to_owned());
    format!("{} / {} / {}", shown(request), shown(response), shown(conflict))
}
