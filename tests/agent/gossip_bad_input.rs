//! What gossip says to bytes that nobody should send, in the words that memberlist and Serf log.

use std::net::SocketAddr;

use bytes::Bytes;
use proconsul::gossip::{LamportTime, Message, SequenceNumber, SerfMessage};
use proconsul::wire::gossip::{
    CODEC, EncryptionVersion, Keyring, KeyringError, PacketOptions, Problem, Reception, Seal,
    StreamDecoder, StreamMessage, StreamOptions, Unpacked, decode_packet, encode_packet,
    encode_stream,
};

fn ring(first: u8) -> Keyring {
    let mut ring = Keyring::new();
    ring.add(&[first; 32]).expect("32 bytes");
    ring
}

fn plain(bytes: &[u8]) -> Unpacked {
    decode_packet(bytes, &Reception { keyring: &Keyring::new(), verify_incoming: true })
}

fn with(ring: &Keyring, bytes: &[u8]) -> Unpacked {
    decode_packet(bytes, &Reception { keyring: ring, verify_incoming: true })
}

fn join(node: &str) -> Message {
    Message::User(SerfMessage::Join { time: LamportTime(1), node: node.into() })
}

fn encoded(messages: &[Message], options: &PacketOptions<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_packet(messages, options, &mut out);
    out
}

fn texts(unpacked: &Unpacked) -> Vec<String> {
    unpacked.problems.iter().map(ToString::to_string).collect()
}

/// Nothing but these problems.
#[track_caller]
fn assert_only(unpacked: &Unpacked, expected: &[&str]) {
    assert_eq!(unpacked.messages, []);
    assert_eq!(texts(unpacked), expected);
}

#[test]
fn layers_that_do_not_fit_are_named() {
    assert_only(&plain(b""), &["memberlist: missing message type byte"]);
    assert_only(&plain(&[6, 0x80]), &["memberlist: msg type (6) not supported"]);
    assert_only(&plain(&[77]), &["memberlist: msg type (77) not supported"]);
    let truncated = "memberlist: cannot decode label; packet has been truncated";
    assert_only(&plain(&[244]), &[truncated]);
    assert_only(&plain(&[244, 3, b'a']), &[truncated]);
    assert_only(&plain(&[244, 0, 1]), &["memberlist: label header cannot be empty when present"]);
    let other = "memberlist: discarding packet with unacceptable label \"ab\":";
    assert_only(&plain(&[244, 2, b'a', b'b', 0]), &[other]);
    assert_only(
        &plain(&[12, 0, 0, 0, 1, 11, 0x80]),
        &["memberlist: Got invalid checksum for UDP packet: 4f954814, 1"],
    );
    let failed = "memberlist: Failed to decode compound request:";
    assert_only(&plain(&[7]), &[&format!("{failed} missing compound length byte")]);
    assert_only(&plain(&[7, 2, 0, 1, 0]), &[&format!("{failed} truncated len slice")]);
}

#[test]
fn a_log_line_ends_with_the_sender_where_memberlist_says_it() {
    let from: SocketAddr = "10.0.0.2:8301".parse().expect("an address");
    let [wrong] = &plain(&[77]).problems[..] else { panic!("one problem") };
    assert_eq!(wrong.text_from(from), "msg type (77) not supported from=10.0.0.2:8301");
    assert!(wrong.is_error);
    let [wrong] = &plain(&[8, 77]).problems[..] else { panic!("one problem") };
    assert_eq!(wrong.text_from(from), "Received message of unknown type: 77");
    assert_eq!((wrong.module, wrong.is_error), ("serf", false));
}

#[test]
fn the_good_parts_of_a_compound_count() {
    let mut parts = encoded(&[join("a"), join("b"), join("c")], &PacketOptions::default());
    let second = 2 + 6 + (parts.len() - 8) / 3;
    parts[second] = 99;
    let unpacked = plain(&parts);
    assert_eq!(unpacked.messages, [join("a"), join("c")]);
    assert_eq!(texts(&unpacked), ["memberlist: msg type (99) not supported"]);
    let unpacked = plain(&parts[..parts.len() - 1]);
    assert_eq!(unpacked.messages, [join("a")]);
    let lost = "memberlist: Compound request had 1 truncated messages";
    assert_eq!(texts(&unpacked), ["memberlist: msg type (99) not supported", lost]);
    assert!(!unpacked.problems[1].is_error);
}

#[test]
fn a_body_that_cannot_be_read_is_named_after_its_message() {
    let names = [
        (0, "ping request"),
        (1, "indirect ping request"),
        (2, "ack response"),
        (3, "suspect message"),
        (4, "alive message"),
        (5, "dead message"),
        (11, "nack response"),
    ];
    for (kind, name) in names {
        let [Problem { text, .. }] = &plain(&[kind, 0x81, 0xa1]).problems[..] else {
            panic!("one problem")
        };
        let expected = format!("Failed to decode {name}: the bytes end inside a value (at byte 2)");
        assert_eq!(*text, expected);
    }
    let names = [
        (0, "leave message"),
        (1, "join message"),
        (3, "user event message"),
        (4, "query message"),
        (5, "query response message"),
        (9, "relay header"),
    ];
    for (kind, name) in names {
        let expected = format!(
            "serf: Error decoding {name}: expected a map, found type byte 0x01 (at byte 1)"
        );
        assert_only(&plain(&[8, kind, 1]), &[&expected]);
    }
    // An address that is none, a length beyond all bytes, a nest.
    let unpacked = plain(b"\x04\x81\xa4Addr\xa3abc");
    assert!(texts(&unpacked)[0].contains("the length of an address cannot be 3"));
    let unpacked = plain(b"\x02\x81\xa7Payload\xdb\xff\xff\xff\xff");
    assert!(texts(&unpacked)[0].contains("4294967295 bytes announced"));
    let nest = [&b"\x00\x81\xa1x"[..], &[0x91; 200]].concat();
    assert!(texts(&plain(&nest))[0].contains("nested deeper than 32 levels"));
    let relay = b"\x09\x81\xa8DestAddr\x81\xa2IP\xa4\x7f\0\0\x01".repeat(50);
    let unpacked = plain(&[&[8][..], &relay].concat());
    assert!(texts(&unpacked)[0].contains("nested deeper than 32 levels"));
}

#[test]
fn what_is_of_no_key_is_refused_unless_it_need_not_be_sealed() {
    let ours = ring(1);
    let seal = |ring: &Keyring, version| {
        let key = ring.primary().expect("a key").clone();
        let seal = Seal { key: &key, version, nonce: [3; 12] };
        encoded(&[join("a")], &PacketOptions { seal: Some(seal), ..PacketOptions::default() })
    };
    let failed = "memberlist: Decrypt packet failed:";
    for version in [EncryptionVersion::Plain, EncryptionVersion::Padded] {
        let sealed = seal(&ours, version);
        assert_eq!(with(&ours, &sealed).messages, [join("a")]);
        let other = format!("{failed} No installed keys could decrypt the message");
        assert_only(&with(&ring(2), &sealed), &[&other]);
        let cut = format!("{failed} payload is too small to decrypt: 28");
        assert_only(&with(&ours, &sealed[..28]), &[&cut]);
    }
    let empty = format!("{failed} cannot decrypt empty payload");
    assert_only(&with(&ours, b""), &[&empty]);
    let later = format!("{failed} unsupported encryption version 8");
    let open = encoded(&[join("a")], &PacketOptions::default());
    assert_only(&with(&ours, &open), &[&later]);
    let lenient = Reception { keyring: &ours, verify_incoming: false };
    assert_eq!(decode_packet(&open, &lenient).messages, [join("a")]);
    assert_eq!(decode_packet(&seal(&ours, EncryptionVersion::Plain), &lenient).messages.len(), 1);
}

#[test]
fn compressed_bytes_that_are_none_are_named() {
    let failed = "memberlist: Failed to decompress packet:";
    let unknown = format!("{failed} cannot decompress unknown algorithm 1");
    assert_only(&plain(b"\x09\x82\xa4Algo\x01\xa3Buf\xa0"), &[&unknown]);
    let cut = format!("{failed} unexpected EOF");
    assert_only(&plain(b"\x09\x82\xa4Algo\0\xa3Buf\xa0"), &[&cut]);
    // A code that is not yet in the table.
    let code = format!("{failed} lzw: invalid code");
    assert_only(&plain(b"\x09\x81\xa3Buf\xa4\xff\xff\xff\xff"), &[&code]);
}

/// A datagram that holds itself several times over, in layers.
fn bomb(inner: &[u8], layers: usize) -> Vec<u8> {
    let mut bytes = inner.to_vec();
    for _ in 0..layers {
        let length = (bytes.len() as u16).to_be_bytes();
        let lengths = length.repeat(255);
        bytes = [&[7, 255][..], &lengths, &bytes.repeat(255)].concat();
    }
    bytes
}

#[test]
fn datagrams_that_unfold_are_bounded() {
    let nack = encoded(&[Message::Nack(SequenceNumber(1))], &PacketOptions::default());
    let unpacked = plain(&bomb(&nack, 2));
    assert_eq!(unpacked.messages.len(), 4_096);
    assert_eq!(unpacked.problems.len(), 8);
    assert!(texts(&unpacked)[0].contains("More than 4096 messages in a packet"));
    let mut nest = nack;
    for _ in 0..20 {
        nest = [&[7, 1][..], &(nest.len() as u16).to_be_bytes(), &nest].concat();
    }
    assert!(texts(&plain(&nest))[0].contains("nest too deep"));
    // Compressed zeros: a few kilobytes become megabytes.
    let zeros =
        Message::Ack { sequence: SequenceNumber(1), payload: Some(Bytes::from(vec![0; 2 << 20])) };
    let options = PacketOptions { compress: true, ..PacketOptions::default() };
    let packed = encoded(&[zeros], &options);
    assert!(packed.len() < 10_000);
    let large = "memberlist: Failed to decompress packet: \
                 decompressed payload is larger than limit (1048576)";
    assert_only(&plain(&packed), &[large]);
}

fn stream_error(ring: &Keyring, bytes: &[u8]) -> String {
    let reception = Reception { keyring: ring, verify_incoming: true };
    let decoded = StreamDecoder::new().decode(bytes, &reception);
    decoded.map(|it| format!("{it:?}")).expect_err("it is wrong").to_string()
}

#[test]
fn streams_are_judged_by_what_they_announce() {
    let (none, ours) = (Keyring::new(), ring(1));
    assert_eq!(
        stream_error(&ours, &[10, 1, 0x40, 0, 1]),
        "remote node state is larger than limit (20971521)"
    );
    let not_configured = "Remote state is encrypted and encryption is not configured";
    assert_eq!(stream_error(&none, &[10]), not_configured);
    let not_encrypted = "Encryption is configured but remote state is not encrypted";
    assert_eq!(stream_error(&ours, &[6]), not_encrypted);
    assert_eq!(stream_error(&none, &[3, 0x80]), "received invalid msgType (3)");
    assert_eq!(
        stream_error(&none, b"\xf4\x01x"),
        "discarding stream with unacceptable label \"x\""
    );
    assert_eq!(stream_error(&none, &[244, 0]), "label header cannot be empty when present");
    let many = b"\x06\x81\xa5Nodes\xce\x00\x10\x00\x01";
    assert!(stream_error(&none, many).ends_with("more members than limit (1048577)"));
    let negative = b"\x06\x81\xa5Nodes\xff";
    assert!(stream_error(&none, negative).starts_with("the number of members cannot be -1"));
    let long = b"\x06\x81\xacUserStateLen\xce\x01\x40\x00\x01";
    assert_eq!(stream_error(&none, long), "remote node state is larger than limit (20971521)");
    let endless = [&b"\x00\x81\xa1x\xdb\x01\0\0\0"[..], &[0; 70_000]].concat();
    assert!(stream_error(&none, &endless).starts_with("remote node state is larger than limit"));
}

#[test]
fn a_frame_of_another_key_or_length_is_refused() {
    let (ours, other) = (ring(1), ring(2));
    let key = ours.primary().expect("a key");
    let seal = Some(Seal { key, version: EncryptionVersion::Plain, nonce: [0; 12] });
    let mut out = Vec::new();
    let message = StreamMessage::Error("no".to_owned());
    encode_stream(&message, &StreamOptions { compress: false, seal }, &mut out);
    let refused = "No installed keys could decrypt the message";
    assert_eq!(stream_error(&other, &out), refused);
    // The length is part of what is sealed.
    let mut longer = [&out[..], &[0]].concat();
    longer[4] += 1;
    assert_eq!(stream_error(&ours, &longer), refused);
}

#[test]
fn members_count_though_serf_cannot_read_its_state() {
    let node = b"\x83\xa4Addr\xa4\x7f\0\0\x01\xa4Name\xa1a\xa5State\x02";
    let odd = b"\x82\xa4Addr\xa4\x7f\0\0\x01\xa5State\x09";
    let head = b"\x06\x82\xa5Nodes\x02\xacUserStateLen\x02";
    let bytes = [&head[..], node, odd, &[3, 0x80]].concat();
    let none = Keyring::new();
    let reception = Reception { keyring: &none, verify_incoming: true };
    let received = StreamDecoder::new().decode(&bytes, &reception).expect("fine").expect("whole");
    let StreamMessage::PushPull(state) = received.message else { panic!("a push/pull") };
    // A state of another number is passed over.
    assert_eq!((state.nodes.len(), state.user), (1, None));
    let texts: Vec<String> = received.problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["serf: Remote state has bad type prefix: 3"]);
}

#[test]
fn tags_without_the_mark_are_a_role() {
    let role = |meta: &[u8]| (CODEC.decode_tags)(meta).0;
    assert_eq!(role(b"web"), [("role".to_owned(), "web".to_owned())]);
    assert_eq!(role(b""), [("role".to_owned(), String::new())]);
    assert_eq!(role(b"\xff\x81"), []);
    assert_eq!(role(b"\xff\x82\xa1a\xa1b\xa1a\xa1c"), [("a".to_owned(), "c".to_owned())]);
    assert_eq!((CODEC.decode_coordinate)(b"\x02\x80"), None);
}

#[test]
fn a_keyring_says_what_it_does_not_do() {
    let mut ours = ring(1);
    let said = |it: Result<(), KeyringError>| it.expect_err("it is refused").to_string();
    assert_eq!(said(ours.add(b"short")), "key size must be 16, 24 or 32 bytes");
    assert_eq!(said(ours.make_primary(&[9; 16])), "requested key is not in the keyring");
    assert_eq!(said(ours.remove(&[1; 32])), "removing the primary key is not allowed");
    assert_eq!(ours.remove(&[9; 16]), Ok(()));
    assert_eq!(format!("{ours:?}"), "Keyring { keys: [Key of 32 bytes] }");
    let file = |text| Keyring::from_file_text(text).expect_err("no keyring").to_string();
    assert_eq!(file("[]"), "no keys present in keyring file");
    assert!(file("{}").starts_with("error unmarshaling keyring: "));
    assert!(file("[\"?\"]").starts_with("failed to decode key from keyring: "));
    assert_eq!(
        file("[\"AAAA\"]"),
        "failed to restore keyring: key size must be 16, 24 or 32 bytes"
    );
    let text = ours.to_file_text();
    assert_eq!(text, "[\n  \"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\"\n]");
}

#[test]
fn more_than_one_compound_holds_goes_into_another_datagram() {
    let messages: Vec<Message> = (0..300).map(|it| Message::Nack(SequenceNumber(it))).collect();
    let mut out = Vec::new();
    assert_eq!(encode_packet(&messages, &PacketOptions::default(), &mut out), 255);
    assert_eq!(plain(&out).messages, messages[..255]);
    // A part that no datagram could carry is left out.
    let long = join(&"n".repeat(70_000));
    let out = encoded(&[join("a"), long, join("b")], &PacketOptions::default());
    assert_eq!(plain(&out).messages, [join("a"), join("b")]);
}
