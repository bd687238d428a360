//! Every message of gossip there and back, in whatever shape; the keyring against a simple model.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use proconsul::base::NodeName;
use proconsul::gossip::{
    Accusation, Alive, Coordinate, EventSlot, Incarnation, IndirectPing, LamportTime, MemberState,
    MemberView, Message, NodeState, Ping, PushPull, Query, QueryFilter, QueryResponse, Relay,
    SequenceNumber, SerfMessage, SerfState, Source, Status, Tags, UserEvent, Versions,
};
use proconsul::wire::gossip::{
    CODEC, EncryptionVersion, KeyRequest, KeyResponse, Keyring, KeyringError, PacketOptions,
    Reception, Seal, StreamDecoder, StreamMessage, StreamOptions, decode_conflict_response,
    decode_key_request, decode_key_response, decode_packet, encode_conflict_response,
    encode_key_request, encode_key_response, encode_packet, encode_stream,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = NodeName> {
    "[a-zé.-]{1,40}".prop_map(NodeName::from)
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|it| IpAddr::from(it).to_canonical()),
    ]
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

fn payload() -> impl Strategy<Value = Option<Bytes>> {
    option::of(bytes(300))
}

fn time() -> impl Strategy<Value = LamportTime> {
    any::<u64>().prop_map(LamportTime)
}

fn versions() -> impl Strategy<Value = Versions> {
    option::of(any::<[u8; 6]>())
}

fn source() -> impl Strategy<Value = Source> {
    (option::of(ip()), any::<u16>(), option::of(name())).prop_map(|(addr, port, node)| Source {
        addr,
        port,
        node,
    })
}

fn sequence() -> impl Strategy<Value = SequenceNumber> {
    any::<u32>().prop_map(SequenceNumber)
}

fn accusation() -> impl Strategy<Value = Accusation> {
    (any::<u32>(), name(), name()).prop_map(|(incarnation, node, from)| Accusation {
        incarnation: Incarnation(incarnation),
        node,
        from,
    })
}

fn ping() -> impl Strategy<Value = Ping> {
    (sequence(), name(), source()).prop_map(|(sequence, node, source)| Ping {
        sequence,
        node,
        source,
    })
}

fn indirect_ping() -> impl Strategy<Value = IndirectPing> {
    (sequence(), ip(), any::<u16>(), name(), any::<bool>(), source()).prop_map(
        |(sequence, target, port, node, nack, source)| IndirectPing {
            sequence,
            target,
            port,
            node,
            nack,
            source,
        },
    )
}

fn alive() -> impl Strategy<Value = Alive> {
    (any::<u32>(), name(), ip(), any::<u16>(), bytes(512), versions()).prop_map(
        |(incarnation, node, addr, port, meta, versions)| Alive {
            incarnation: Incarnation(incarnation),
            node,
            addr,
            port,
            meta,
            versions,
        },
    )
}

fn filter() -> impl Strategy<Value = QueryFilter> {
    prop_oneof![
        vec(name(), 0..20).prop_map(QueryFilter::Nodes),
        ("[a-z]{0,40}", ".{0,40}")
            .prop_map(|(tag, expression)| QueryFilter::Tag { tag, expression }),
        bytes(40).prop_map(|rest| QueryFilter::Unknown([&[7][..], &rest].concat().into())),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let who = (ip(), any::<u16>(), option::of(name()), option::of(vec(filter(), 0..4)));
    let how = (any::<u32>(), any::<u8>(), any::<i64>(), ".{0,40}", payload());
    (time(), any::<u32>(), who, how).prop_map(|(time, id, who, how)| Query {
        time,
        id,
        addr: who.0,
        port: who.1,
        source_node: who.2,
        filters: who.3,
        flags: how.0,
        relay_factor: how.1,
        timeout_ns: how.2,
        name: how.3,
        payload: how.4,
    })
}

fn plain_serf() -> impl Strategy<Value = SerfMessage> {
    let event = (time(), ".{0,40}", payload(), any::<bool>())
        .prop_map(|(time, name, payload, coalesce)| UserEvent { time, name, payload, coalesce });
    let response = (time(), any::<u32>(), name(), any::<u32>(), payload()).prop_map(
        |(time, id, from, flags, payload)| QueryResponse { time, id, from, flags, payload },
    );
    prop_oneof![
        (time(), name(), any::<bool>()).prop_map(|(time, node, prune)| SerfMessage::Leave {
            time,
            node,
            prune
        }),
        (time(), name()).prop_map(|(time, node)| SerfMessage::Join { time, node }),
        event.prop_map(SerfMessage::UserEvent),
        query().prop_map(SerfMessage::Query),
        response.prop_map(SerfMessage::QueryResponse),
    ]
}

fn serf() -> impl Strategy<Value = SerfMessage> {
    plain_serf().prop_recursive(3, 3, 1, |inner| {
        (ip(), any::<u16>(), option::of(name()), inner).prop_map(|(ip, port, to_node, message)| {
            let to = SocketAddr::new(ip, port);
            SerfMessage::Relay(Relay { to, to_node, message: Box::new(message) })
        })
    })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        ping().prop_map(Message::Ping),
        indirect_ping().prop_map(Message::IndirectPing),
        (sequence(), payload()).prop_map(|(sequence, payload)| Message::Ack { sequence, payload }),
        sequence().prop_map(Message::Nack),
        accusation().prop_map(Message::Suspect),
        alive().prop_map(Message::Alive),
        accusation().prop_map(Message::Dead),
        serf().prop_map(Message::User),
    ]
}

fn node_state() -> impl Strategy<Value = NodeState> {
    let state = prop_oneof![
        Just(MemberState::Alive),
        Just(MemberState::Suspect),
        Just(MemberState::Dead),
        Just(MemberState::Left)
    ];
    (alive(), state).prop_map(|(alive, state)| NodeState {
        node: alive.node,
        addr: alive.addr,
        port: alive.port,
        meta: alive.meta,
        incarnation: alive.incarnation,
        state,
        versions: alive.versions,
    })
}

fn serf_state() -> impl Strategy<Value = SerfState> {
    let slot = (0_usize..60, time(), vec((".{0,40}", payload()), 0..4));
    let slots = vec(slot, 0..5).prop_map(|mut slots| {
        slots.sort_by_key(|(slot, ..)| *slot);
        slots.dedup_by_key(|(slot, ..)| *slot);
        let slot = |(slot, time, events)| EventSlot { slot, time, events };
        slots.into_iter().map(slot).collect::<Vec<_>>()
    });
    let members = (vec((name(), time()), 0..40), vec(name(), 0..20));
    (time(), time(), time(), members, slots).prop_map(
        |(time, event_time, query_time, who, events)| SerfState {
            time,
            status_times: who.0,
            left_members: who.1,
            event_time,
            event_slots: 64,
            events,
            query_time,
        },
    )
}

fn stream_message() -> impl Strategy<Value = StreamMessage> {
    let state = (any::<bool>(), vec(node_state(), 0..30), option::of(serf_state()));
    prop_oneof![
        ping().prop_map(StreamMessage::Ping),
        (sequence(), payload())
            .prop_map(|(sequence, payload)| StreamMessage::Ack { sequence, payload }),
        state.prop_map(|(join, nodes, user)| {
            StreamMessage::PushPull(PushPull { join, nodes, user })
        }),
        serf().prop_map(StreamMessage::User),
        ".{0,200}".prop_map(StreamMessage::Error),
    ]
}

fn tags() -> impl Strategy<Value = Tags> {
    proptest::collection::btree_map("[a-z_]{0,12}", ".{0,40}", 0..20)
        .prop_map(|tags| Tags(tags.into_iter().rev().collect()))
}

fn ring() -> Keyring {
    let mut ring = Keyring::new();
    for length in [24, 16, 32] {
        ring.add(&vec![length; length.into()]).expect("of a good size");
    }
    ring
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 128, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn datagrams_come_back(
        messages in vec(message(), 1..12),
        (compress, checksum) in any::<(bool, bool)>(),
        which in 0_usize..4,
        padded in any::<bool>(),
        nonce in any::<[u8; 12]>(),
    ) {
        let ring = if which == 3 { Keyring::new() } else { ring() };
        let version = if padded { EncryptionVersion::Padded } else { EncryptionVersion::Plain };
        let seal = ring.keys().get(which).map(|key| Seal { key, version, nonce });
        let options = PacketOptions { compress, checksum, seal };
        let mut out = Vec::new();
        prop_assert_eq!(encode_packet(&messages, &options, &mut out), messages.len());
        let reception = Reception { keyring: &ring, verify_incoming: true };
        let back = decode_packet(&out, &reception);
        prop_assert_eq!(back.problems, []);
        prop_assert_eq!(&back.messages, &messages);
        let lengths: usize = messages.iter().map(CODEC.message_len).sum();
        let layers = if messages.len() > 1 { 2 + 2 * messages.len() } else { 0 }
            + if checksum { 5 } else { 0 };
        let sealing = if which == 3 { 0 } else { version.overhead() };
        prop_assert!(out.len() <= lengths + layers + sealing);
        if !compress && !padded {
            prop_assert_eq!(out.len(), lengths + layers + sealing);
        }
    }

    #[test]
    fn streams_come_back(
        message in stream_message(),
        compress in any::<bool>(),
        which in 0_usize..4,
        padded in any::<bool>(),
        cuts in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let ring = if which == 3 { Keyring::new() } else { ring() };
        let version = if padded { EncryptionVersion::Padded } else { EncryptionVersion::Plain };
        let seal = ring.keys().get(which).map(|key| Seal { key, version, nonce: [9; 12] });
        let mut out = Vec::new();
        encode_stream(&message, &StreamOptions { compress, seal }, &mut out);
        let whole = out.len();
        out.extend(b"what comes later");
        let reception = Reception { keyring: &ring, verify_incoming: true };
        let mut decoder = StreamDecoder::new();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole)).collect();
        cuts.sort_unstable();
        for cut in cuts {
            prop_assert_eq!(decoder.decode(&out[..cut], &reception), Ok(None));
        }
        let received = decoder.decode(&out, &reception).expect("ours").expect("whole");
        prop_assert_eq!((received.message, received.used), (message, whole));
        prop_assert_eq!(received.problems, []);
    }

    #[test]
    fn tags_and_coordinates_come_back(tags in tags(), floats in vec(any::<f64>(), 3..12)) {
        prop_assert_eq!((CODEC.decode_tags)(&(CODEC.encode_tags)(&tags)), tags);
        let coordinate = Coordinate {
            vec: floats[3..].to_vec(),
            error: floats[0],
            adjustment: floats[1],
            height: floats[2],
        };
        let back = (CODEC.decode_coordinate)(&(CODEC.encode_coordinate)(&coordinate));
        prop_assert_eq!(back, Some(coordinate));
    }

    #[test]
    fn payloads_about_keys_and_names_come_back(
        key in bytes(40),
        (result, message) in (any::<bool>(), ".{0,40}"),
        keys in vec("[a-zA-Z0-9+/=]{24,44}", 0..20),
        (who, addr, port) in (name(), ip(), any::<u16>()),
        (tags, said) in (tags(), versions()),
    ) {
        let request = KeyRequest { key };
        prop_assert_eq!(decode_key_request(&encode_key_request(&request)), Ok(request));
        let primary_key = keys.first().cloned().unwrap_or_default();
        let response = KeyResponse { result, message, keys, primary_key };
        prop_assert_eq!(decode_key_response(&encode_key_response(&response)), Ok(response));
        let versions = said.filter(|it| *it != [0; 6]);
        let addr = SocketAddr::new(addr, port);
        for status in
            [Status::None, Status::Alive, Status::Leaving, Status::Left, Status::Failed]
        {
            let (name, tags) = (who.clone(), tags.clone());
            let member = MemberView { name, addr, tags, status, versions };
            prop_assert_eq!(
                decode_conflict_response(&encode_conflict_response(&member)),
                Ok(member)
            );
        }
    }

    /// Against a list: what is first encrypts.
    #[test]
    fn a_keyring_is_a_list_with_a_first(steps in vec((0..3, 0_u8..5), 0..30)) {
        let mut ring = Keyring::new();
        let mut model: Vec<Vec<u8>> = Vec::new();
        for (step, which) in steps {
            let key = vec![which; [16, 24, 32][usize::from(which) % 3]];
            let place = model.iter().position(|it| *it == key);
            match step {
                0 => {
                    prop_assert_eq!(ring.add(&key), Ok(()));
                    if place.is_none() {
                        model.push(key);
                    }
                }
                1 => {
                    let expected = place.map(|_| ()).ok_or(KeyringError::NotInstalled);
                    prop_assert_eq!(ring.make_primary(&key), expected);
                    if let Some(place) = place {
                        let key = model.remove(place);
                        model.insert(0, key);
                    }
                }
                _ => {
                    let refused = place == Some(0);
                    let expected = if refused { Err(KeyringError::RemovesPrimary) } else { Ok(()) };
                    prop_assert_eq!(ring.remove(&key), expected);
                    if !refused {
                        model.retain(|it| *it != key);
                    }
                }
            }
            let keys: Vec<&[u8]> = ring.keys().iter().map(|it| it.bytes()).collect();
            prop_assert_eq!(&keys, &model.iter().map(Vec::as_slice).collect::<Vec<_>>());
            if !ring.is_empty() {
                prop_assert_eq!(Keyring::from_file_text(&ring.to_file_text()), Ok(ring.clone()));
            }
        }
    }

    /// Far beyond what fills the table of codes, of data that compresses well and badly.
    #[test]
    fn long_texts_survive_compression(
        alphabet in 1_u8..=255,
        noise in vec(any::<u8>(), 1..400),
        repeats in 1_usize..200,
    ) {
        let long: Vec<u8> = noise.iter().map(|it| it % alphabet).collect::<Vec<_>>().repeat(repeats);
        let message = UserEvent {
            time: LamportTime(1),
            name: "long".to_owned(),
            payload: Some(long.into()),
            coalesce: false,
        };
        let message = StreamMessage::User(SerfMessage::UserEvent(message));
        let mut out = Vec::new();
        encode_stream(&message, &StreamOptions { compress: true, seal: None }, &mut out);
        let none = Keyring::new();
        let reception = Reception { keyring: &none, verify_incoming: true };
        let received = StreamDecoder::new().decode(&out, &reception).expect("ours").expect("whole");
        prop_assert_eq!(received.message, message);
    }
}
