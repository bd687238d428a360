//! Filter expressions: what anybody may put into `?filter=`.
//!
//! * No panic and no deep recursion, whatever the text; errors are short.
//! * What is read is about rows of its kind: it keeps or drops any of them without fail, and says the same
//!   twice.
//! * `not (e)` keeps what `e` drops.

use proconsul::base::Prng;
use proconsul::http::filter::{
    CHECK, CHECK_SERVICE_NODE, Filter, MAX_DEPTH, NODE, SERVICE, SERVICE_NODE, Schema, Selectable,
};
use proconsul::state::{CheckServiceNode, HealthCheck, Node, NodeService};

use super::Target;

pub const ALL: &[Target] = &[Target { name: "filter", run: filter, corpus: expressions }];

fn rows() -> Vec<CheckServiceNode> {
    let row = |n: u64| {
        let text = |of: &str| format!("{of}{n}");
        let meta = [("rack".to_owned(), text("r")), ("os".to_owned(), "linux".to_owned())];
        let check = HealthCheck {
            check_id: text("c"),
            status: if n == 0 { "passing" } else { "critical" }.to_owned(),
            ..HealthCheck::default()
        };
        let tags = if n == 0 { Vec::new() } else { vec![text("v"), "in".to_owned()] };
        let service = NodeService {
            id: text("web"),
            service: "web".to_owned(),
            tags,
            port: 8000 + n,
            ..NodeService::default()
        };
        let node = Node { node: text("n"), meta: meta.into(), ..Node::default() };
        let checks = if n < 2 { vec![check.into()] } else { Vec::new() };
        CheckServiceNode { node: node.into(), service: service.into(), checks }
    };
    (0..3).map(row).collect()
}

/// The first byte chooses the kind of row; the rest is the text.
fn filter(bytes: &[u8]) -> String {
    let Some((kind, text)) = bytes.split_first() else { return String::new() };
    let Ok(text) = std::str::from_utf8(text) else { return "no text".to_owned() };
    let schema: Schema = match kind % 5 {
        0 => NODE,
        1 => SERVICE,
        2 => SERVICE_NODE,
        3 => CHECK,
        _ => CHECK_SERVICE_NODE,
    };
    let parsed = match Filter::parse(text, schema) {
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() <= 4 * text.len() + 400, "{told}");
            let way = told.rsplit(": ").next().unwrap_or_default();
            return way.chars().filter(char::is_ascii_alphabetic).take(40).collect();
        }
        Ok(parsed) => parsed,
    };
    let opposite = Filter::parse(&format!("not ({text})"), schema);
    let mut kept = String::new();
    for row in rows() {
        let pair = (Node::clone(&row.node), NodeService::clone(&row.service));
        let no_check = HealthCheck::default();
        let about: &dyn Selectable = match kind % 5 {
            0 => &row.node,
            1 => &row.service,
            2 => &pair,
            3 => row.checks.first().map_or(&no_check, |it| &**it),
            _ => &row,
        };
        let keeps = parsed.keeps(about);
        assert_eq!(parsed.keeps(about), keeps);
        match &opposite {
            Ok(opposite) => assert_eq!(opposite.keeps(about), !keeps, "{text}"),
            // Two more levels may be too many.
            Err(error) => assert!(error.to_string().contains("deeply"), "{error}: {text}"),
        }
        kept.push(if keeps { '1' } else { '0' });
    }
    format!("{} {kept}", kind % 5)
}

/// Expressions as users write them, made up at random, and a few at the edge of what is allowed.
fn expressions() -> Vec<Vec<u8>> {
    let mut random = Prng::new(7).fork("filter expressions");
    let mut all = Vec::new();
    for kind in 0..5_u8 {
        for _ in 0..40 {
            let mut text = String::new();
            expression(kind, 3, &mut random, &mut text);
            all.push([&[kind], text.as_bytes()].concat());
        }
    }
    let deep = format!("{}Port == 1{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    let nots = format!("{}Port == 1", "not ".repeat(MAX_DEPTH - 1));
    let odd =
        ["Port == \"\\x4\"", "Tags[\"a", "Meta[`b`] is not empty", "a in in", "not in in Tags"];
    all.extend(odd.map(str::to_owned).into_iter().chain([deep, nots]).map(|text| {
        let kind = [1_u8];
        [&kind[..], text.as_bytes()].concat()
    }));
    all
}

fn pick<'a>(from: &[&'a str], random: &mut Prng) -> &'a str {
    let at = random.below(from.len() as u64);
    from[usize::try_from(at).expect("an index")]
}

fn expression(kind: u8, depth: u32, random: &mut Prng, into: &mut String) {
    match if depth == 0 { 0 } else { random.below(6) } {
        1 => {
            into.push_str("not ");
            expression(kind, depth - 1, random, into);
        }
        2 => {
            into.push('(');
            expression(kind, depth - 1, random, into);
            into.push(')');
        }
        3 | 4 => {
            expression(kind, depth - 1, random, into);
            into.push_str(pick(&[" and ", " or "], random));
            expression(kind, depth - 1, random, into);
        }
        _ => comparison(kind, random, into),
    }
}

fn comparison(kind: u8, random: &mut Prng, into: &mut String) {
    let (texts, maps, lists, numbers): (&[&str], &[&str], &[&str], &[&str]) = match kind {
        0 => (&["Node", "Address", "Meta.rack"], &["Meta", "TaggedAddresses"], &["Meta"], &["X"]),
        1 => (&["ID", "Service", "Meta[\"a b\"]"], &["Meta"], &["Tags"], &["Port"]),
        2 => (
            &["ServiceID", "NodeMeta.os"],
            &["NodeMeta", "ServiceMeta"],
            &["ServiceTags"],
            &["ServicePort", "ServiceWeights.Passing"],
        ),
        3 => (&["CheckID", "Status"], &["Output"], &["ServiceTags"], &["Y"]),
        _ => (
            &["Node.Meta.rack", "Checks.Status", "Service.Service"],
            &["Node.Meta"],
            &["Service.Tags", "Checks"],
            &["Service.Port", "Service.Weights.Warning"],
        ),
    };
    let values = ["web", "\"web1\"", "`n1`", "passing", "\"v1\"", "r1", "not", "\"\\u0041\""];
    let value = pick(&values, random);
    let text = match random.below(7) {
        0 => format!("{} == {value}", pick(texts, random)),
        1 => format!("{} != {value}", pick(texts, random)),
        2 => format!("{} matches \"w.*[0-9]$\"", pick(texts, random)),
        3 => format!("{value} in {}", pick(maps, random)),
        4 => format!("{} not contains {value}", pick(lists, random)),
        5 => format!("{} is not empty", pick(lists, random)),
        _ => format!("{} == {}", pick(numbers, random), random.below(9000)),
    };
    into.push_str(&text);
}
