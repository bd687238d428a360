//! The loop over a [`Runtime`]: one connection to an agent, one question at a time.

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
use super::poller::{Input, Marker, Output, Poller};

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

/// Runs a watch until its owner breaks off.
pub async fn run<R: Runtime, O: Owner>(
    runtime: &R,
    place: &Place,
    plan: &Plan,
    owner: &mut O,
) -> O::End {
    let mut out = Vec::new();
    // An event's index is a name, not an order.
    let ordered = !matches!(plan.subject, Subject::Event { .. });
    let mut poller = Poller::begin(ordered, &mut out);
    let mut link = None;
    loop {
        let Some(output) = out.pop() else {
            // Nothing is under way: it pauses.
            let pause = poller.deadline().unwrap_or_else(|| runtime.now());
            runtime.sleep(pause.since(runtime.now())).await;
            poller.step(runtime.now(), Input::Wake, &mut out);
            continue;
        };
        let input = match output {
            Output::Ask(after) => Some(look(runtime, place, plan, after.as_ref(), &mut link).await),
            Output::Hand(marker, data) => {
                match owner.hand(Handed::Result(marker.index(), data)).await {
                    ControlFlow::Continue(()) => Some(Input::Handled),
                    ControlFlow::Break(ended) => return ended,
                }
            }
            Output::Errored(why, retry) => match owner.hand(Handed::Errored(why, retry)).await {
                ControlFlow::Continue(()) => None,
                ControlFlow::Break(ended) => return ended,
            },
        };
        if let Some(input) = input {
            poller.step(runtime.now(), input, &mut out);
        }
    }
}

/// Asks once. A connection that was kept and turns out to be closed is replaced.
async fn look<R: Runtime>(
    runtime: &R,
    place: &Place,
    plan: &Plan,
    after: Option<&Marker>,
    link: &mut Option<Client<R::Stream>>,
) -> Input {
    let target = plan.target(after);
    let answer = match ask(runtime, place, plan, &target, link).await {
        Ok(answer) => answer,
        Err(why) => {
            let Place { host, port } = place;
            return Input::Failed(format!("Get \"http://{host}:{port}{target}\": {why}"));
        }
    };
    match plan.read(&answer, after) {
        Ok((marker, data)) => Input::Answered(marker, data),
        Err(why) => Input::Failed(why),
    }
}

async fn ask<R: Runtime>(
    runtime: &R,
    place: &Place,
    plan: &Plan,
    target: &str,
    link: &mut Option<Client<R::Stream>>,
) -> Result<Answer, String> {
    let token = HeaderValue::try_from(plan.token.as_str())
        .map_err(|_| "net/http: invalid header field value for \"X-Consul-Token\"".to_owned())?;
    let headers: &[_] = if plan.token.is_empty() { &[] } else { &[(TOKEN, token)] };
    if let Some(mut kept) = link.take().filter(Client::is_open) {
        match kept.request(Method::GET, target, headers, Bytes::new()).await {
            Ok(answer) => {
                *link = Some(kept);
                return Ok(answer);
            }
            // It was closed while nobody looked: certainly not asked.
            Err(ClientError::NotSent(_)) => {}
            Err(ClientError::NoAnswer(why)) => return Err(why),
        }
    }
    let stream = connect(runtime, place).await?;
    let mut fresh = Client::new(stream).await.map_err(|error| error.to_string())?;
    let answer = fresh.request(Method::GET, target, headers, Bytes::new()).await;
    let answer = answer.map_err(|error| error.to_string())?;
    *link = Some(fresh);
    Ok(answer)
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
