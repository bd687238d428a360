//! What HCL 1 reads, what is refused and where; what is printed is read back, and garbage ends.

use proptest::prelude::*;

use super::*;
use crate::config::located_json::{Member, Value};

/// As JSON, without lines.
fn json(at: &Located) -> serde_json::Value {
    match &at.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(text) => serde_json::from_str(text).expect("a number as JSON has them"),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Object(members) => {
            members.iter().map(|member| (member.key.clone(), json(&member.value))).collect()
        }
    }
}

fn read(text: &str) -> serde_json::Value {
    json(&parse(text).unwrap_or_else(|error| panic!("{text}\n{error}")))
}

#[test]
fn reads_what_hcl_1_reads() {
    for (hcl, as_json) in [
        ("", "{}"),
        ("\u{feff}# nothing\n// at\n/* all\n*/", "{}"),
        ("\"server\" = true", r#"{"server": true}"#),
        ("ports { http = 1, https = 2 }", r#"{"ports": {"http": 1, "https": 2}}"#),
        ("ports = {\n http = 1 https = 2\n}", r#"{"ports": {"http": 1, "https": 2}}"#),
        ("service { name = \"a\" }", r#"{"service": {"name": "a"}}"#),
        ("s { a = 1 }\ns { a = 2 }\ns { a = 3 }", r#"{"s": [{"a": 1}, {"a": 2}, {"a": 3}]}"#),
        ("s = [{ a = 1 }]\ns { a = 2 }", r#"{"s": [{"a": 1}, {"a": 2}]}"#),
        ("a = 1\na = [2]", r#"{"a": [2]}"#),
        ("s \"web\" \"x\" { a = 1 }", r#"{"s": {"web": {"x": {"a": 1}}}}"#),
        ("l = [1, \"b\", true, [], { c = 2 },]", r#"{"l": [1, "b", true, [], {"c": 2}]}"#),
        (
            "n = [0x1F, 017, -5, 0, 1.5, .5, 1e3, -0x10, 00.50]",
            r#"{"n": [31, 15, -5, 0, 1.5, 0.5, 1000.0, -16, 0.5]}"#,
        ),
        (
            r#"t = "a\n\t\"\\\x41\u00e9\U0001F600\101\xc3\xa9""#,
            "{\"t\": \"a\\n\\t\\\"\\\\Aé😀Aé\"}",
        ),
        (r#"t = "${f("x{}")} and ${"#, "error"),
        (r#"t = "${f("x{}")} and \"""#, r#"{"t": "${f(\"x{}\")} and \""}"#),
        ("t = <<EOF\n  a\nb\n  EOF\nu = 1", r#"{"t": "  a\nb\n", "u": 1}"#),
        ("t = <<-EOF\r\n  a\r\n    b\r\n  EOF\r\nu = 1", r#"{"t": "a\n  b\n", "u": 1}"#),
        ("t = <<-EOF\n a\nb\n  EOF", r#"{"t": " a\nb\n"}"#),
        ("t = <<EOF\nEOF", r#"{"t": ""}"#),
        ("a-b.c_d = 1 }", "error"),
        ("a-b.c_d = 1,\nb = 2", r#"{"a-b.c_d": 1, "b": 2}"#),
        ("{\"a\": null}", r#"{"a": null}"#),
        ("a = \"x\" # behind\n/* b = 1 */ c = \"y\" // too", r#"{"a": "x", "c": "y"}"#),
    ] {
        if as_json == "error" {
            assert!(parse(hcl).is_err(), "{hcl}");
            continue;
        }
        let wanted: serde_json::Value = serde_json::from_str(as_json).expect("valid JSON");
        assert_eq!(read(hcl), wanted, "{hcl}");
    }
}

#[test]
fn names_the_place_of_what_is_wrong() {
    for (hcl, line, column, text) in [
        ("a = \n", 2, 1, "expected a value, found the end of the file"),
        ("a = b", 1, 5, "expected a value (text stands in quotes), found the word b"),
        ("\n  a 5", 2, 5, "expected \"=\" or \"{\" after a key, found the number 5"),
        ("a b = 5", 1, 5, "expected \"{\" after a label, found \"=\""),
        ("= 5", 1, 1, "expected a key, found \"=\""),
        ("a {\n b = 1", 2, 7, "expected a key, found the end of the file"),
        ("a = [1 2]", 1, 8, "expected \",\" or \"]\", found the number 2"),
        ("a = [1,,2]", 1, 8, "expected a value, found \",\""),
        ("a = \"x", 1, 5, "a text has no end: a quote is missing"),
        ("a = \"x\ny\"", 1, 5, "a text has no end: a quote is missing"),
        ("a = \"\\q\"", 1, 6, "no such escape in a text; write a backslash as \\\\"),
        ("a = \"\\ud800\"", 1, 6, "no such escape in a text; write a backslash as \\\\"),
        ("a = \"\\xff\"", 1, 11, "the escapes of a text are not UTF-8"),
        ("a = 018", 1, 5, "018 is no number"),
        ("a = 0x", 1, 5, "0x is no number"),
        ("a = 99999999999999999999", 1, 5, "99999999999999999999 is no number"),
        ("a = -", 1, 5, "- is no number"),
        ("a = 1e", 1, 5, "1e is no number"),
        ("a = 12abc", 1, 5, "12abc is no number"),
        ("/* a", 1, 1, "a comment has no end: \"*/\" is missing"),
        ("a = <<EOF\nx", 1, 5, "a heredoc has no end: its mark alone on a line is missing"),
        ("a = <<E F\nx", 1, 5, "the mark of a heredoc is letters and digits, and ends its line"),
        ("a = <b", 1, 5, "expected a value, found \"<\""),
        ("a: 1", 1, 2, "':' means nothing here"),
        ("ä = \0", 1, 5, "'\\0' means nothing here"),
    ] {
        let error = parse(hcl).expect_err(hcl);
        assert_eq!((error.line, error.column), (Some(line), Some(column)), "{hcl:?}: {error}");
        assert_eq!(error.text, format!("not valid HCL: {text}"), "{hcl:?}");
    }
    for deep in
        ["a {".repeat(100_000), format!("a = {}", "[".repeat(100_000)), "a ".repeat(100_000)]
    {
        assert!(parse(&deep).expect_err("refused").text.contains("nested too deeply"));
    }
}

#[test]
fn lines_are_kept() {
    let root = parse("a = 1\n\nb {\n c = <<X\n1\n2\nX\n d = 2\n}\nb {}").expect("valid");
    let Value::Object(members) = root.value else { panic!("an object") };
    assert_eq!(members.iter().map(|it| it.line).collect::<Vec<_>>(), [1, 3]);
    let Value::List(blocks) = &members[1].value.value else { panic!("two blocks") };
    assert_eq!(blocks.iter().map(|it| it.line).collect::<Vec<_>>(), [3, 10]);
    let Value::Object(inner) = &blocks[0].value else { panic!("an object") };
    assert_eq!(inner.iter().map(|it| it.line).collect::<Vec<_>>(), [4, 8]);
}

/// Writes a value as a person might: blocks where there are some, texts with escapes.
fn print(value: &serde_json::Value, out: &mut String) {
    use serde_json::Value as Json;
    match value {
        Json::Object(members) => {
            out.push_str("{\n");
            items(members, out);
            out.push('}');
        }
        Json::Array(values) => {
            out.push('[');
            for value in values {
                print(value, out);
                out.push_str(", ");
            }
            out.push(']');
        }
        Json::String(text) => quote(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            // Else a brace would open an interpolation.
            '$' => out.push_str("\\x24"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn items(members: &serde_json::Map<String, serde_json::Value>, out: &mut String) {
    for (key, value) in members {
        quote(key, out);
        let is_block = value.is_object() && key.len() % 2 == 0;
        out.push_str(if is_block { " " } else { " = " });
        print(value, out);
        out.push_str(" # end\n");
    }
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        "[a-z\"\\\\${}\n]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        members in prop::collection::btree_map("[a-z_]{1,8}", values(), 0..6)
    ) {
        let members: serde_json::Map<_, _> = members.into_iter().collect();
        let mut text = String::new();
        items(&members, &mut text);
        prop_assert_eq!(read(&text), serde_json::Value::Object(members), "{}", text);
    }

    #[test]
    fn garbage_is_an_error_with_a_place(text in "[a-c =\\[\\]{}\"$\\\\<EOF\n,.0-9x#/*-]{0,80}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.line.is_some_and(|line| line <= text.lines().count() + 1));
            prop_assert!(error.column.is_some());
        }
    }

    #[test]
    fn any_text_at_all_ends(text in "\\PC{0,200}") {
        let _ = parse(&text).map(|root| root.line);
    }

    #[test]
    fn members_are_distinct(text in "([ab] (= [0-9]|\\{[ab] = 1\\}|= \\[[0-9]\\])\n){0,12}") {
        let root = parse(&text);
        if let Ok(Located { value: Value::Object(members), .. }) = root {
            let mut keys: Vec<&str> = members.iter().map(|Member { key, .. }| &**key).collect();
            keys.dedup();
            prop_assert!(keys.len() <= 2 && keys.len() == members.len());
        }
    }
}
