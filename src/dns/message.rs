//! DNS messages: what is taken for a question, and how an answer is put on the wire (RFC 1035, 6891, 7871).
//!
//! Who may ask, in the order in which it is looked at; as Consul's DNS library (miekg/dns) does:
//! * fewer bytes than a head, or an answer: dropped, for whatever is said to it could be sent to others;
//! * another operation than a query or a notification: NOTIMP;
//! * not one question, or too many records for one: FORMERR;
//! * what cannot be read: FORMERR, with the question if that could be read.
//!
//! Class is not looked at. Only the question, and EDNS, of a message count.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{
    BinDecodable, BinDecoder, BinEncodable, BinEncoder, NameEncoding,
};

/// A message has no more, bytes.
pub const MAX_MESSAGE: usize = 65_535;
/// A head has so many.
const HEAD: usize = 12;

/// A question that can be answered.
#[derive(Debug)]
pub(super) struct Question {
    /// What came.
    pub message: Message,
    /// What is asked.
    pub query: Query,
}

/// What came instead of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not worth an answer.
    Dropped,
    /// This is the answer.
    Answered(Vec<u8>),
}

impl Question {
    /// Reads what came.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let Some(head) = bytes.first_chunk::<HEAD>() else { return Err(Refused::Dropped) };
        let count = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        if head[2] & 0x80 != 0 {
            return Err(Refused::Dropped);
        }
        if !matches!((head[2] >> 3) & 0xf, 0 | 4) {
            return Err(refusal(head, ResponseCode::NotImp, &[]));
        }
        let [questions, answers, authorities, additionals] = [4, 6, 8, 10].map(count);
        if questions != 1 || answers > 1 || authorities > 1 || additionals > 2 {
            return Err(refusal(head, ResponseCode::FormErr, &[]));
        }
        match Message::from_vec(bytes) {
            Ok(mut message) if message.queries.len() == 1 => {
                let query = message.queries.remove(0);
                Ok(Self { message, query })
            }
            _ => Err(refusal(head, ResponseCode::FormErr, question_alone(bytes))),
        }
    }

    /// A question that this agent asks itself, on its way to a name.
    pub fn own(id: u16, name: Name, kind: RecordType) -> Self {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        Self { message, query: Query::query(name, kind) }
    }

    /// What is asked for.
    pub fn name(&self) -> &Name {
        self.query.name()
    }

    /// Of which type.
    pub fn kind(&self) -> RecordType {
        self.query.query_type()
    }

    /// The asker knows EDNS, and takes datagrams of this size.
    pub fn edns_size(&self) -> Option<u16> {
        self.message.edns.as_ref().map(Edns::max_payload)
    }

    /// The network on whose behalf is asked.
    pub fn subnet(&self) -> Option<&ClientSubnet> {
        match self.message.edns.as_ref()?.option(EdnsCode::Subnet) {
            Some(EdnsOption::Subnet(subnet)) => Some(subnet),
            _ => None,
        }
    }

    /// An answer without records.
    pub fn reply(&self) -> Message {
        let asked = &self.message.metadata;
        let mut reply = Message::response(asked.id, asked.op_code);
        let is_query = asked.op_code == OpCode::Query;
        reply.metadata.recursion_desired = is_query && asked.recursion_desired;
        reply.metadata.checking_disabled = is_query && asked.checking_disabled;
        reply.add_query(self.query.clone());
        reply
    }

    /// Answers in EDNS who asked with it. `everywhere`: the answer is the same for all networks.
    pub fn set_edns(&self, reply: &mut Message, everywhere: bool) {
        let Some(size) = self.edns_size() else { return };
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        if let Some(subnet) = self.subnet() {
            let failed = reply.metadata.response_code != ResponseCode::NoError;
            let scope = if everywhere || failed { 0 } else { subnet.source_prefix() };
            let told = ClientSubnet::new(subnet.addr(), subnet.source_prefix(), scope);
            edns.options_mut().insert(EdnsOption::Subnet(told));
        }
        reply.set_edns(edns);
    }
}

/// An answer without records to what cannot be answered.
fn refusal(head: &[u8; HEAD], code: ResponseCode, question: &[u8]) -> Refused {
    let mut answer = head.to_vec();
    // It is an answer now, and no authority's; what is malformed counts as a query.
    answer[2] = (answer[2] | 0x80) & 0xfb;
    if code == ResponseCode::FormErr {
        answer[2] &= 0x87;
    }
    answer[3] = (answer[3] & 0xb0) | code.low();
    answer[4..].fill(0);
    answer[5] = u8::from(!question.is_empty());
    answer.extend_from_slice(question);
    Refused::Answered(answer)
}

/// The bytes of a message's first question; none when it cannot be read. Names in it cannot point back.
fn question_alone(bytes: &[u8]) -> &[u8] {
    let mut decoder = BinDecoder::new(bytes);
    let skipped = decoder.read_slice(HEAD).is_ok();
    let start = decoder.index();
    let is_read = skipped && Query::read(&mut decoder).is_ok();
    if is_read { &bytes[start..decoder.index()] } else { &[] }
}

/// The bytes of a message; none when it does not fit into one or holds what cannot be written.
pub(super) fn encode(message: &Message, compress: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    let mut encoder = BinEncoder::new(&mut bytes);
    if !compress {
        encoder.set_name_encoding(NameEncoding::Uncompressed);
    }
    message.emit(&mut encoder).ok()?;
    // The encoder leaves out what does not fit, and says so in the head alone.
    let cut = bytes.get(2).is_some_and(|flags| flags & 2 != 0) && !message.metadata.truncation;
    (!cut).then_some(bytes)
}

/// How long it would be; more than any message when it does not fit into one.
pub(super) fn len(message: &Message, compress: bool) -> usize {
    encode(message, compress).map_or(usize::MAX, |bytes| bytes.len())
}
