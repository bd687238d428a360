//! `kind = "txn"`: users read and write several keys in one transaction.
//!
//! Values are unique in the run, so that every read names its writer; a comparison is with the version
//! that the user last saw of the key. A third of the transactions read all keys at once. The keys
//! are `txn/0 txn/1 …`, which no other workload touches; none is deleted, so the order of all versions is
//! told by their indexes.

use std::collections::BTreeMap;

use crate::history::operation::Mode;
use crate::history::request::{Listed, Reply, Request, TxnOp, Verb};
use crate::scenario::model::TxnWorkload;

use super::client::{Client, Told};

const PREFIX: &str = "txn/";

/// One user's life.
pub async fn run(mut client: Client, plan: TxnWorkload) {
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    let mut written = 0;
    while client.turn().await {
        let ops = if client.prng.below(3) == 0 {
            let (key, verb) = (PREFIX.to_owned(), Verb::GetTree);
            vec![TxnOp { verb, key, value: None, index: None }]
        } else {
            draw(&mut client, plan, &versions, &mut written)
        };
        let Some(agent) = client.agent() else { return };
        let request = Request::Txn { mode: Mode::Consistent, ops };
        match client.ask(agent, PREFIX, request).await {
            Told::Reply(Reply::Committed(rows), _) => {
                versions.extend(rows.into_iter().map(|Listed { key, index, .. }| (key, index)));
            }
            // Some version was old: the next look at all keys tells.
            Told::Reply(..) => versions.clear(),
            Told::Refused | Told::Unknown => {}
        }
    }
}

/// As many operations as the plan says, each of another key where there are enough.
fn draw(
    client: &mut Client,
    plan: TxnWorkload,
    versions: &BTreeMap<String, u64>,
    written: &mut u64,
) -> Vec<TxnOp> {
    let mut keys: Vec<u64> = (0..u64::from(plan.keys)).collect();
    client.prng.shuffle(&mut keys);
    let mut ops = Vec::new();
    for key in keys.iter().cycle().take(plan.ops as usize) {
        let key = format!("{PREFIX}{key}");
        let known = versions.get(&key).copied();
        let verb = match (client.prng.below(4), known) {
            (0, Some(_)) => Verb::Get,
            (1, _) => Verb::Cas,
            _ => Verb::Set,
        };
        *written += 1;
        let value = (verb != Verb::Get).then(|| format!("{}.{written}", client.name));
        let index = (verb == Verb::Cas).then_some(known.unwrap_or(0));
        ops.push(TxnOp { verb, key, value, index });
    }
    ops
}
