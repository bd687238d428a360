//! The lock: one key, held by the session of one contender. After Consul's `api.Lock`.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use hyper::Method;

use crate::base::attached::ChildSignal;
use crate::base::runtime::Runtime;

use super::contest::{Cleanup, Contest, Pair, Progress};

/// Marks a key as a lock.
const FLAGS: u64 = 0x2ddc_cbc0_58a5_0c18;

const CONFLICT: &str = "Existing key does not match lock use";

pub(super) async fn acquire<R: Runtime>(
    contest: &Contest<'_, R>,
    session: &str,
    mut stop: Pin<&mut impl Future<Output = ChildSignal>>,
    progress: &mut Progress<'_, '_>,
) -> Result<bool, String> {
    let key = contest.lock_key();
    let mut patience = contest.patience();
    let mut index = 0;
    loop {
        let Some(wait) = contest.next_wait(&mut patience) else { return Ok(false) };
        let read = contest.read_or_stop(&key, false, (index, wait), stop.as_mut()).await;
        let read = read.map_err(|why| format!("failed to read lock: {why}"))?;
        let Some((pairs, at)) = read else { return Ok(false) };
        let found = pairs.first();
        if found.is_some_and(|pair| pair.flags != FLAGS) {
            return Err(CONFLICT.to_owned());
        }
        match found.and_then(Pair::holder) {
            Some(holder) if holder == session => return Ok(true),
            Some(holder) => {
                progress.waits(|| format!("Waiting for {key}, which session {holder} holds"));
                index = at;
                continue;
            }
            None => {}
        }
        if put(contest, &key, "acquire", session)
            .await
            .map_err(|why| format!("failed to acquire lock: {why}"))?
        {
            return Ok(true);
        }
        // Somebody was faster; or nobody may, until the lock delay of one who was lost is over.
        index = 0;
        let (pairs, at) = contest.read(&key, &[]).await?;
        if pairs.first().and_then(Pair::holder).is_some() {
            index = at;
        } else {
            progress.waits(|| format!("Waiting for the lock delay of {key} to end"));
            if contest.pauses(&patience, stop.as_mut()).await {
                return Ok(false);
            }
        }
    }
}

async fn put<R: Runtime>(
    contest: &Contest<'_, R>,
    key: &str,
    what: &str,
    session: &str,
) -> Result<bool, String> {
    let flags = FLAGS.to_string();
    let params = [("flags", flags.as_str()), (what, session)];
    contest.write(Method::PUT, key, &params, Bytes::new()).await
}

/// Looks once; and where that stands.
pub(super) async fn holds<R: Runtime>(
    contest: &Contest<'_, R>,
    session: &str,
    index: u64,
) -> Result<(bool, u64), String> {
    let index = index.to_string();
    let mut params = vec![("consistent", "")];
    params.extend((index != "0").then_some(("index", index.as_str())));
    let (pairs, at) = contest.read(&contest.lock_key(), &params).await?;
    Ok((pairs.first().and_then(Pair::holder) == Some(session), at))
}

pub(super) async fn release<R: Runtime>(
    contest: &Contest<'_, R>,
    session: &str,
) -> Result<(), String> {
    // False: it was lost before.
    let released = put(contest, &contest.lock_key(), "release", session).await;
    released.map(|_| ()).map_err(|why| format!("failed to release lock: {why}"))
}

pub(super) async fn clean_up<R: Runtime>(contest: &Contest<'_, R>) -> Result<Cleanup, String> {
    let key = contest.lock_key();
    let read = contest.read(&key, &[]).await;
    let (pairs, _) = read.map_err(|why| format!("failed to read lock: {why}"))?;
    let Some(pair) = pairs.first() else { return Ok(Cleanup::Done) };
    if pair.flags != FLAGS {
        return Err(CONFLICT.to_owned());
    }
    if pair.holder().is_some() {
        return Ok(Cleanup::InUse);
    }
    let seen = pair.modify_index.to_string();
    let removed = contest.write(Method::DELETE, &key, &[("cas", &seen)], Bytes::new()).await;
    match removed.map_err(|why| format!("failed to remove lock: {why}"))? {
        true => Ok(Cleanup::Done),
        false => Ok(Cleanup::InUse),
    }
}
