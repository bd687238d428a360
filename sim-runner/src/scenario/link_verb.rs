//! The verbs that act on links (language section 6): on all links of some nodes, or on one, in one
//! direction or both.

use super::fault::{LinkFault, Links, Proto};
use super::model::Action;
use super::reader::Reader;
use super::target::{self, Setting};
use super::tree::{Item, Table};
use super::verb::required;
use super::words;

/// Reads a step of such a verb.
pub fn link(reader: &mut Reader, table: &Table, verb: &str) -> Option<Action> {
    let links = match (table.entry("target"), table.entry("link")) {
        (Some(_), Some(entry)) => {
            reader.error(entry.place, "`target` and `link` exclude each other");
            None
        }
        (None, None) => {
            let place = table.entry("do").map_or(table.place, |entry| entry.value.place);
            let help = "for example target = \"leader\", or link = \"n1 -> n2\"";
            reader.advise(place, format!("{verb:?} needs `target` or `link`"), help);
            None
        }
        (Some(entry), None) => {
            reader.target(&entry.value, "`target`", Setting::Plain).map(Links::Of)
        }
        (None, Some(entry)) => between(reader, &entry.value),
    };
    let proto = table.get("proto").and_then(|item| reader.word(item, "`proto`", words::PROTO));
    let proto = proto.map(|word| if word == "udp" { Proto::Udp } else { Proto::Tcp });
    let owner = format!("{verb:?}");
    let mut ratio = |example: &str| {
        let item = required(reader, table, "ratio", &owner, example)?;
        reader.ratio(item, "`ratio`")
    };
    let fault = match verb {
        "lose" => LinkFault::Lose(ratio("ratio = \"1/10\"")?),
        "duplicate" => LinkFault::Duplicate(ratio("ratio = \"1/10\"")?),
        "reorder" => LinkFault::Reorder(ratio("ratio = \"1/10\"")?),
        "corrupt" => LinkFault::Corrupt(ratio("ratio = \"1/100\"")?),
        "slow" => {
            let item = required(reader, table, "by", &owner, "by = \"50ms..200ms\"")?;
            LinkFault::Slow(reader.span(item, "`by`")?)
        }
        "throttle" => {
            let item = required(reader, table, "to", &owner, "to = \"64Kbit/s\"")?;
            LinkFault::Throttle(reader.bandwidth(item, "`to`")?)
        }
        "clog" => LinkFault::Clog,
        "reset" => LinkFault::Reset,
        "refuse" => LinkFault::Refuse,
        _ => LinkFault::Blackhole,
    };
    Some(Action::Link { links: links?, proto, fault })
}

/// `"A -> B"` or `"A <-> B"`.
fn between(reader: &mut Reader, item: &Item) -> Option<Links> {
    let text = reader.text(item, "`link`")?;
    let written = text.text.as_str();
    let split = written.split_once("<->").map(|pair| (pair, true));
    let Some(((from, to), both)) = split.or_else(|| Some((written.split_once("->")?, false)))
    else {
        let help = "write link = \"n1 -> n2\" for one direction, or \"n1 <-> n2\" for both";
        reader.advise(item.place, format!("{written:?} is no link"), help);
        return None;
    };
    let at = written.len() - to.len();
    let mut side = |part: &str, at: usize| {
        let lead = part.len() - part.trim_start().len();
        let result = target::parse(part.trim(), &reader.names, Setting::Groups);
        reader.accept(text, result.map_err(|fault| fault.shifted(at + lead)))
    };
    let (from, to) = (side(from, 0), side(to, at));
    Some(Links::Between { from: from?, to: to?, both })
}

impl LinkFault {
    /// The verb, as users write it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            LinkFault::Slow(_) => "slow",
            LinkFault::Lose(_) => "lose",
            LinkFault::Duplicate(_) => "duplicate",
            LinkFault::Reorder(_) => "reorder",
            LinkFault::Corrupt(_) => "corrupt",
            LinkFault::Throttle(_) => "throttle",
            LinkFault::Clog => "clog",
            LinkFault::Reset => "reset",
            LinkFault::Refuse => "refuse",
            LinkFault::Blackhole => "blackhole",
        }
    }
}
