//! `[network]`: how all links are, how some are otherwise, and how those between datacenters are
//! (language section 3).
//!
//! `link."A -> B"` is one direction, `link."A <-> B"` both. A and B are node names, `servers`,
//! `clients`, `all` or `users`: who they are is known before the run. Of several tables that name a
//! link the later wins, key by key. Links between datacenters do not exist in a cluster of one, so
//! `wan` says nothing there.

use super::diagnostic::Place;
use super::model::{LinkKeys, LinkPlan, NetworkPlan, Target};
use super::reader::Reader;
use super::target::{self, Setting};
use super::tree::{Entry, Table, Text};
use super::words;

/// `[network]`.
pub fn network(reader: &mut Reader, root: &Table) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    let Some(table) = root.get("network").and_then(|item| reader.table(item, "[network]")) else {
        return plan;
    };
    reader.keys(table, "[network]", words::NETWORK);
    keys(reader, table).onto(&mut plan);
    if let Some(links) = table.get("link").and_then(|item| reader.table(item, "`link`")) {
        for entry in &links.entries {
            let sides = between(reader, entry);
            let what = format!("`link.{:?}`", entry.key);
            let Some(table) = reader.table(&entry.value, &what) else { continue };
            reader.keys(table, &what, words::NETWORK_LINK);
            let keys = keys(reader, table);
            if let Some((from, to, both)) = sides {
                plan.links.push(LinkPlan { from, to, both, keys });
            }
        }
    }
    if let Some(table) = table.get("wan").and_then(|item| reader.table(item, "`wan`")) {
        reader.keys(table, "`wan`", words::NETWORK_LINK);
        plan.wan = Some(keys(reader, table));
    }
    plan
}

fn keys(reader: &mut Reader, table: &Table) -> LinkKeys {
    let mut ratio =
        |key: &str| table.get(key).and_then(|item| reader.ratio(item, &format!("`{key}`")));
    let (loss, duplicate) = (ratio("loss"), ratio("duplicate"));
    let (reorder, corrupt) = (ratio("reorder"), ratio("corrupt"));
    LinkKeys {
        latency: table.get("latency").and_then(|item| reader.span(item, "`latency`")),
        loss,
        duplicate,
        reorder,
        corrupt,
        bandwidth: table.get("bandwidth").and_then(|item| reader.bandwidth(item, "`bandwidth`")),
    }
}

/// The sides of `"A -> B"` or `"A <-> B"`.
fn between(reader: &mut Reader, entry: &Entry) -> Option<(Target, Target, bool)> {
    let written = entry.key.as_str();
    let both = written.split_once("<->").map(|sides| (sides, true));
    let Some(((from, to), both)) = both.or_else(|| Some((written.split_once("->")?, false))) else {
        let help = "write link.\"n1 -> n2\" for one direction, or link.\"n1 <-> n2\" for both";
        reader.advise(entry.place, format!("{written:?} is no link"), help);
        return None;
    };
    let from = side(reader, entry.place, from.trim());
    let to = side(reader, entry.place, to.trim());
    Some((from?, to?, both))
}

fn side(reader: &mut Reader, place: Place, written: &str) -> Option<Target> {
    let text = Text::whole(written, place);
    let result = target::parse(written, &reader.names, Setting::Groups);
    let target = reader.accept(&text, result)?;
    if is_fixed(&target) {
        return Some(target);
    }
    let help = "a link has nodes at its ends: n1, servers, clients, all or users";
    reader.advise(place, format!("who {written:?} is shows only while a run goes on"), help);
    None
}

/// Whether it is known before the run whom it means.
fn is_fixed(target: &Target) -> bool {
    matches!(
        target,
        Target::Node(_) | Target::Servers | Target::Clients | Target::All | Target::Users
    )
}
