//! The RPCs of operators and the stream for snapshots: what is encoded decodes to the same, keys are
//! sorted, and anything else is an error and never a panic.

use proconsul::agent::autopilot::{HealthReport, ServerReport};
use proconsul::agent::{DatacenterMap, PeerName, RaftServer, ReadMeta, Reply, Request};
use proconsul::base::{Duration, LogIndex, ServerId, Term, WallTime};
use proconsul::gossip::Status;
use proconsul::state::NodeCoordinate;
use proconsul::wire::msgpack::{Reader, Writer};
use proconsul::wire::rpc::snapshot::{
    SnapshotOp, SnapshotRequest, SnapshotResponse, decode_snapshot_request,
    decode_snapshot_response, encode_snapshot_request, encode_snapshot_response,
};
use proconsul::wire::rpc::{self, Method};
use proptest::collection::vec;
use proptest::prelude::*;

fn request() -> impl Strategy<Value = Request> {
    let id = "[a-z0-9-]{1,36}".prop_map(ServerId::from);
    prop_oneof![
        any::<bool>().prop_map(|stale| Request::RaftConfiguration { stale }),
        id.clone().prop_map(|id| Request::RemoveRaftPeer(PeerName::Id(id))),
        "[0-9.:]{0,22}".prop_map(|at| Request::RemoveRaftPeer(PeerName::Address(at.into()))),
        proptest::option::of(id).prop_map(|to| Request::TransferLeadership { to }),
        Just(Request::StatusLeader),
        Just(Request::StatusPeers),
        Just(Request::AutopilotHealth),
        Just(Request::CoordinateDatacenters),
        place().prop_map(|it| Request::CoordinateUpdate(Box::new(it))),
    ]
}

fn server() -> impl Strategy<Value = RaftServer> {
    let texts = ("[a-z0-9-]{0,36}", "[a-zé()]{0,20}", "[0-9.:]{0,22}", "[0-9]?");
    (texts, any::<bool>(), any::<bool>()).prop_map(
        |((id, node, address, protocol_version), leader, voter)| RaftServer {
            id: id.into(),
            node,
            address: address.into(),
            leader,
            protocol_version,
            voter,
        },
    )
}

fn reply() -> impl Strategy<Value = (Method, Reply)> {
    let address = "[0-9.:]{1,22}".prop_map(proconsul::base::ServerAddress::from);
    prop_oneof![
        (vec(server(), 0..20), any::<u64>()).prop_map(|(servers, index)| {
            let index = LogIndex(index);
            (Method::RaftGetConfiguration, Reply::RaftConfiguration { servers, index })
        }),
        proptest::option::of(address.clone())
            .prop_map(|leader| (Method::StatusLeader, Reply::Leader(leader))),
        vec(address, 0..5).prop_map(|peers| (Method::StatusPeers, Reply::Peers(peers))),
        health().prop_map(|report| (Method::OperatorServerHealth, Reply::AutopilotHealth(report))),
        vec(map(), 0..4)
            .prop_map(|maps| (Method::CoordinateListDatacenters, Reply::DatacenterMaps(maps))),
        Just((Method::CoordinateUpdate, Reply::Done)),
        Just((Method::RaftRemovePeerById, Reply::Done)),
        Just((Method::RaftRemovePeerByAddress, Reply::Done)),
        Just((Method::RaftTransferLeader, Reply::Done)),
    ]
}

fn place() -> impl Strategy<Value = NodeCoordinate> {
    let numbers = (any::<f64>(), any::<f64>(), any::<f64>());
    ("[a-z0-9]{0,9}", "[a-z]{0,3}", vec(any::<f64>(), 0..10), numbers).prop_map(
        |(node, segment, vec, (error, adjustment, height))| NodeCoordinate {
            node,
            segment,
            vec: vec.into_iter().map(Into::into).collect(),
            error: error.into(),
            adjustment: adjustment.into(),
            height: height.into(),
        },
    )
}

fn map() -> impl Strategy<Value = DatacenterMap> {
    ("[a-z0-9]{0,9}", "[a-z]{0,3}", vec(place(), 0..5))
        .prop_map(|(datacenter, area, coordinates)| DatacenterMap { datacenter, area, coordinates })
}

fn health() -> impl Strategy<Value = HealthReport> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let texts = ("[a-z0-9-]{0,36}", "[a-z]{0,20}", "[0-9.:]{0,22}", "[0-9.]{0,6}");
    let numbers = (any::<i64>(), any::<u64>(), any::<u64>(), 0..5_u64);
    let contact = proptest::option::of((0..=i64::MAX as u64).prop_map(Duration::from_nanos));
    let server = (flags, texts, numbers, contact).prop_map(
        |((leader, voter, healthy), (id, name, address, version), numbers, last_contact)| {
            let (since, index, term, status) = numbers;
            ServerReport {
                id: id.into(),
                name,
                address: address.into(),
                status: Status::of_number(status),
                version,
                leader,
                voter,
                last_contact,
                last_term: Term(term),
                last_index: LogIndex(index),
                healthy,
                stable_since: WallTime(since),
            }
        },
    );
    (any::<bool>(), any::<u64>(), vec(server, 0..8)).prop_map(
        |(healthy, failure_tolerance, servers)| HealthReport {
            healthy,
            failure_tolerance,
            servers,
        },
    )
}

fn meta() -> impl Strategy<Value = ReadMeta> {
    (any::<u64>(), any::<bool>(), 0..=i64::MAX as u64).prop_map(|(index, known_leader, nanos)| {
        ReadMeta { index, known_leader, last_contact: Duration::from_nanos(nanos) }
    })
}

/// The keys of the map that comes next, its values read over.
fn keys(reader: &mut Reader<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    let read = reader.map(|reader, key| {
        keys.push(String::from_utf8_lossy(key).into_owned());
        reader.skip()
    });
    read.expect("a map");
    keys
}

fn is_sorted(bytes: &[u8], maps: usize) -> bool {
    let mut reader = Reader::new(bytes);
    (0..maps).all(|_| keys(&mut reader).is_sorted())
}

proptest! {
    #[test]
    fn requests_come_back(request in request(), seq: u64) {
        let mut bytes = Vec::new();
        let method = rpc::encode_request(seq, &request, "dc1", &mut bytes).expect("it has a method");
        prop_assert_eq!(Method::from_name(method.name()), Some(method));
        prop_assert!(is_sorted(&bytes, 2));
        let (call, used) = rpc::decode_request(&bytes).expect("valid").expect("whole");
        prop_assert_eq!((call.seq, call.request, used), (seq, Ok(request), bytes.len()));
        for cut in 0..bytes.len() {
            prop_assert_eq!(rpc::decode_request(&bytes[..cut]), Ok(None));
        }
    }

    #[test]
    fn replies_come_back((method, reply) in reply(), seq: u64) {
        let mut bytes = Vec::new();
        rpc::encode_response(seq, method.name(), &Ok(reply.clone()), &mut bytes);
        let (back, used) = rpc::decode_response(&bytes).expect("valid").expect("whole");
        prop_assert_eq!((back.seq, back.result, used), (seq, Ok(reply), bytes.len()));
    }

    #[test]
    fn heads_of_snapshots_come_back(datacenter in "[a-z0-9]{0,9}", stale: bool, save: bool, meta in meta(), error in "[ -~]{0,60}") {
        let op = if save { SnapshotOp::Save } else { SnapshotOp::Restore };
        let request = SnapshotRequest { datacenter, allow_stale: stale, op };
        let mut bytes = Vec::new();
        encode_snapshot_request(&request, &mut bytes);
        prop_assert!(is_sorted(&bytes, 1));
        let whole = bytes.len();
        bytes.extend(b"archive");
        prop_assert_eq!(decode_snapshot_request(&bytes), Ok(Some((request, whole))));
        prop_assert_eq!(decode_snapshot_request(&bytes[..whole - 1]), Ok(None));

        let response = SnapshotResponse { error, meta };
        let mut bytes = Vec::new();
        encode_snapshot_response(&response, &mut bytes);
        prop_assert!(is_sorted(&bytes, 1));
        let whole = bytes.len();
        bytes.extend(b"archive");
        prop_assert_eq!(decode_snapshot_response(&bytes), Ok(Some((response, whole))));
        prop_assert_eq!(decode_snapshot_response(&bytes[..whole - 1]), Ok(None));
    }

    #[test]
    fn anything_else_is_an_error_and_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode_snapshot_request(&bytes);
        let _ = decode_snapshot_response(&bytes);
        for method in ["Operator.RaftGetConfiguration", "Operator.RaftRemovePeerByID", "Status.Peers", "Operator.ServerHealth", "Coordinate.Update", "Coordinate.ListDatacenters"] {
            let mut framed = Vec::new();
            let mut writer = Writer::new(&mut framed);
            writer.map(2);
            writer.key("Seq").uint(1);
            writer.key("ServiceMethod").str(method);
            framed.extend(&bytes);
            let _ = rpc::decode_request(&framed);
            let _ = rpc::decode_response(&framed);
        }
    }
}

#[test]
fn a_request_is_byte_for_byte_what_its_struct_says() {
    let mut bytes = Vec::new();
    let op = SnapshotOp::Restore;
    let request = SnapshotRequest { datacenter: "dc1".to_owned(), allow_stale: false, op };
    encode_snapshot_request(&request, &mut bytes);
    assert_eq!(bytes, b"\x84\xaaAllowStale\xc2\xaaDatacenter\xa3dc1\xa2Op\x01\xa5Token\xa0");
}

#[test]
fn unknown_operations_and_methods_are_refused() {
    let bytes = b"\x81\xa2Op\x07";
    let error = decode_snapshot_request(bytes).expect_err("no such operation");
    assert!(error.to_string().contains("a snapshot operation cannot be 7"), "{error}");
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.map(2);
    writer.key("Seq").uint(1);
    writer.key("ServiceMethod").str("Operator.Nope");
    writer.nil();
    let (call, _) = rpc::decode_request(&bytes).expect("valid").expect("whole");
    assert_eq!(call.request, Err("rpc: can't find method Operator.Nope".to_owned()));
}
