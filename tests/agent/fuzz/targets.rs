//! Messages between servers: what is promised of every decoder of a stream's front.
//!
//! * No panic, and never more used than there is.
//! * A whole message with bytes cut off is "not yet" and never something else.
//! * Memory in proportion to the input: an element of a list has at least a byte.
//! * What decodes encodes, to bytes that decode to the same and encode to themselves.

use std::fmt::Debug;

use proconsul::agent::Failure;
use proconsul::raft::Request;
use proconsul::wire::msgpack::{Reader, Writer};
use proconsul::wire::multiplex::Purpose;
use proconsul::wire::raft::{self, Rpc};
use proconsul::wire::{DecodeError, Fault, command, rpc};

use super::{Target, corpus};

pub const ALL: &[Target] = &[
    Target { name: "raft_request", run: raft_request, corpus: corpus::raft_requests },
    Target { name: "raft_response", run: raft_response, corpus: corpus::raft_responses },
    Target { name: "configuration", run: configuration, corpus: corpus::configurations },
    Target { name: "peers", run: peers, corpus: corpus::peers },
    Target { name: "command", run: command_data, corpus: corpus::commands },
    Target { name: "rpc_request", run: rpc_request, corpus: corpus::rpc_requests },
    Target { name: "rpc_response", run: rpc_response, corpus: corpus::rpc_responses },
    Target { name: "first_byte", run: first_byte, corpus: corpus::first_bytes },
    Target { name: "msgpack_skip", run: msgpack_skip, corpus: corpus::values },
];

/// The way an error names: its words up to what it quotes of the input, without numbers. If input were
/// part of it, every input would seem to go a new way.
pub fn way(error: &impl ToString) -> String {
    let text = error.to_string();
    let plain = text.split(['"', '(']).next().unwrap_or_default();
    let plain = plain.split("0x").next().unwrap_or_default();
    plain.chars().filter(|char| !char.is_ascii_digit()).take(120).collect()
}

/// What holds of the decoder of a stream's front; the message, when it is whole.
fn front<T: PartialEq + Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<Option<(T, usize)>, DecodeError>,
) -> Result<T, String> {
    match decode(bytes) {
        Err(error) => {
            assert!(error.offset <= bytes.len(), "{error} in {} bytes", bytes.len());
            assert_ne!(error.fault, Fault::Incomplete);
            Err(way(&error))
        }
        Ok(None) => {
            for cut in [bytes.len() / 2, bytes.len() - usize::from(!bytes.is_empty())] {
                assert_eq!(decode(&bytes[..cut]), Ok(None), "cut at {cut}");
            }
            Err("not yet".to_owned())
        }
        Ok(Some((message, used))) => {
            assert!(0 < used && used <= bytes.len());
            for cut in [0, 1, used / 3, used / 2, used - 1] {
                if cut < used {
                    assert_eq!(decode(&bytes[..cut]), Ok(None), "cut at {cut} of {used}");
                }
            }
            let exactly = decode(&bytes[..used]).expect("the same bytes").expect("all of them");
            assert_eq!(exactly, (message, used), "what follows means nothing");
            Ok(exactly.0)
        }
    }
}

/// What `encode` writes decodes to the same, and that encodes to the same bytes.
fn fixpoint<T: PartialEq + Debug>(
    message: &T,
    encode: impl Fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> T,
) {
    let bytes = encode(message);
    let back = decode(&bytes);
    assert_eq!(back, *message);
    assert_eq!(encode(&back), bytes);
}

fn raft_request(bytes: &[u8]) -> String {
    let received = match front(bytes, raft::decode_request) {
        Ok(received) => received,
        Err(way) => return way,
    };
    let shape = (received.header.sender.is_some(), received.appended_at.len().min(3));
    let request = match &received.request {
        Ok(request) => request,
        Err(why) => return format!("{:?} {}", received.rpc, way(why)),
    };
    assert_eq!(Rpc::of(request), received.rpc);
    if let Request::AppendEntries(append) = request {
        let data: usize = append.entries.iter().map(|entry| entry.data.len()).sum();
        assert!(append.entries.len() + data <= bytes.len());
        assert!(received.appended_at.len() <= append.entries.len());
    }
    let encode = |received: &raft::Received| {
        let mut out = Vec::new();
        let request = received.request.as_ref().expect("it can be served");
        raft::encode_request_as(request, &received.header, &received.appended_at, &mut out);
        out
    };
    let decode = |bytes: &[u8]| raft::decode_request(bytes).expect("ours").expect("whole").0;
    // What this agent itself would send for it says the same.
    let mut ours = Vec::new();
    raft::encode_request(request, &mut ours);
    assert_eq!(decode(&ours).request.as_ref(), Ok(request));
    fixpoint(&received, encode, decode);
    format!("{:?} {shape:?}", received.rpc)
}

fn raft_response(bytes: &[u8]) -> String {
    let Some((first, bytes)) = bytes.split_first() else { return String::new() };
    let rpc = Rpc::ALL[usize::from(*first) % Rpc::ALL.len()];
    let answered = match front(bytes, |bytes| raft::decode_response(rpc, bytes)) {
        Ok(answered) => answered,
        Err(way) => return way,
    };
    let encode = |answered: &raft::Answered| {
        let mut out = Vec::new();
        match &answered.answer {
            Ok(response) => {
                raft::encode_response_as(response, &answered.header, &answered.peers, &mut out);
            }
            Err(proconsul::raft::CallError::Remote(text)) => raft::encode_error(text, &mut out),
            Err(other) => panic!("{other:?} does not travel"),
        }
        out
    };
    let decode = |bytes: &[u8]| raft::decode_response(rpc, bytes).expect("ours").expect("whole").0;
    fixpoint(&answered, encode, decode);
    format!("{rpc:?} {} {}", answered.answer.is_ok(), answered.header.sender.is_some())
}

fn configuration(bytes: &[u8]) -> String {
    match raft::decode_configuration(bytes) {
        Err(error) => way(&error),
        Ok(configuration) => {
            assert!(configuration.servers.len() <= bytes.len());
            let decode = |bytes: &[u8]| raft::decode_configuration(bytes).expect("ours");
            fixpoint(&configuration, |it| raft::encode_configuration(it).to_vec(), decode);
            format!("{} servers", configuration.servers.len().min(4))
        }
    }
}

fn peers(bytes: &[u8]) -> String {
    match raft::decode_peers(bytes) {
        Err(error) => way(&error),
        Ok(configuration) => {
            assert!(configuration.servers.len() <= bytes.len());
            let decode = |bytes: &[u8]| raft::decode_peers(bytes).expect("ours");
            fixpoint(&configuration, |it| raft::encode_peers(it).to_vec(), decode);
            format!("{} peers", configuration.servers.len().min(4))
        }
    }
}

fn command_data(bytes: &[u8]) -> String {
    match command::decode(bytes) {
        Err(error) => way(&error),
        Ok(None) => "ignored".to_owned(),
        Ok(Some(change)) => {
            let encode = |change: &_| command::encode(change, "dc1").to_vec();
            let decode = |bytes: &[u8]| command::decode(bytes).expect("ours").expect("known");
            fixpoint(&change, encode, decode);
            format!("{change:?}").chars().take(12).collect()
        }
    }
}

fn rpc_request(bytes: &[u8]) -> String {
    let call = match front(bytes, rpc::decode_request) {
        Ok(call) => call,
        Err(way) => return way,
    };
    if let Err(why) = &call.request {
        // `rpc: can't find service NAME`
        return why.split(' ').take(4).collect();
    }
    let encode = |call: &rpc::Call| {
        let mut out = Vec::new();
        let request = call.request.as_ref().expect("it can be served");
        rpc::encode_request(call.seq, request, "dc1", &mut out).expect("it came like this");
        out
    };
    let decode = |bytes: &[u8]| rpc::decode_request(bytes).expect("ours").expect("whole").0;
    fixpoint(&call, encode, decode);
    call.method
}

fn rpc_response(bytes: &[u8]) -> String {
    let answer = match front(bytes, rpc::decode_response) {
        Ok(answer) => answer,
        Err(way) => return way,
    };
    if let Err(Failure::Remote(_)) = &answer.result {
        // Passed on, a remote text says so: it grows with each server.
        return "a remote error".to_owned();
    }
    let encode = |answer: &rpc::Return| {
        let mut out = Vec::new();
        rpc::encode_response(answer.seq, &answer.method, &answer.result, &mut out);
        out
    };
    let decode = |bytes: &[u8]| rpc::decode_response(bytes).expect("ours").expect("whole").0;
    fixpoint(&answer, encode, decode);
    format!("{} {}", answer.method, answer.result.is_ok())
}

fn first_byte(bytes: &[u8]) -> String {
    let Some(byte) = bytes.first() else { return String::new() };
    match Purpose::from_byte(*byte) {
        None => "none".to_owned(),
        Some(purpose) => {
            assert_eq!(purpose.byte(), *byte);
            format!("{purpose:?}")
        }
    }
}

/// Reads a value of one type.
type Read = fn(&mut Reader<'_>) -> Result<(), DecodeError>;

fn msgpack_skip(bytes: &[u8]) -> String {
    let mut reader = Reader::new(bytes);
    match reader.value() {
        Err(error) => {
            assert!(reader.position() <= bytes.len() && error.offset <= bytes.len());
            way(&error)
        }
        Ok(value) => {
            assert_eq!(value, &bytes[..reader.position()]);
            for cut in [0, 1, value.len() / 2, value.len() - 1] {
                if cut < value.len() {
                    let error = Reader::new(&value[..cut]).skip().expect_err("it is cut");
                    assert_eq!(error.fault, Fault::Incomplete, "cut at {cut}");
                }
            }
            let mut copy = Vec::new();
            Writer::new(&mut copy).value(value);
            assert_eq!(Reader::new(&copy).value(), Ok(value));
            // The same as a number, a string, a truth value: an answer or an error, and no further.
            let typed: [Read; 4] = [
                |it| it.u64().map(drop),
                |it| it.str().map(drop),
                |it| it.bool().map(drop),
                |it| it.i64_not_negative().map(drop),
            ];
            for read in typed {
                let mut reader = Reader::new(value);
                // A value or an error, and no further than the value goes.
                let _ = read(&mut reader);
                assert!(reader.position() <= value.len());
            }
            format!("{:#x}", value[0])
        }
    }
}
