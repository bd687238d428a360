//! Lookups by DNS: the verb `dns` (language section 6) and the workload of that name (section 8).
//!
//! A query is a name and a type, as `dig` takes them: `"web.service.consul SRV"`; without a type it is
//! A. `answers` is the number of records in the answer, or a list: then there are exactly as many, and
//! each has one of the texts in it. The texts of `contains` and `excludes` are parts of the whole answer
//! as `dig` shows it. The workload's `services` are a number, of those that `catalog` and `health`
//! register, or names.

use super::model::Target;
use super::reader::Reader;
use super::target::Setting;
use super::toml_text::{list, quoted};
use super::tree::{Item, Kind, Table};
use super::verb::required;
use super::words;
use super::workload_plan::{SERVICES, service_name};

/// `dns`, the verb.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsStep {
    /// On which node.
    pub via: Target,
    /// The name; texts in braces are filled in when it fires.
    pub name: String,
    /// The type of record: `SRV`.
    pub kind: String,
    /// By TCP at once.
    pub tcp: bool,
    /// What the answer must be.
    pub expect: DnsExpect,
    /// Whether `within` was given: then it is repeated until the answer is as expected.
    pub retry: bool,
}

/// `expect` of `dns`; all that are given must hold. `{T}` is filled in when it fires.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnsExpect {
    /// `NOERROR`, `NXDOMAIN`, …
    pub rcode: Option<String>,
    /// The records of the answer.
    pub answers: Option<Answers>,
    /// Parts of the answer, of whatever section.
    pub contains: Vec<String>,
    /// Not parts of it.
    pub excludes: Vec<String>,
}

/// `answers`.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// So many.
    Count(u64),
    /// One with each of these texts in it, and no others.
    Each(Vec<String>),
}

/// `kind = "dns"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsWorkload {
    /// Their names.
    pub services: Vec<String>,
    /// Types of record, with weights.
    pub types: Vec<(String, u64)>,
}

/// Reads the verb.
pub fn step(reader: &mut Reader, table: &Table) -> Option<DnsStep> {
    let via = required(reader, table, "via", "\"dns\"", "via = \"n1\"")
        .and_then(|item| reader.target(item, "`via`", Setting::Plain));
    let example = "query = \"web.service.consul SRV\"";
    let query =
        required(reader, table, "query", "\"dns\"", example).and_then(|item| query(reader, item));
    let tcp = table.get("tcp").and_then(|item| reader.boolean(item, "`tcp`"));
    let expect = table.get("expect").and_then(|item| expect(reader, item));
    let (name, kind) = query?;
    Some(DnsStep {
        via: via?,
        name,
        kind,
        tcp: tcp.unwrap_or_default(),
        expect: expect.unwrap_or_default(),
        retry: table.get("within").is_some(),
    })
}

fn query(reader: &mut Reader, item: &Item) -> Option<(String, String)> {
    let text = reader.text(item, "`query`")?;
    reader.template(item, "`query`")?;
    let parts: Vec<&str> = text.text.split_whitespace().collect();
    let (name, kind) = match parts[..] {
        [name] => (name, "A"),
        [name, kind] => (name, kind),
        _ => {
            let help = "a query is a name and a type: \"web.service.consul SRV\"";
            reader.advise(item.place, format!("{:?} is no query", text.text), help);
            return None;
        }
    };
    if !words::RECORD_TYPES.has(kind) {
        let at = text.text.rfind(kind).unwrap_or_default();
        reader.unknown_word(text.part(at..at + kind.len()), kind, words::RECORD_TYPES);
        return None;
    }
    Some((name.to_owned(), kind.to_owned()))
}

fn expect(reader: &mut Reader, item: &Item) -> Option<DnsExpect> {
    let table = reader.table(item, "`expect`")?;
    reader.keys(table, "`expect`", words::DNS_EXPECT);
    let rcode = table.get("rcode").and_then(|item| reader.word(item, "`rcode`", words::RCODES));
    let mut expect = DnsExpect { rcode, ..DnsExpect::default() };
    expect.answers = table.get("answers").and_then(|item| match item.kind {
        Kind::Array(_) => Some(Answers::Each(reader.templates(item, "`answers`"))),
        _ => reader.integer(item, "`answers`", 0, 10_000).map(Answers::Count),
    });
    for (key, list) in [("contains", &mut expect.contains), ("excludes", &mut expect.excludes)] {
        if let Some(item) = table.get(key) {
            *list = reader.templates(item, &format!("`{key}`"));
        }
    }
    Some(expect)
}

/// Reads the keys of the workload.
pub fn workload(reader: &mut Reader, table: &Table) -> DnsWorkload {
    let services = table.get("services").map(|item| match &item.kind {
        Kind::Array(names) => {
            let read = |one| reader.text(one, "each service").map(|text| text.text.clone());
            let names: Vec<String> = names.iter().filter_map(read).collect();
            if names.is_empty() {
                reader.error(item.place, "`services` is none");
            }
            names
        }
        _ => numbered(reader.integer(item, "`services`", 1, 1000).unwrap_or(SERVICES)),
    });
    let types = table.get("types").map(|item| types(reader, item));
    DnsWorkload {
        services: services.unwrap_or_else(|| numbered(SERVICES)),
        types: types.unwrap_or_else(|| vec![("SRV".to_owned(), 1), ("A".to_owned(), 1)]),
    }
}

fn numbered(count: u64) -> Vec<String> {
    (0..count).map(service_name).collect()
}

fn types(reader: &mut Reader, item: &Item) -> Vec<(String, u64)> {
    match &item.kind {
        Kind::Table(_) => reader.weights(item, "`types`", words::LOOKED_UP),
        Kind::Array(items) => {
            let mut types: Vec<(String, u64)> = Vec::new();
            for one in items {
                let kind = reader.word(one, "each type", words::LOOKED_UP);
                types.extend(kind.map(|kind| (kind, 1)));
            }
            if items.is_empty() {
                reader.error(item.place, "`types` is none");
            }
            types
        }
        _ => {
            let kind = reader.word(item, "`types`", words::LOOKED_UP);
            kind.into_iter().map(|kind| (kind, 1)).collect()
        }
    }
}

/// `expect`, as TOML writes it.
#[must_use]
pub fn show_expect(expect: &DnsExpect) -> String {
    let mut parts = Vec::new();
    parts.extend(expect.rcode.as_ref().map(|rcode| format!("rcode = {}", quoted(rcode))));
    parts.extend(expect.answers.as_ref().map(|answers| match answers {
        Answers::Count(count) => format!("answers = {count}"),
        Answers::Each(texts) => format!("answers = {}", list(texts)),
    }));
    for (key, texts) in [("contains", &expect.contains), ("excludes", &expect.excludes)] {
        if !texts.is_empty() {
            parts.push(format!("{key} = {}", list(texts)));
        }
    }
    format!("{{ {} }}", parts.join(", "))
}
