//! The language, rule by rule, on one row.

use super::*;
use crate::state::{CheckServiceNode, HealthCheck, Node, NodeService, ServiceAddress};

fn row() -> CheckServiceNode {
    let check = |id: &str, status: &str| HealthCheck {
        check_id: id.to_owned(),
        status: status.to_owned(),
        ..HealthCheck::default()
    };
    let text = |text: &str| text.to_owned();
    CheckServiceNode {
        node: Node {
            node: text("n1"),
            address: text("10.0.0.1"),
            meta: [(text("rack"), text("r1")), (text("a b"), text("x"))].into(),
            ..Node::default()
        }
        .into(),
        service: NodeService {
            id: text("web1"),
            service: text("web"),
            tags: vec![text("v1"), text("not")],
            port: 8001,
            tagged_addresses: [(
                text("lan"),
                ServiceAddress { address: text("10.0.0.9"), port: 9 },
            )]
            .into(),
            ..NodeService::default()
        }
        .into(),
        checks: vec![check("c1", "passing").into(), check("c2", "warning").into()],
    }
}

fn keeps(text: &str) -> bool {
    let filter = Filter::parse(text, CHECK_SERVICE_NODE);
    filter.unwrap_or_else(|error| panic!("{text}: {error}")).keeps(&row())
}

fn refused(text: &str) -> String {
    let error = Filter::parse(text, CHECK_SERVICE_NODE).expect_err(text).to_string();
    let stem = "Failed to create boolean expression evaluator: ";
    error.strip_prefix(stem).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn compares() {
    for yes in [
        "Service.ID == web1",
        "Service.ID==\"web1\"",
        "Service.ID != `web2`",
        "Service.Port == 8001",
        "Service.Port == \"0x1f41\"",
        "Service.EnableTagOverride == false",
        "Service.Connect.Native != true",
        "Node.Address == \"10.0.0.1\"",
        "Service.ID matches \"^w.b[12]$\"",
        "Service.ID not matches `x`",
        "eb in Service.ID",
        "Service.ID contains eb",
        "Service.Weights.Passing == 1",
        "Service.TaggedAddresses.lan.Port == 9",
        "lan in Service.TaggedAddresses",
        " ( Service.ID == web1 ) ",
        "Node.Meta.rack == \"\\x72\\061\"",
    ] {
        assert!(keeps(yes), "{yes}");
    }
}

#[test]
fn asks_maps_and_lists() {
    for yes in [
        "\"v1\" in Service.Tags",
        "not in Service.Tags",
        "not not in Service.Tags or x not in Service.Tags",
        "Service.Tags not contains v2",
        "Service.Tags is not empty and Service.Meta is empty",
        "Node.Meta.rack == r1",
        "Node.Meta[\"a b\"] == x",
        "Node.Meta.none != r1 and Node.Meta.none not matches r",
        "rack in Node.Meta and none not in Node.Meta",
        // Of any check, negations too.
        "Checks.Status == warning",
        "Checks.Status != warning",
        "Checks is not empty",
        "not Checks.Status == critical",
    ] {
        assert!(keeps(yes), "{yes}");
    }
    for no in ["Node.Meta.none == r1", "Checks.Status == critical", "Checks is empty"] {
        assert!(!keeps(no), "{no}");
    }
}

#[test]
fn and_binds_stronger_than_or() {
    assert!(keeps("Service.ID == web1 or Service.ID == x and Service.Port == 1"));
    assert!(!keeps("(Service.ID == web1 or Service.ID == x) and Service.Port == 1"));
    assert!(keeps("not Service.ID == x and not not Service.ID == web1"));
}

#[test]
fn says_what_is_wrong() {
    for (text, why) in [
        ("", "1:1 (0): no match found"),
        ("Service.ID ==", "1:14 (13): no match found"),
        ("== x", "1:1 (0): no match found"),
        ("(Service.ID == x", "1:17 (16): Unmatched parentheses"),
        ("Service.ID = x", "1:12 (11): no match found"),
        ("Service.ID == 10.0.0.1", "1:19 (18): Invalid number literal"),
        ("Service.ID == n-1", "1:16 (15): no match found"),
        ("Service.ID == \"x", "1:16 (15): Unterminated string literal"),
        ("Service.ID == \"\\q\"", "1:19 (18): invalid syntax"),
        ("Node.Meta[x] == 1", "1:11 (10): Invalid index"),
        ("Node.Meta[\"x\" == 1", "1:15 (14): Unclosed index expression"),
        ("x in 1", "1:6 (5): Invalid selector"),
        ("Colour == x", "Selector \"Colour\" is not valid"),
        ("Node.Meta.a.b == x", "Selector \"Node.Meta.a.b\" is not valid"),
        ("Service.Tags == x", "Invalid match operator \"Equal\" for selector \"Service.Tags\""),
        ("Service.ID is empty", "Invalid match operator \"Is Empty\" for selector \"Service.ID\""),
        (
            "x not in Service.Port",
            "Invalid match operator \"Not In\" for selector \"Service.Port\"",
        ),
        ("Node == x", "Invalid match operator \"Equal\" for selector \"Node\""),
        (
            "Service.Port == abc",
            "Failed to coerce value \"abc\" for selector \"Service.Port\": strconv.ParseInt: \
             parsing \"abc\": invalid syntax",
        ),
    ] {
        assert_eq!(refused(text), why, "{text}");
    }
    assert!(
        refused("Service.ID matches \"(\"").starts_with("Failed to compile regular expression")
    );
}

#[test]
fn is_bounded() {
    let nested = |depth: usize| format!("{}a == b{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(refused(&nested(MAX_DEPTH - 1)), "Selector \"a\" is not valid");
    assert!(refused(&nested(MAX_DEPTH + 1)).contains("nested too deeply"));
    assert!(refused(&"not ".repeat(10_000)).contains("nested too deeply"));
    assert!(refused(&"x".repeat(MAX_BYTES + 1)).contains("exceeds the limit"));
    let wide = vec!["Service.ID == web1"; 2_000].join(" and ");
    assert!(keeps(&wide));
    assert!(refused("Service.ID matches \"(a{1000}){1000}\"").contains("regular expression"));
}
