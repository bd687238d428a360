//! What is compared of a DNS answer: code, flags, question, EDNS, and the records of each section.
//!
//! Records are sets (`sets`), lists (`ordered`), or, where chance chooses among many equal instances,
//! counted (`counts`) or only named by their kind (`kinds`): digits of what the case registered are `N`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::json;

use crate::dns::{Message, Record};
use crate::shape::Shape;
use crate::variables::regex;

/// Names and addresses that a case registered.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| regex(r"(?:\d+\.){3}\d+|[\w-]+"));
static NUMBERED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:\d+\.){3}\d+|[A-Za-z_0-9-]*\d[A-Za-z_0-9-]*"));
static DIGITS: LazyLock<Regex> = LazyLock::new(|| regex(r"\d+"));
/// A serial is the time of day, in seconds.
const SERIAL_LEAST: u64 = 1_000_000_000;

/// The words in the text of a case.
pub fn words(text: &str) -> BTreeSet<String> {
    KNOWN.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// How a step wants its answer compared.
pub struct Mode<'a> {
    /// `sets`, `ordered`, `counts` or `kinds`.
    pub records: &'a str,
    /// Bytes that an answer by UDP may have.
    pub max_size: Option<usize>,
    /// Replaces the names of this run.
    pub text: &'a dyn Fn(&str) -> String,
    /// The words that the case registered.
    pub words: &'a BTreeSet<String>,
}

impl Mode<'_> {
    /// Adds what is compared of an answer.
    pub fn put(&self, message: &Message, out: &mut BTreeMap<String, Shape>) {
        let mut put = |key: &str, shape: Shape| drop(out.insert(key.to_owned(), shape));
        put("rcode", Shape::text(&message.rcode));
        put("flags", Shape::text(message.flags.join(" ")));
        put("question", Shape::texts(message.questions.iter().cloned()));
        if message.opcode != 0 {
            put("opcode", Shape::Plain(json!(message.opcode)));
        }
        if let Some(edns) = &message.edns {
            let edns = json!({"udp_size": edns.udp_size, "options": edns.options});
            put("edns", Shape::Plain(edns));
        }
        if let Some(most) = self.max_size.filter(|_| !message.over_tcp) {
            put("fits", Shape::Plain(json!(message.size <= most)));
        }
        put("answer", self.section(&message.answer));
        put("authority", self.section(&message.authority));
        put("additional", self.section(&message.additional));
        if message.trailing_bytes > 0 {
            put("trailing_bytes", Shape::Plain(json!(message.trailing_bytes)));
        }
    }

    fn section(&self, records: &[Record]) -> Shape {
        let lines = || records.iter().map(|record| self.line(record));
        let kinds = || records.iter().map(|record| self.kind(record)).collect::<BTreeSet<_>>();
        match self.records {
            "counts" => {
                let different: BTreeSet<String> = lines().collect();
                let [count, different] = [records.len(), different.len()];
                let number = |number: usize| Shape::Plain(json!(number));
                let (count, different) = (number(count), number(different));
                let kinds = Shape::texts(kinds());
                Shape::object([("count", count), ("different", different), ("kinds", kinds)])
            }
            "kinds" => Shape::texts(kinds()),
            "ordered" => Shape::texts(lines()),
            _ => Shape::Set(lines().map(Shape::text).collect()),
        }
    }

    fn line(&self, record: &Record) -> String {
        let Record { name, ttl_s, class, kind, data } = record;
        let mut words: Vec<&str> = data.split(' ').collect();
        let is_time = |word: &str| word.parse().is_ok_and(|serial: u64| serial > SERIAL_LEAST);
        if kind == "SOA" && words.get(2).is_some_and(|word| is_time(word)) {
            words[2] = "<serial>";
        }
        format!("{name} {ttl_s} {class} {kind} {}", (self.text)(&words.join(" ")))
    }

    fn kind(&self, record: &Record) -> String {
        let Record { name, ttl_s, class, kind, data } = record;
        let fields: Vec<&str> = data.split(' ').collect();
        let data = match fields.as_slice() {
            [priority, weight, port, target] if kind == "SRV" => {
                format!("{priority} {weight} {} {}", self.plain(port), self.plain(target))
            }
            _ => self.plain(&(self.text)(data)),
        };
        format!("{} {ttl_s} {class} {kind} {data}", self.plain(name))
    }

    fn plain(&self, text: &str) -> String {
        let word = |found: &Captures| {
            let known = self.words.contains(&found[0])
                || hex_address(&found[0]).is_some_and(|address| self.words.contains(&address));
            if known {
                DIGITS.replace_all(&found[0], "N").into_owned()
            } else {
                found[0].to_owned()
            }
        };
        NUMBERED.replace_all(text, word).into_owned()
    }
}

/// `0a000001.addr.dc1.consul` stands for 10.0.0.1.
fn hex_address(label: &str) -> Option<String> {
    let number = u32::from_str_radix(label, 16).ok().filter(|_| label.len() == 8)?;
    Some(std::net::Ipv4Addr::from(number).to_string())
}
