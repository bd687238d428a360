//! `Internal.*` between agents, and what a member does when it is asked about its keys.

use std::collections::BTreeMap;

use bytes::Bytes;
use proconsul::agent::{KeyringOperation, PoolKeys, Reply, Request};
use proconsul::base::NodeName;
use proconsul::gossip::{LamportTime, QueryKey};
use proconsul::wire::gossip::{
    KeyAction, KeyRequest, KeyResponse, Keyring, apply_key_query, decode_key_response,
    encode_key_answer, encode_key_request,
};
use proconsul::wire::rpc::{self, Method};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn request() -> impl Strategy<Value = Request> {
    let action = prop_oneof![
        Just(KeyAction::List),
        Just(KeyAction::Install),
        Just(KeyAction::Use),
        Just(KeyAction::Remove)
    ];
    let fire = ("[a-zé/_]{1,40}", vec(any::<u8>(), 0..300))
        .prop_map(|(name, payload)| Request::EventFire { name, payload: Bytes::from(payload) });
    let keys = (action, "[A-Za-z0-9+/=]{0,44}", 0..=5u8, any::<bool>(), any::<bool>()).prop_map(
        |(action, key, relay_factor, local_only, forwarded)| {
            Request::Keyring(KeyringOperation { action, key, relay_factor, local_only, forwarded })
        },
    );
    prop_oneof![fire, keys]
}

fn counts() -> impl Strategy<Value = BTreeMap<String, u64>> {
    btree_map("[A-Za-z0-9+/=]{1,44}", any::<u64>(), 0..5)
}

fn pool() -> impl Strategy<Value = PoolKeys> {
    let messages = btree_map("[a-z0-9.é]{1,20}", ".{0,40}", 0..5);
    (any::<bool>(), "[a-z0-9]{1,9}", messages, counts(), counts(), any::<u64>(), ".{0,40}")
        .prop_map(|(wan, datacenter, messages, keys, primary_keys, nodes, error)| PoolKeys {
            wan,
            datacenter,
            messages,
            keys,
            primary_keys,
            nodes,
            error,
        })
}

proptest! {
    #[test]
    fn requests_come_back(seq in any::<u64>(), request in request()) {
        let mut bytes = Vec::new();
        let method = rpc::encode_request(seq, &request, "dc1", &mut bytes);
        prop_assert!(method.is_some());
        let (call, length) = rpc::decode_request(&bytes).expect("our own").expect("it is whole");
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!((call.seq, call.request), (seq, Ok(request)));
    }

    #[test]
    fn answers_come_back(seq in any::<u64>(), pools in vec(pool(), 0..4)) {
        let method = Method::InternalKeyringOperation.name();
        let reply = Ok(Reply::Keyring(pools));
        let mut bytes = Vec::new();
        rpc::encode_response(seq, method, &reply, &mut bytes);
        let (back, length) = rpc::decode_response(&bytes).expect("our own").expect("it is whole");
        prop_assert_eq!((back.seq, back.result, length), (seq, reply, bytes.len()));
    }
}

#[test]
fn a_fired_event_is_answered_with_nothing() {
    let mut bytes = Vec::new();
    rpc::encode_response(7, Method::InternalEventFire.name(), &Ok(Reply::Done), &mut bytes);
    let (back, _) = rpc::decode_response(&bytes).expect("our own").expect("it is whole");
    assert_eq!((back.seq, back.result), (7, Ok(Reply::Done)));
}

#[test]
fn an_unknown_operation_is_refused() {
    let key = String::new();
    let operation = KeyringOperation {
        action: KeyAction::Install,
        key,
        relay_factor: 0,
        local_only: false,
        forwarded: false,
    };
    let mut bytes = Vec::new();
    rpc::encode_request(1, &Request::Keyring(operation), "dc1", &mut bytes);
    let at = bytes.windows(7).position(|it| it == b"install").expect("the word");
    bytes[at] = b'x';
    let (call, _) = rpc::decode_request(&bytes).expect("messagepack").expect("it is whole");
    assert!(call.request.expect_err("no such word").contains("an operation on the keyring"));
}

fn asked(ring: &mut Keyring, action: KeyAction, key: &[u8]) -> (KeyResponse, bool) {
    let payload = encode_key_request(&KeyRequest { key: Bytes::copy_from_slice(key) });
    apply_key_query(action, &payload, ring).unwrap_or_else(|(refusal, _)| (refusal, false))
}

#[test]
fn keys_are_rotated_and_refused_in_serfs_words() {
    let (first, second) = ([1; 16], [2; 32]);
    let mut ring = Keyring::new();
    for (action, why) in [
        (KeyAction::List, "Keyring is empty (encryption not enabled)"),
        (KeyAction::Install, "No keyring to modify (encryption not enabled)"),
        (KeyAction::Use, "No keyring to modify (encryption not enabled)"),
        (KeyAction::Remove, "No keyring to modify (encryption not enabled)"),
    ] {
        let (answer, changed) = asked(&mut ring, action, &first);
        assert_eq!((answer.result, answer.message.as_str(), changed), (false, why, false));
        assert!(ring.is_empty());
    }
    ring.add(&first).expect("a key");
    let refused = |(answer, changed): (KeyResponse, bool)| {
        assert!(!answer.result && !changed);
        answer.message
    };
    let not_there = "requested key is not in the keyring";
    assert_eq!(refused(asked(&mut ring, KeyAction::Use, &second)), not_there);
    let size = "key size must be 16, 24 or 32 bytes";
    assert_eq!(refused(asked(&mut ring, KeyAction::Install, &[3; 15])), size);
    assert_eq!(refused(asked(&mut ring, KeyAction::Install, &[])), size);
    let primary = "removing the primary key is not allowed";
    assert_eq!(refused(asked(&mut ring, KeyAction::Remove, &first)), primary);
    for (action, key) in [
        (KeyAction::Install, &second[..]),
        (KeyAction::Install, &second),
        (KeyAction::Use, &second),
        (KeyAction::Remove, &first),
        (KeyAction::Remove, &first),
    ] {
        let (answer, changed) = asked(&mut ring, action, key);
        assert!(answer.result && changed && answer.message.is_empty(), "{action:?}: {answer:?}");
    }
    let (listed, changed) = asked(&mut ring, KeyAction::List, &[]);
    let key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=".to_owned();
    assert_eq!((listed.keys, listed.primary_key, changed), (vec![key.clone()], key, false));
    let garbage = apply_key_query(KeyAction::Install, b"\x07\xc1", &mut ring);
    let (refusal, why) = garbage.expect_err("it cannot be read");
    assert!(!refusal.result && refusal.message.is_empty() && why.contains("decode"), "{why}");
}

#[test]
fn a_list_too_long_for_one_answer_is_cut() {
    let mut ring = Keyring::new();
    (0..60).for_each(|number| ring.add(&[number; 32]).expect("a key"));
    let (listed, _) = asked(&mut ring, KeyAction::List, &[]);
    assert_eq!(listed.keys.len(), 60);
    let query = QueryKey { time: LamportTime(u64::MAX), id: u32::MAX };
    let payload = encode_key_answer(query, &NodeName::from("n".repeat(60).as_str()), listed);
    assert!(payload.len() < 1024 - 60, "{} bytes", payload.len());
    let cut = decode_key_response(&payload).expect("our own");
    let told = cut.keys.len();
    assert!(told > 10, "{told} keys");
    let text = format!("truncated key list response, showing first {told} of 60 keys");
    assert_eq!((cut.result, cut.message), (true, text));
}
