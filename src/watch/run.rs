//! The loop over a [`Runtime`]: one question at a time, to whom the caller says, for whom the caller says.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use crate::base::Duration;
use crate::base::runtime::Runtime;
use crate::http::client::{Answer, Client, ClientError};

use super::plan::{Plan, Subject};
use super::poller::{Input, Output, Poller};
use super::query::Question;

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

/// Which agent is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or an address.
    pub host: String,
    /// Of its HTTP API.
    pub port: u16,
}

/// What a watch tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    /// A result, on one line without its end; and its index.
    Result(u64, Bytes),
    /// A question has failed; it is asked again after so long.
    Errored(String, Duration),
}

/// Whose watch it is.
pub trait Owner: Send {
    /// What the watch is to end with.
    type End: Send;
    /// Takes what the watch tells; the next question waits until this is done. Breaking ends the watch.
    fn hand(&mut self, told: Handed) -> impl Future<Output = ControlFlow<Self::End>> + Send;
}

/// How questions reach an agent.
pub trait Asker: Send {
    /// Asks once, and gives the answer whatever its status; or says why there is none.
    fn ask(
        &mut self,
        question: &Question<'_>,
    ) -> impl Future<Output = Result<Answer, String>> + Send;
}

/// Runs a watch until its owner breaks off.
pub async fn run<R: Runtime, A: Asker, O: Owner>(
    runtime: &R,
    asker: &mut A,
    plan: &Plan,
    owner: &mut O,
) -> O::End {
    let mut out = Vec::new();
    // An event's index is a name, not an order.
    let ordered = !matches!(plan.subject, Subject::Event { .. });
    let mut poller = Poller::begin(ordered, &mut out);
    loop {
        let Some(output) = out.pop() else {
            // Nothing is under way: it pauses.
            let now = runtime.now();
            runtime.sleep(poller.deadline().unwrap_or(now).since(now)).await;
            poller.step(runtime.now(), Input::Wake, &mut out);
            continue;
        };
        let told = match output {
            Output::Ask(after) => {
                let answer = asker.ask(&plan.question(after.as_ref())).await;
                let read = answer.and_then(|answer| plan.read(&answer, after.as_ref()));
                let input = match read {
                    Ok((marker, data)) => Input::Answered(marker, data),
                    Err(why) => Input::Failed(why),
                };
                poller.step(runtime.now(), input, &mut out);
                continue;
            }
            Output::Hand(marker, data) => Handed::Result(marker.index(), data),
            Output::Errored(why, retry) => Handed::Errored(why, retry),
        };
        if let ControlFlow::Break(ended) = owner.hand(told).await {
            return ended;
        }
        // After an error there is nothing to be done with: it passes over this.
        poller.step(runtime.now(), Input::Handled, &mut out);
    }
}

/// A connection to an agent that is kept from one question to the next.
pub struct Link<R: Runtime> {
    runtime: R,
    place: Place,
    /// Empty: none.
    token: String,
    kept: Option<Client<R::Stream>>,
}

impl<R: Runtime> Link<R> {
    /// Connects with the first question.
    pub fn new(runtime: R, place: Place, token: String) -> Self {
        Self { runtime, place, token, kept: None }
    }

    async fn answer(&mut self, target: &str) -> Result<Answer, String> {
        let token = HeaderValue::try_from(self.token.as_str()).map_err(|_| {
            "net/http: invalid header field value for \"X-Consul-Token\"".to_owned()
        })?;
        let headers: &[_] = if self.token.is_empty() { &[] } else { &[(TOKEN, token)] };
        if let Some(mut kept) = self.kept.take().filter(Client::is_open) {
            match kept.request(Method::GET, target, headers, Bytes::new()).await {
                Ok(answer) => {
                    self.kept = Some(kept);
                    return Ok(answer);
                }
                // It was closed while nobody looked: certainly not asked.
                Err(ClientError::NotSent(_)) => {}
                Err(ClientError::NoAnswer(why)) => return Err(why),
            }
        }
        let stream = connect(&self.runtime, &self.place).await?;
        let mut fresh = Client::new(stream).await.map_err(|error| error.to_string())?;
        let answer = fresh.request(Method::GET, target, headers, Bytes::new()).await;
        let answer = answer.map_err(|error| error.to_string())?;
        self.kept = Some(fresh);
        Ok(answer)
    }
}

impl<R: Runtime> Asker for Link<R> {
    async fn ask(&mut self, question: &Question<'_>) -> Result<Answer, String> {
        let target = question.target();
        let answer = self.answer(&target).await;
        let Place { host, port } = &self.place;
        answer.map_err(|why| format!("Get \"http://{host}:{port}{target}\": {why}"))
    }
}

async fn connect<R: Runtime>(runtime: &R, place: &Place) -> Result<R::Stream, String> {
    let found = runtime.resolve(&place.host).await.unwrap_or_default();
    let Some(ip) = found.first() else {
        return Err(format!("dial tcp: lookup {}: no such host", place.host));
    };
    let address = SocketAddr::new(*ip, place.port);
    runtime.connect(address).await.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::TimedOut => "connection timed out".to_owned(),
            _ => error.to_string(),
        };
        format!("dial tcp {address}: connect: {why}")
    })
}
