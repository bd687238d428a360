//! What the lock and the semaphore have in common: where they are, how long one waits, and how keys are
//! read and written.

use std::future::Future;
use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::attached::ChildSignal;
use crate::base::runtime::{Either, Runtime, first_of};
use crate::base::{Duration, Instant};
use crate::cli::Terminal;
use crate::cli::api::Api;
use crate::http::escape::escape_path;

use super::{Wanted, mutex, semaphore};

/// Blocking at most so long at a time.
const WAIT: Duration = Duration::from_secs(15);
/// Before another try at a key that a lock delay closes.
const RETRY: Duration = Duration::from_secs(5);
/// Before another look at a lock when the agent has failed.
const MONITOR_RETRY: Duration = Duration::from_secs(1);
/// The key below the prefix that all contenders know.
const LOCK_NAME: &str = ".lock";

/// One contender's part.
pub(super) struct Contest<'a, R> {
    runtime: &'a R,
    api: &'a Api<'a, R>,
    pub prefix: &'a str,
    pub limit: i64,
    /// None: for ever.
    timeout: Option<Duration>,
    monitor_retry: i64,
}

/// What became of the lock's key at the end.
pub(super) enum Cleanup {
    /// It is gone.
    Done,
    /// Somebody else has it.
    InUse,
}

/// A key as the API gives it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Pair {
    pub key: String,
    pub modify_index: u64,
    pub flags: u64,
    pub value: Option<String>,
    session: Option<String>,
}

impl Pair {
    /// Who holds it; none: nobody.
    pub fn holder(&self) -> Option<&str> {
        self.session.as_deref().filter(|id| !id.is_empty())
    }

    /// Its value.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        self.value.as_ref().and_then(|text| STANDARD.decode(text).ok())
    }
}

/// Tells a person what is waited for.
pub(super) struct Progress<'a, 'b> {
    terminal: Option<&'a mut Terminal<'b>>,
}

impl<'a, 'b> Progress<'a, 'b> {
    /// `watched`: somebody is there.
    pub fn new(watched: bool, terminal: &'a mut Terminal<'b>) -> Self {
        Self { terminal: watched.then_some(terminal) }
    }

    /// Once.
    pub fn waits(&mut self, text: impl FnOnce() -> String) {
        if let Some(terminal) = self.terminal.take() {
            terminal.fail(text());
        }
    }
}

/// How long an attempt may go on.
pub(super) struct Patience {
    began: Instant,
    attempts: u32,
}

impl<'a, R: Runtime> Contest<'a, R> {
    pub fn new(runtime: &'a R, api: &'a Api<'a, R>, wanted: &'a Wanted) -> Self {
        let Wanted { prefix, limit, timeout, monitor_retry, .. } = wanted;
        let (limit, timeout, monitor_retry) = (*limit, *timeout, *monitor_retry);
        Self { runtime, api, prefix, limit, timeout, monitor_retry }
    }

    /// The key that all contenders know.
    pub fn lock_key(&self) -> String {
        join(self.prefix, LOCK_NAME)
    }

    /// Tries until it holds the lock, for as long as it may; false: its time is over, or it was told to
    /// stop, which counts only while nothing is being written.
    pub async fn acquire(
        &self,
        session: &str,
        stop: Pin<&mut impl Future<Output = ChildSignal>>,
        progress: &mut Progress<'_, '_>,
    ) -> Result<bool, String> {
        match self.limit {
            1 => mutex::acquire(self, session, stop, progress).await,
            _ => semaphore::acquire(self, session, stop, progress).await,
        }
    }

    /// Ends once the lock is lost, or cannot be known to be held.
    pub async fn monitor(&self, session: &str) {
        let mut retries = self.monitor_retry;
        let mut index = 0;
        loop {
            let looked = match self.limit {
                1 => mutex::holds(self, session, index).await,
                _ => semaphore::holds(self, session, index).await,
            };
            match looked {
                Ok((true, next)) => (index, retries) = (next, self.monitor_retry),
                Ok((false, _)) => return,
                Err(why) if retries > 0 && is_passing(&why) => {
                    self.runtime.sleep(MONITOR_RETRY).await;
                    (index, retries) = (0, retries - 1);
                }
                Err(_) => return,
            }
        }
    }

    /// Gives the lock back.
    pub async fn release(&self, session: &str) -> Result<(), String> {
        match self.limit {
            1 => mutex::release(self, session).await,
            _ => semaphore::release(self, session).await,
        }
    }

    /// Removes the lock's key when nobody else has it.
    pub async fn clean_up(&self) -> Result<Cleanup, String> {
        match self.limit {
            1 => mutex::clean_up(self).await,
            _ => semaphore::clean_up(self).await,
        }
    }

    /// An attempt begins.
    pub fn patience(&self) -> Patience {
        Patience { began: self.runtime.now(), attempts: 0 }
    }

    /// How long the next question may block; none: the time is over.
    pub fn next_wait(&self, patience: &mut Patience) -> Option<Duration> {
        patience.attempts += 1;
        let Some(limit) = self.timeout else { return Some(WAIT) };
        let spent = self.runtime.now().since(patience.began);
        match patience.attempts {
            1 => Some(limit),
            _ => limit.checked_sub(spent).filter(|left| !left.is_zero()),
        }
    }

    /// Waits before another try; true: it was told to stop.
    pub async fn pauses(
        &self,
        patience: &Patience,
        stop: Pin<&mut impl Future<Output = ChildSignal>>,
    ) -> bool {
        let spent = self.runtime.now().since(patience.began);
        let pause = self.timeout.map_or(RETRY, |limit| limit.saturating_sub(spent).min(RETRY));
        matches!(first_of(stop, self.runtime.sleep(pause)).await, Either::First(_))
    }

    /// Reads a key, or all below a prefix; and where that stands.
    pub async fn read(
        &self,
        key: &str,
        params: &[(&str, &str)],
    ) -> Result<(Vec<Pair>, u64), String> {
        let answer = self.api.exchange(Method::GET, &path(key), params, Bytes::new()).await?;
        let index = answer.header("x-consul-index").and_then(|text| text.parse().ok());
        let pairs = match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|error| format!("malformed answer: {error}"))?,
            404 => Vec::new(),
            status => {
                let text = String::from_utf8_lossy(&answer.body);
                return Err(format!("Unexpected response code: {status} ({text})"));
            }
        };
        Ok((pairs, index.unwrap_or(0)))
    }

    /// As [`Contest::read`], for what is newer than `index`, but not for ever; none: told to stop.
    pub async fn read_or_stop(
        &self,
        key: &str,
        recurse: bool,
        (index, wait): (u64, Duration),
        stop: Pin<&mut impl Future<Output = ChildSignal>>,
    ) -> Result<Option<(Vec<Pair>, u64)>, String> {
        let index = index.to_string();
        let wait = format!("{}ms", wait.as_millis().max(1));
        let mut params = vec![("wait", wait.as_str())];
        params.extend((index != "0").then_some(("index", index.as_str())));
        params.extend(recurse.then_some(("recurse", "")));
        match first_of(stop, self.read(key, &params)).await {
            Either::First(_) => Ok(None),
            Either::Second(read) => read.map(Some),
        }
    }

    /// Writes a key; whether the condition held.
    pub async fn write(
        &self,
        method: Method,
        key: &str,
        params: &[(&str, &str)],
        value: Bytes,
    ) -> Result<bool, String> {
        let answer = self.api.call(method, &path(key), params, value).await?;
        Ok(answer.body.windows(4).any(|word| word == b"true"))
    }
}

/// Whether a failure may pass: the servers are without a leader, or there was no answer at all.
fn is_passing(why: &str) -> bool {
    why.starts_with("Get ") || why.contains("Unexpected response code: 500")
}

fn path(key: &str) -> String {
    let mut path = String::from("/v1/kv/");
    escape_path(key, &mut path);
    path
}

/// Go's `path.Join` of two.
pub(super) fn join(prefix: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in prefix.split('/').chain([name]) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|it| *it != "..") => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_joined_as_go_joins_paths() {
        for (prefix, key) in [
            ("my/lock", "my/lock/.lock"),
            ("a//b/", "a/b/.lock"),
            ("a/./b/../c", "a/c/.lock"),
            ("..", "../.lock"),
            ("", ".lock"),
        ] {
            assert_eq!(join(prefix, LOCK_NAME), key);
        }
    }
}
