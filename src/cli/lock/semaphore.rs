//! The semaphore: a key for each contender, held by its session, and one key that lists who has a place.
//! After Consul's `api.Semaphore`.
//!
//! The list is changed by check-and-set alone. A contender that died takes its own key with it (its
//! session deletes); whoever reads the list next drops it from there.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::base::attached::ChildSignal;
use crate::base::runtime::Runtime;

use super::contest::{Cleanup, Contest, Pair, Progress, join};

/// Marks a key as a semaphore's.
const FLAGS: u64 = 0xe0f6_9a2b_aa41_4de0;

const CONFLICT: &str = "Existing key does not match semaphore use";

/// The value of the key that all contenders know.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Places {
    limit: i64,
    /// Session ids.
    holders: BTreeMap<String, bool>,
}

/// The list as it stands.
struct Seen {
    places: Places,
    /// 0: there is no list yet.
    modify_index: u64,
}

impl Seen {
    /// Out of all keys below the prefix; without those who are dead.
    fn of<R: Runtime>(contest: &Contest<'_, R>, pairs: &[Pair]) -> Result<Self, String> {
        let key = contest.lock_key();
        let pair = pairs.iter().find(|pair| pair.key == key);
        if pair.is_some_and(|pair| pair.flags != FLAGS) {
            return Err(CONFLICT.to_owned());
        }
        let mut seen = Self::decoded(contest, pair)?;
        let is_alive = |id: &String| pairs.iter().any(|pair| pair.holder() == Some(id));
        seen.places.holders.retain(|id, _| is_alive(id));
        Ok(seen)
    }

    fn decoded<R: Runtime>(contest: &Contest<'_, R>, pair: Option<&Pair>) -> Result<Self, String> {
        let modify_index = pair.map_or(0, |pair| pair.modify_index);
        let places = match pair.and_then(Pair::bytes) {
            None => Places { limit: contest.limit, holders: BTreeMap::new() },
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("lock decoding failed: {error}"))?,
        };
        Ok(Self { places, modify_index })
    }

    /// Writes the list, if it is still as it was seen.
    async fn write<R: Runtime>(&self, contest: &Contest<'_, R>) -> Result<bool, String> {
        let value = serde_json::to_vec(&self.places)
            .map_err(|error| format!("lock encoding failed: {error}"))?;
        let (seen, flags) = (self.modify_index.to_string(), FLAGS.to_string());
        let params = [("cas", seen.as_str()), ("flags", &flags)];
        let wrote = contest.write(Method::PUT, &contest.lock_key(), &params, value.into()).await;
        wrote.map_err(|why| format!("failed to update lock: {why}"))
    }
}

pub(super) async fn acquire<R: Runtime>(
    contest: &Contest<'_, R>,
    session: &str,
    mut stop: Pin<&mut impl Future<Output = ChildSignal>>,
    progress: &mut Progress<'_, '_>,
) -> Result<bool, String> {
    let (own, flags) = (join(contest.prefix, session), FLAGS.to_string());
    let params = [("acquire", session), ("flags", &flags)];
    match contest.write(Method::PUT, &own, &params, Bytes::new()).await {
        Ok(true) => {}
        Ok(false) => return Err("failed to make contender entry: <nil>".to_owned()),
        Err(why) => return Err(format!("failed to make contender entry: {why}")),
    }
    let mut patience = contest.patience();
    let mut index = 0;
    loop {
        let Some(wait) = contest.next_wait(&mut patience) else { return Ok(false) };
        let read = contest.read_or_stop(contest.prefix, true, (index, wait), stop.as_mut()).await;
        let read = read.map_err(|why| format!("failed to read prefix: {why}"))?;
        let Some((pairs, at)) = read else { return Ok(false) };
        let mut seen = Seen::of(contest, &pairs)?;
        let Places { limit, holders } = &mut seen.places;
        if *limit != contest.limit {
            let own = contest.limit;
            return Err(format!("semaphore limit conflict (lock: {limit}, local: {own})"));
        }
        if i64::try_from(holders.len()).is_ok_and(|taken| taken >= *limit) {
            let prefix = contest.prefix;
            progress.waits(|| format!("Waiting for one of the {limit} places of {prefix}"));
            index = at;
            continue;
        }
        holders.insert(session.to_owned(), true);
        if seen.write(contest).await? {
            return Ok(true);
        }
    }
}

/// Looks once; and where that stands.
pub(super) async fn holds<R: Runtime>(
    contest: &Contest<'_, R>,
    session: &str,
    index: u64,
) -> Result<(bool, u64), String> {
    let index = index.to_string();
    let mut params = vec![("consistent", ""), ("recurse", "")];
    params.extend((index != "0").then_some(("index", index.as_str())));
    let (pairs, at) = contest.read(contest.prefix, &params).await?;
    Ok((Seen::of(contest, &pairs)?.places.holders.contains_key(session), at))
}

pub(super) async fn release<R: Runtime>(
    contest: &Contest<'_, R>,
    session: &str,
) -> Result<(), String> {
    loop {
        let (pairs, _) = contest.read(&contest.lock_key(), &[]).await?;
        let mut seen = Seen::decoded(contest, pairs.first())?;
        if seen.places.holders.remove(session).is_none() || seen.write(contest).await? {
            break;
        }
    }
    let own = join(contest.prefix, session);
    contest.write(Method::DELETE, &own, &[], Bytes::new()).await.map(|_| ())
}

pub(super) async fn clean_up<R: Runtime>(contest: &Contest<'_, R>) -> Result<Cleanup, String> {
    let read = contest.read(contest.prefix, &[("recurse", "")]).await;
    let (pairs, _) = read.map_err(|why| format!("failed to read prefix: {why}"))?;
    let seen = Seen::of(contest, &pairs)?;
    if seen.modify_index == 0 {
        return Ok(Cleanup::Done);
    }
    if !seen.places.holders.is_empty() {
        return Ok(Cleanup::InUse);
    }
    let cas = seen.modify_index.to_string();
    let key = contest.lock_key();
    let removed = contest.write(Method::DELETE, &key, &[("cas", &cas)], Bytes::new()).await;
    match removed.map_err(|why| format!("failed to remove semaphore: {why}"))? {
        true => Ok(Cleanup::Done),
        false => Ok(Cleanup::InUse),
    }
}
