//! The session that a lock is held by, and what keeps it alive.

use std::convert::Infallible;
use std::future::{Future, pending};

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::base::runtime::{Either, Runtime, first_of};
use crate::base::{Duration, go_duration};
use crate::cli::api::Api;

/// Of the session: nothing else ends it when this process dies.
const TTL: Duration = Duration::from_secs(15);
/// After a renewal that failed.
const RETRY: Duration = Duration::from_secs(1);

/// A session of this process.
pub(super) struct Session<'a, R> {
    runtime: &'a R,
    api: &'a Api<'a, R>,
    pub id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    behavior: Option<&'static str>,
    name: &'a str,
    #[serde(rename = "TTL")]
    ttl: String,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Deserialize)]
struct Renewed {
    #[serde(rename = "TTL")]
    ttl: String,
}

impl<'a, R: Runtime> Session<'a, R> {
    /// Makes one. `deletes`: its keys go with it; else they are freed.
    pub async fn create(
        runtime: &'a R,
        api: &'a Api<'a, R>,
        name: &str,
        deletes: bool,
    ) -> Result<Self, String> {
        let behavior = deletes.then_some("delete");
        let wanted = Wanted { behavior, name, ttl: go_duration::format(TTL) };
        let body = serde_json::to_vec(&wanted).map_err(|error| error.to_string())?;
        let answer = api.call(Method::PUT, "/v1/session/create", &[], body.into()).await?;
        let created: Created = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("malformed answer: {error}"))?;
        Ok(Self { runtime, api, id: created.id })
    }

    /// Renews it at half of its time to live, as long as it is there. That it is gone is found by who
    /// looks at the lock: this never ends.
    pub async fn keep_alive(&self) -> Infallible {
        let (mut ttl, mut renewed) = (TTL, self.runtime.now());
        let mut pause = ttl / 2;
        while self.runtime.now().since(renewed) <= ttl {
            self.runtime.sleep(pause).await;
            match self.renew().await {
                Ok(Some(given)) => {
                    ttl = given;
                    pause = ttl / 2;
                    renewed = self.runtime.now();
                }
                Ok(None) => break,
                Err(_) => pause = RETRY,
            }
        }
        pending().await
    }

    /// Its time to live from now on; none: there is no such session.
    async fn renew(&self) -> Result<Option<Duration>, String> {
        let path = format!("/v1/session/renew/{}", self.id);
        let answer = self.api.exchange(Method::PUT, &path, &[], Bytes::new()).await?;
        match answer.status {
            200 => {
                let renewed: Vec<Renewed> = serde_json::from_slice(&answer.body)
                    .map_err(|error| format!("malformed answer: {error}"))?;
                let ttl = renewed.first().and_then(|it| go_duration::parse_span(&it.ttl));
                Ok(Some(ttl.filter(|ttl| !ttl.is_zero()).unwrap_or(TTL)))
            }
            404 => Ok(None),
            status => Err(format!("Unexpected response code: {status}")),
        }
    }

    /// Ends it. One that cannot be ended now ends with its time.
    pub async fn destroy(&self) {
        let path = format!("/v1/session/destroy/{}", self.id);
        let _late = self.api.call(Method::PUT, &path, &[], Bytes::new()).await;
    }
}

/// Does something while something else goes on that never ends.
pub(super) async fn alongside<T>(
    background: impl Future<Output = Infallible>,
    work: impl Future<Output = T>,
) -> T {
    match first_of(work, background).await {
        Either::First(done) => done,
        Either::Second(never) => match never {},
    }
}
