//! Names of others: whole questions to recursors, and names that instances give as their address (spec api
//! 4.4, 4.8).
//!
//! A question goes out under a number of our own and from a port of its own, and only an answer with that
//! number, from there, to that question counts. NOERROR and NXDOMAIN are passed on as they came; after
//! anything else the next recursor is asked.

use std::net::SocketAddr;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::base::Duration;
use crate::base::runtime::Level;
use crate::dns::answer::{Client, Reply, Server};
use crate::dns::lookup::Absent;
use crate::dns::message::{Question, encode};
use crate::dns::name::{below, labels};
use crate::dns::settings::seconds;
use crate::dns::zone::{Found, Inquiry};
use crate::dns::{Backend, Settings, Transport};

/// Without EDNS so many records come with a name.
const RESOLVED_MAX: usize = 5;

impl<B: Backend> Server<B> {
    /// Passes a question on, and its answer back.
    pub(super) async fn recurse(
        &self,
        settings: &Settings,
        question: &Question,
        bytes: &[u8],
        client: Client,
    ) -> Reply {
        let name = question.name();
        for recursor in self.recursors(settings) {
            match self.exchange(settings, recursor, client.over, bytes, question).await {
                Ok((answer, 0 | 3)) => return Reply::Foreign(answer),
                Ok((_, code)) => {
                    let code = ResponseCode::from(0, code);
                    let text = format_args!(
                        "recurse failed for question: question={name} recursor={recursor} \
                         rcode={code}"
                    );
                    self.backend().log(Level::Debug, text);
                }
                Err(error) => {
                    let text = format_args!("recurse failed: error=\"{error}\"");
                    self.backend().log(Level::Error, text);
                }
            }
        }
        let text = format_args!(
            "all resolvers failed for question from client: question={name} client={} \
             client_network={}",
            client.at, client.over
        );
        self.backend().log(Level::Error, text);
        let mut reply = question.reply();
        reply.metadata.recursion_available = true;
        reply.metadata.response_code = ResponseCode::ServFail;
        question.set_edns(&mut reply, true);
        Reply::Own(Box::new(reply))
    }

    /// In the order in which they are asked.
    fn recursors(&self, settings: &Settings) -> Vec<SocketAddr> {
        let mut recursors = settings.config.recursors.clone();
        if settings.config.random_recursors {
            self.backend().shuffle(&mut recursors);
        }
        recursors
    }

    /// The answer under the number of the question that came, and its code.
    async fn exchange(
        &self,
        settings: &Settings,
        recursor: SocketAddr,
        over: Transport,
        bytes: &[u8],
        question: &Question,
    ) -> Result<(Vec<u8>, u8), String> {
        let id = (self.backend().draw() as u16).to_be_bytes();
        let within = settings.config.recursor_timeout;
        let mut message = bytes.to_vec();
        let asked_as: Vec<u8> = message.splice(..2, id).collect();
        let answered = self.backend().exchange(recursor, over, message, within).await;
        let mut answer = answered.map_err(|error| error.to_string())?;
        let Some(&[_, _, flags, code, ..]) = answer.first_chunk::<12>() else {
            return Err(format!("{recursor} answered {} bytes", answer.len()));
        };
        // Whole messages are read only here: what is passed on need not be understood.
        let is_answer = flags & 0x80 != 0 && answers(&answer, question);
        if !is_answer {
            return Err(format!("{recursor} answered another question"));
        }
        answer.splice(..2, asked_as);
        Ok((answer, code & 0xf))
    }

    /// What a name resolves to: by this agent if it is below the domain, else by the recursors.
    pub(super) async fn resolve(&self, inquiry: Inquiry<'_>, target: &Name) -> Vec<Record> {
        let Inquiry { settings, depth, .. } = inquiry;
        let names = labels(target);
        let domains = [&settings.config.domain, &settings.config.alt_domain];
        if let Some(before) = domains.into_iter().find_map(|domain| below(&names, domain)) {
            let Some(depth) = depth.checked_sub(1) else {
                let text = format_args!(
                    "Infinite recursion detected for name, won't perform any CNAME resolution.: \
                     name={target}"
                );
                self.backend().log(Level::Error, text);
                return Vec::new();
            };
            let question = Question::own(0, target.clone(), RecordType::ANY);
            let inner =
                Inquiry { settings, question: &question, labels: before, client: None, depth };
            // Boxed, because it may come here again.
            let found: Result<Found, Absent> = Box::pin(self.find(inner)).await;
            let Found { mut answers, is_long, .. } = found.unwrap_or_default();
            if is_long {
                answers.truncate(settings.udp_answers());
            }
            return answers;
        }
        self.resolve_elsewhere(settings, target).await
    }

    async fn resolve_elsewhere(&self, settings: &Settings, target: &Name) -> Vec<Record> {
        let question = Question::own(0, target.clone(), RecordType::A);
        let mut message = question.message.clone();
        message.add_query(question.query.clone());
        let Some(bytes) = encode(&message, true) else { return Vec::new() };
        for recursor in self.recursors(settings) {
            let answered =
                self.exchange(settings, recursor, Transport::Udp, &bytes, &question).await;
            let read = answered.and_then(|(answer, _)| {
                Message::from_vec(&answer).map_err(|error| error.to_string())
            });
            match read {
                Ok(answer) => return answer.answers,
                Err(error) => {
                    let text = format_args!(
                        "cname recurse failed for name: name={target} error=\"{error}\""
                    );
                    self.backend().log(Level::Error, text);
                }
            }
        }
        if !settings.config.recursors.is_empty() {
            let text = format_args!("all resolvers failed for name: name={target}");
            self.backend().log(Level::Error, text);
        }
        Vec::new()
    }

    /// Likewise, for an instance: addresses and names alone, and not too many.
    pub(super) async fn resolve_for_service(
        &self,
        inquiry: Inquiry<'_>,
        target: &Name,
        ttl: Duration,
    ) -> Vec<Record> {
        let mut found = self.resolve(inquiry, target).await;
        let usable = [RecordType::CNAME, RecordType::A, RecordType::AAAA];
        found.retain(|record| usable.contains(&record.record_type()));
        if inquiry.question.edns_size().is_none() {
            found.truncate(RESOLVED_MAX);
        }
        for record in &mut found {
            record.ttl = seconds(ttl);
        }
        found
    }
}

/// Whether a message is about this question. One without any question is: some say no more than a code.
fn answers(answer: &[u8], question: &Question) -> bool {
    if answer[4..6] == [0, 0] {
        return true;
    }
    let mut decoder = BinDecoder::new(answer);
    if decoder.read_slice(12).is_err() {
        return false;
    }
    Query::read(&mut decoder)
        .is_ok_and(|query| query.query_type() == question.kind() && query.name() == question.name())
}
