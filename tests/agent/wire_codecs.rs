//! Every codec: what is encoded decodes to the same, in the dialect's form; what is not a message
//! is an error and never a panic.

use bytes::Bytes;
use proconsul::agent::{self, Failure, ReadMeta, ReadMode, ReadOptions, Reply};
use proconsul::base::{Duration, LogIndex, ServerAddress, ServerId, Term};
use proconsul::raft::{
    AppendEntries, AppendEntriesResponse, CallError, Configuration, Entry, EntryKind,
    InstallSnapshot, InstallSnapshotResponse, Request, RequestPreVote, RequestPreVoteResponse,
    RequestVote, RequestVoteResponse, Response, Server, SnapshotMeta, Suffrage,
};
use proconsul::state::{Answer, Command, CommandResult, KvCommand, KvEntry, Query, Rows};
use proconsul::wire::msgpack::{Reader, Writer};
use proconsul::wire::raft::Rpc;
use proconsul::wire::{Fault, command, kv, raft, rpc};
use proptest::collection::vec;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u64>()]
}

fn data() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..400).prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = ServerAddress> {
    "[0-9.:a-zé]{0,40}".prop_map(ServerAddress::from)
}

fn kind() -> impl Strategy<Value = EntryKind> {
    (0..=5_u64).prop_map(|number| raft::entry_kind(number).expect("a known kind"))
}

fn entry() -> impl Strategy<Value = Entry> {
    (number(), number(), kind(), data()).prop_map(|(index, term, kind, data)| Entry {
        index: LogIndex(index),
        term: Term(term),
        kind,
        data,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let position = || (number(), number());
    let append = (number(), address(), position(), vec(entry(), 0..20), number()).prop_map(
        |(term, leader, (prev_index, prev_term), entries, commit)| {
            Request::AppendEntries(AppendEntries {
                term: Term(term),
                leader,
                prev_index: LogIndex(prev_index),
                prev_term: Term(prev_term),
                entries,
                leader_commit: LogIndex(commit),
            })
        },
    );
    let vote = (number(), address(), position(), any::<bool>()).prop_map(
        |(term, candidate, (index, last_term), leadership_transfer)| {
            Request::RequestVote(RequestVote {
                term: Term(term),
                candidate,
                last_log_index: LogIndex(index),
                last_log_term: Term(last_term),
                leadership_transfer,
            })
        },
    );
    let pre_vote =
        (number(), address(), position()).prop_map(|(term, candidate, (index, last_term))| {
            Request::RequestPreVote(RequestPreVote {
                term: Term(term),
                candidate,
                last_log_index: LogIndex(index),
                last_log_term: Term(last_term),
            })
        });
    let install = (number(), address(), position(), configuration(), number(), number()).prop_map(
        |(term, leader, (index, last_term), configuration, configuration_index, size)| {
            Request::InstallSnapshot(InstallSnapshot {
                term: Term(term),
                leader,
                snapshot: SnapshotMeta {
                    index: LogIndex(index),
                    term: Term(last_term),
                    configuration,
                    configuration_index: LogIndex(configuration_index),
                    size: size >> 1,
                },
            })
        },
    );
    prop_oneof![append, vote, pre_vote, install, Just(Request::TimeoutNow)]
}

fn response() -> impl Strategy<Value = Response> {
    (number(), number(), any::<bool>(), any::<bool>(), 0..5).prop_map(
        |(term, last_log, success, no_retry_backoff, kind)| {
            let (term, granted, last_log) = (Term(term), success, LogIndex(last_log));
            match kind {
                0 => Response::RequestVote(RequestVoteResponse { term, granted }),
                1 => Response::RequestPreVote(RequestPreVoteResponse { term, granted }),
                2 => Response::InstallSnapshot(InstallSnapshotResponse { term, success }),
                3 => Response::TimeoutNow,
                _ => Response::AppendEntries(AppendEntriesResponse {
                    term,
                    last_log,
                    success,
                    no_retry_backoff,
                }),
            }
        },
    )
}

fn rpc_of(response: &Response) -> Rpc {
    match response {
        Response::AppendEntries(_) => Rpc::AppendEntries,
        Response::RequestVote(_) => Rpc::RequestVote,
        Response::RequestPreVote(_) => Rpc::RequestPreVote,
        Response::InstallSnapshot(_) => Rpc::InstallSnapshot,
        Response::TimeoutNow => Rpc::TimeoutNow,
    }
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let suffrage =
        prop_oneof![Just(Suffrage::Voter), Just(Suffrage::Nonvoter), Just(Suffrage::Staging)];
    let server = (suffrage, "[a-z0-9-]{0,36}", address())
        .prop_map(|(suffrage, id, address)| Server { suffrage, id: ServerId::from(id), address });
    vec(server, 0..20).prop_map(|servers| Configuration { servers })
}

fn change() -> impl Strategy<Value = Command> {
    (0..5, "[a-z/é]{0,40}", data(), number(), number()).prop_map(
        |(op, key, value, flags, index)| {
            Command::Kv(match op {
                0 => KvCommand::Set { key, value, flags },
                1 => KvCommand::Cas { key, value, flags, index },
                2 => KvCommand::Delete { key },
                3 => KvCommand::DeleteCas { key, index },
                _ => KvCommand::DeleteTree { prefix: key },
            })
        },
    )
}

fn forwarded() -> impl Strategy<Value = agent::Request> {
    let mode =
        prop_oneof![Just(ReadMode::Default), Just(ReadMode::Consistent), Just(ReadMode::Stale)];
    let read = (0..3, "[a-z/]{0,40}", "[/.]{0,2}", mode, number(), 1..600_000_u64).prop_map(
        |(query, key, separator, mode, min_index, wait_ms)| agent::Request::Read {
            query: match query {
                0 => Query::KvGet { key },
                1 => Query::KvList { prefix: key },
                _ => Query::KvKeys { prefix: key, separator },
            },
            options: ReadOptions { mode, min_index, max_wait: Duration::from_millis(wait_ms) },
        },
    );
    prop_oneof![change().prop_map(agent::Request::Write), read]
}

fn kv_entry() -> impl Strategy<Value = KvEntry> {
    let session = prop::option::of("[a-f0-9-]{36}");
    ("[a-z/]{0,40}", data(), vec(number(), 4), session).prop_map(
        |(key, value, numbers, session)| KvEntry {
            key,
            value,
            flags: numbers[0],
            lock_index: numbers[1],
            session,
            create_index: numbers[2],
            modify_index: numbers[3],
        },
    )
}

/// A method's name and an answer to it.
fn answered() -> impl Strategy<Value = (&'static str, Result<Reply, Failure>)> {
    let meta = (1..u64::MAX, any::<bool>(), 0..1_u64 << 50).prop_map(|(index, known, nanos)| {
        ReadMeta { index, known_leader: known, last_contact: Duration::from_nanos(nanos) }
    });
    let rows = prop_oneof![
        vec(kv_entry(), 0..4).prop_map(|entries| ("KVS.List", Rows::Entries(entries))),
        vec(kv_entry(), 0..2).prop_map(|entries| ("KVS.Get", Rows::Entries(entries))),
        vec("[a-z/]{1,40}", 0..20).prop_map(|keys| ("KVS.ListKeys", Rows::Keys(keys))),
    ];
    let read = (rows, meta).prop_map(|((method, rows), meta)| {
        (method, Ok(Reply::Read { answer: Answer { index: meta.index, rows }, meta }))
    });
    let written =
        any::<bool>().prop_map(|flag| ("KVS.Apply", Ok(Reply::Written(CommandResult::Flag(flag)))));
    let failed = prop_oneof![
        Just(Failure::NoLeader),
        Just(Failure::NotLeader),
        Just(Failure::LeadershipLost),
        Just(Failure::NotReady),
    ]
    .prop_map(|failure| ("KVS.Get", Err(failure)));
    prop_oneof![read, written, failed]
}

/// Walks one value: every key of every map is a string and above the one before.
fn keys_ascend(reader: &mut Reader<'_>) {
    let mut probe = reader.clone();
    match probe.byte().expect("a value") {
        0x80..=0x8f | 0xde | 0xdf => {
            let mut before: Option<Vec<u8>> = None;
            let walked = reader.map(|reader, key| {
                assert!(before.as_deref().is_none_or(|before| before < key), "{key:?}");
                before = Some(key.to_vec());
                keys_ascend(reader);
                Ok(())
            });
            walked.expect("a map");
        }
        0x90..=0x9f | 0xdc | 0xdd => {
            let walked = reader.array(|reader| {
                keys_ascend(reader);
                Ok(())
            });
            walked.expect("an array");
        }
        marker => {
            assert!(!matches!(marker, 0xc4..=0xc9 | 0xd0..=0xd9), "{marker:#x} is not written");
            reader.skip().expect("a value");
        }
    }
}

/// Everything up to the end is values of the dialect.
fn in_dialect(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while reader.finish().is_err() {
        keys_ascend(&mut reader);
    }
}

/// Hands bytes to every decoder.
fn decode_with_all(bytes: &[u8]) {
    let _ = raft::decode_request(bytes);
    for rpc in Rpc::ALL {
        let _ = raft::decode_response(rpc, bytes);
    }
    let _ = raft::decode_peers(bytes);
    let _ = raft::decode_configuration(bytes);
    let _ = command::decode(bytes);
    let _ = rpc::decode_request(bytes);
    let _ = rpc::decode_response(bytes);
}

/// Any message of any codec.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let encoded = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    prop_oneof![
        request().prop_map(move |it| encoded(&|out| raft::encode_request(&it, out))),
        response().prop_map(move |it| encoded(&|out| raft::encode_response(&it, out))),
        configuration().prop_map(|it| raft::encode_configuration(&it).to_vec()),
        change().prop_map(|it| command::encode(&it, "dc1").to_vec()),
        forwarded().prop_map(move |it| encoded(&|out| {
            rpc::encode_request(7, &it, "dc1", out);
        })),
        answered().prop_map(move |(method, it)| encoded(&|out| {
            rpc::encode_response(7, method, &it, out);
        })),
    ]
}

proptest! {
    #[test]
    fn raft_requests_come_back(requests in vec(request(), 1..4)) {
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for request in &requests {
            let start = stream.len();
            raft::encode_request(request, &mut stream);
            in_dialect(&stream[start + 1..]);
            ends.push(stream.len());
        }
        // Pipelined: taken one by one from the front of one buffer.
        let mut rest = stream.as_slice();
        for request in requests {
            let (decoded, taken) = raft::decode_request(rest)?.expect("whole");
            let following = match &request {
                Request::InstallSnapshot(install) => install.snapshot.size,
                _ => 0,
            };
            prop_assert_eq!(decoded.following, following);
            prop_assert_eq!(decoded.request, Ok(request));
            prop_assert_eq!(raft::decode_request(&rest[..taken - 1])?, None);
            rest = &rest[taken..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn raft_responses_come_back(response in response()) {
        let mut out = Vec::new();
        raft::encode_response(&response, &mut out);
        in_dialect(&out);
        let rpc = rpc_of(&response);
        let (answered, taken) = raft::decode_response(rpc, &out)?.expect("whole");
        prop_assert_eq!((answered.answer, taken), (Ok(response), out.len()));
    }

    #[test]
    fn configurations_come_back(configuration in configuration()) {
        let out = raft::encode_configuration(&configuration);
        in_dialect(&out);
        prop_assert_eq!(raft::decode_configuration(&out)?, configuration);
    }

    #[test]
    fn commands_come_back(command in change()) {
        let out = command::encode(&command, "dc1");
        in_dialect(&out[1..]);
        prop_assert_eq!(command::decode(&out)?, Some(command.clone()));
        let mut flagged = out.to_vec();
        flagged[0] |= command::IGNORE_UNKNOWN;
        prop_assert_eq!(command::decode(&flagged)?, Some(command));
    }

    #[test]
    fn stored_keys_come_back(entry in kv_entry()) {
        let mut out = Vec::new();
        kv::write_entry(&entry, &mut Writer::new(&mut out));
        in_dialect(&out);
        prop_assert_eq!(kv::read_entry(&mut Reader::new(&out))?, entry);
    }

    #[test]
    fn forwarded_requests_come_back(seq in number(), request in forwarded()) {
        let mut out = Vec::new();
        let method = rpc::encode_request(seq, &request, "dc1", &mut out).expect("forwarded");
        in_dialect(&out);
        let (call, taken) = rpc::decode_request(&out)?.expect("whole");
        let method = method.name().to_owned();
        prop_assert_eq!(call, rpc::Call { seq, method, request: Ok(request) });
        prop_assert_eq!(taken, out.len());
        prop_assert_eq!(rpc::decode_request(&out[..taken - 1])?, None);
    }

    #[test]
    fn answers_come_back(seq in number(), (method, result) in answered()) {
        let mut out = Vec::new();
        rpc::encode_response(seq, method, &result, &mut out);
        in_dialect(&out);
        let (answer, taken) = rpc::decode_response(&out)?.expect("whole");
        prop_assert_eq!(answer, rpc::Return { seq, method: method.to_owned(), result });
        prop_assert_eq!(taken, out.len());
        prop_assert_eq!(rpc::decode_response(&out[..taken - 1])?, None);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        decode_with_all(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(
        message in message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut message = message;
        for (at, byte) in damage {
            let at = at.index(message.len());
            message[at] = byte;
        }
        decode_with_all(&message);
        decode_with_all(&message[..cut.index(message.len())]);
    }
}

#[test]
fn announced_counts_without_content_are_just_not_whole_yet() {
    // {"Entries": an array of 4294967295
    let mut bytes = vec![0, 0x81, 0xa7];
    bytes.extend(b"Entries\xdd\xff\xff\xff\xff");
    assert_eq!(raft::decode_request(&bytes), Ok(None));
    let mut bytes = vec![0, 0x81, 0xa6];
    bytes.extend(b"Leader\xdb\xff\xff\xff\xff");
    let error = raft::decode_request(&bytes).expect_err("longer than any message");
    assert_eq!(error.fault, Fault::TooLong(u64::from(u32::MAX)));
    assert_eq!(error.offset, 10);
}

#[test]
fn raft_requests_of_an_unknown_kind_end_the_connection() {
    let error = raft::decode_request(&[5, 0x80]).expect_err("there is no such RPC");
    assert_eq!(error.to_string(), "unknown rpc type 5 (at byte 0)");
}

#[test]
fn raft_requests_that_cannot_be_served_are_answered_and_the_next_one_is_found() {
    let refused = |rpc: u8, fields: &dyn Fn(&mut Writer<'_>)| {
        let mut bytes = vec![rpc];
        fields(&mut Writer::new(&mut bytes));
        let whole = bytes.len();
        bytes.push(1);
        let (received, taken) = raft::decode_request(&bytes).expect("a request").expect("whole");
        assert_eq!(taken, whole);
        (received.request.err(), received.following)
    };
    for version in 0..6 {
        let versioned = refused(1, &|writer| {
            writer.map(1);
            writer.key("ProtocolVersion").uint(version);
        });
        let text = "operation not supported with current protocol version".to_owned();
        assert_eq!(versioned.0, Some(text).filter(|_| !(2..=3).contains(&version)), "{version}");
    }
    let install = |version: u64| {
        refused(2, &|writer| {
            writer.map(4);
            writer.key("Configuration").bytes(&[0x81]);
            writer.key("ProtocolVersion").uint(3);
            writer.key("Size").uint(70_000);
            writer.key("SnapshotVersion").uint(version);
        })
    };
    let (why, following) = install(1);
    assert!(why.is_some_and(|why| why.contains("the servers of a snapshot")), "no more will come");
    assert_eq!(following, 70_000, "the bytes of the snapshot are still on the stream");
    assert_eq!(install(2), (Some("unsupported snapshot version 2".to_owned()), 70_000));
    let entry = |name: &str, write: &dyn Fn(&mut Writer<'_>)| {
        refused(0, &|writer| {
            writer.map(2);
            writer.key("Entries").array(1);
            writer.map(1);
            write(writer.key(name));
            writer.key("ProtocolVersion").uint(3);
        })
        .0
    };
    let extended = entry("Extensions", &|writer| writer.str("x"));
    assert_eq!(extended, Some("log entry extensions are not supported".to_owned()));
    let unknown = entry("Type", &|writer| writer.uint(6));
    assert_eq!(unknown, Some("the type of a log entry cannot be 6".to_owned()));
}

#[test]
fn a_snapshot_of_the_oldest_version_names_its_servers_by_address() {
    let mut bytes = vec![2];
    let mut writer = Writer::new(&mut bytes);
    writer.map(2);
    writer.key("Peers").bytes(b"\x92\xa6a:8300\xa6b:8300");
    writer.key("ProtocolVersion").uint(3);
    let (received, _) = raft::decode_request(&bytes).expect("valid").expect("whole");
    let Ok(Request::InstallSnapshot(install)) = received.request else { panic!("{received:?}") };
    let ids: Vec<&str> =
        install.snapshot.configuration.servers.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a:8300", "b:8300"]);
}

#[test]
fn raft_errors_come_back_as_remote_errors() {
    let mut out = Vec::new();
    raft::encode_error("no", &mut out);
    let (answered, taken) =
        raft::decode_response(Rpc::RequestVote, &out).expect("an answer").expect("whole");
    assert_eq!((answered.answer, taken), (Err(CallError::Remote("no".to_owned())), out.len()));
}

#[test]
fn unknown_keys_of_any_shape_are_read_over() {
    let mut bytes = vec![1, 0x84, 0xa4];
    bytes.extend(b"Term\x07");
    bytes.extend(b"\xa1x\x92\x81\xa1y\xcb\0\0\0\0\0\0\0\0\xc7\x01\x05\xff");
    bytes.extend(b"\xafProtocolVersion\x03\xa1z\xc0");
    let (request, _) = raft::decode_request(&bytes).expect("valid").expect("whole");
    assert!(matches!(request.request, Ok(Request::RequestVote(vote)) if vote.term == Term(7)));
}

#[test]
fn a_key_of_a_real_snapshot_comes_back_byte_for_byte() {
    // From a snapshot of Consul 1.8.7, after its message type byte.
    let mut record = vec![0x87];
    record.extend(b"\xabCreateIndex\x0a\xa5Flags\x00\xa3Key\xa5pre/1\xa9LockIndex\x00");
    record.extend(b"\xabModifyIndex\x0a\xa7Session\xa0\xa5Value\xa2v1");
    let entry = kv::read_entry(&mut Reader::new(&record)).expect("an entry");
    assert_eq!((entry.key.as_str(), entry.value.as_ref()), ("pre/1", b"v1".as_ref()));
    assert_eq!((entry.create_index, entry.modify_index, entry.session.clone()), (10, 10, None));
    let mut out = Vec::new();
    kv::write_entry(&entry, &mut Writer::new(&mut out));
    assert_eq!(out, record);
}

#[test]
fn commands_that_cannot_be_applied_are_told_apart() {
    use command::{CommandError, decode};
    assert_eq!(decode(&[]), Err(CommandError::Empty));
    assert_eq!(decode(&[4, 0x80]), Err(CommandError::UnknownType(4)));
    assert_eq!(decode(&[4 | command::IGNORE_UNKNOWN, 0x80]), Ok(None));
    let mut lock = vec![command::KVS];
    lock.extend(b"\x82\xa6DirEnt\x80\xa2Op\xa4lock");
    let error = decode(&lock).expect_err("no such operation");
    assert!(error.to_string().contains("a key/value operation cannot be \"lock\""), "{error}");
    let trailing =
        [command::encode(&Command::Kv(KvCommand::Delete { key: "a".into() }), "").as_ref(), &[0]]
            .concat();
    assert!(matches!(decode(&trailing), Err(CommandError::Body(_))));
}

#[test]
fn forwarded_requests_that_cannot_be_served_leave_the_connection_alive() {
    let call = |method: &str, body: &[u8]| {
        let mut out = vec![0x82];
        let mut writer = Writer::new(&mut out);
        writer.key("Seq").uint(5);
        writer.key("ServiceMethod").str(method);
        out.extend(body);
        let (call, taken) = rpc::decode_request(&out).expect("messagepack").expect("whole");
        assert_eq!((call.seq, call.method.as_str(), taken), (5, method, out.len()));
        call.request.expect_err("cannot be served")
    };
    assert_eq!(call("KVS.Lock", &[0x80]), "rpc: can't find method KVS.Lock");
    assert_eq!(call("Catalog.Lock", &[0xc0]), "rpc: can't find method Catalog.Lock");
    assert_eq!(call("ACL.Apply", &[0xc0]), "rpc: can't find service ACL.Apply");
    let error = call("KVS.Get", b"\x81\xa3Key\x01");
    assert!(error.contains("expected a string or bytes, found type byte 0x01"), "{error}");
}

#[test]
fn failures_travel_as_consuls_texts() {
    let sent = |result: &Result<Reply, Failure>| {
        let mut out = Vec::new();
        rpc::encode_response(1, "KVS.Apply", result, &mut out);
        rpc::decode_response(&out).expect("an answer").expect("whole").0.result
    };
    let refused = Ok(Reply::Written(CommandResult::Error("invalid session".to_owned())));
    assert_eq!(sent(&refused), Err(Failure::Remote("invalid session".to_owned())));
    // A text from a server further on says nothing of what the asked server did.
    let further = Err(Failure::Remote("node is not the leader".to_owned()));
    let text = "rpc error making call: node is not the leader".to_owned();
    assert_eq!(sent(&further), Err(Failure::Remote(text)));
    assert!(matches!(sent(&Ok(Reply::Leader(None))), Err(Failure::Remote(_))));
}

#[test]
fn a_blocking_read_without_a_wait_gets_the_default() {
    let wait = |min_index, max_wait| {
        let options = ReadOptions { mode: ReadMode::Default, min_index, max_wait };
        let query = Query::KvGet { key: "a".to_owned() };
        let mut out = Vec::new();
        rpc::encode_request(1, &agent::Request::Read { query, options }, "dc1", &mut out);
        match rpc::decode_request(&out).expect("a call").expect("whole").0.request {
            Ok(agent::Request::Read { options, .. }) => options.max_wait,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(wait(5, Duration::ZERO), Duration::from_secs(300));
    assert_eq!(wait(0, Duration::ZERO), Duration::ZERO);
    assert_eq!(wait(5, Duration::from_secs(3600)), Duration::from_secs(600));
}
