//! A history file: what is refused, with its line, and what survives a round trip.

use super::*;

fn err(text: &str) -> String {
    read("h.jsonl", text.as_bytes()).expect_err("must be refused").to_string()
}

const PUT: &str =
    r#"{"client":0,"op":"put","key":"x","value":"a","call":1,"return":2,"outcome":"ok"}"#;

fn get(rest: &str) -> String {
    format!(r#"{{"client":1,"op":"get","key":"x",{rest}}}"#)
}

#[test]
fn reads_back_what_it_writes() {
    let lines = [
        r#"{"client":0,"user":"u1","server":"n1","op":"put","key":"x","value":"a\"\n","call":1,"return":2,"outcome":"ok"}"#,
        r#"{"client":1,"op":"get","key":"x","mode":"stale","call":1,"return":2,"outcome":"ok","output":null,"index":18446744073709551615}"#,
        r#"{"client":2,"op":"get","key":"x","mode":"default","call":1,"return":2,"outcome":"ok","output":"","modify_index":9007199254740993,"index":7}"#,
        r#"{"client":3,"op":"cas","key":"x","if_index":0,"value":"b","call":2,"return":2,"outcome":"ok","output":false}"#,
        r#"{"client":4,"op":"cas","key":"x","from":"a","to":"b","call":2,"return":null,"ended":9,"outcome":"unknown","error":"timed out"}"#,
        r#"{"client":5,"op":"delete","key":"x","call":3,"return":null,"outcome":"unknown"}"#,
        r#"{"client":6,"op":"list","key":"","mode":"consistent","call":3,"return":8,"outcome":"ok","output":[{"key":"x","value":"a","modify_index":3}]}"#,
        r#"{"client":7,"op":"append","key":"y","value":"t","call":4,"return":5,"outcome":"fail","error":"refused"}"#,
    ];
    let text = format!("{}\n", lines.join("\n"));
    let history = read("h", text.as_bytes()).expect("valid");
    assert_eq!(write(&history), text);
    assert_eq!(history.model(), crate::history::Model::KvAppend);
}

#[test]
fn the_order_of_lines_does_not_matter() {
    let other = get(r#""call":0,"return":1,"outcome":"ok","output":null"#);
    let one = read("h", format!("{PUT}\n{other}\n").as_bytes()).expect("valid");
    let two = read("h", format!("\n{other}\n\n{PUT}").as_bytes()).expect("valid");
    assert_eq!(one, two);
    assert_eq!(one.operations()[0].called_at, 0);
}

#[test]
fn numbers_and_texts_are_different_values() {
    let number =
        r#"{"client":0,"op":"put","key":"x","value":1,"call":1,"return":2,"outcome":"ok"}"#;
    let string = get(r#""call":3,"return":4,"outcome":"ok","output":"1""#);
    let history = read("h", format!("{number}\n{string}").as_bytes()).expect("valid");
    let Call::Put { value } = &history.operations()[0].call else { panic!("a put") };
    let Some(Output::Value(Some(seen))) = &history.operations()[1].output else { panic!("a hit") };
    assert_ne!(*value, seen.value);
    let only = read("h", number.as_bytes()).expect("valid");
    assert_eq!(only.operations()[0].call, Call::Put { value: "1".to_owned() });
}

#[test]
fn a_get_with_only_an_index_saw_that_version() {
    let hit = get(r#""call":3,"return":4,"outcome":"ok","output":"1","index":7"#);
    let history = read("h", hit.as_bytes()).expect("valid");
    let Some(Output::Value(Some(seen))) = &history.operations()[0].output else { panic!("a hit") };
    assert_eq!(seen.modify_index, Some(7));
}

#[test]
fn errors_name_the_line_and_the_reason() {
    let second = |line: &str| err(&format!("{PUT}\n{line}\n"));
    for (line, expected) in [
        ("{", "h.jsonl:2:1: EOF while parsing an object"),
        ("garbage", "h.jsonl:2:1: expected value"),
        (
            &PUT.replace("put", "frob"),
            "h.jsonl:2: unknown operation `frob`; known are get, put, cas, delete, append, list, fire, \
             events",
        ),
        (
            &PUT.replace("\"call\":1", "\"call\":3"),
            "h.jsonl:2: it returns at 2 before it is called at 3",
        ),
        (&PUT.replace("\"value\":\"a\",", ""), "h.jsonl:2: `put` needs `value`"),
        (&PUT.replace("\"value\":\"a\"", "\"value\":null"), "h.jsonl:2: `put` needs `value`"),
        (
            &PUT.replace("\"value\":\"a\"", "\"value\":\"a\",\"from\":1"),
            "h.jsonl:2: `from` does not belong to `put`",
        ),
        (
            &PUT.replace("\"return\":2", "\"return\":null"),
            "h.jsonl:2: `ok` needs a `return`; an answer that never came is `unknown`",
        ),
        (PUT, "h.jsonl:2: client 0 calls while its operation of line 1 is open"),
        (
            &get(r#""call":3,"return":4,"outcome":"ok""#),
            "h.jsonl:2: `get` needs `output`: a value, or null",
        ),
        (
            &get(r#""call":3,"return":4,"outcome":"ok","output":[]"#),
            "h.jsonl:2: `get` needs `output`: a value, or null",
        ),
    ] {
        assert_eq!(second(line), expected, "{line}");
    }
    for (line, expected) in [
        (PUT.replace("\"call\":1", "\"call\":1,\"call\":1"), "duplicate field `call`"),
        (
            PUT.replace("\"call\":1", "\"call\":1.5"),
            "invalid type: floating point `1.5`, expected i64",
        ),
        (PUT.replace("\"call\":1", "\"call\":1,\"colour\":1"), "unknown field `colour`"),
        (PUT.replace("\"a\"", "1e300"), "is not a whole number of 64 bits: quote it"),
        (
            PUT.replace("\"a\"", "18446744073709551616"),
            "is not a whole number of 64 bits: quote it",
        ),
        (PUT.replace("\"a\"", "[]"), "a value is a text or a whole number"),
        (PUT.replace("\"ok\"", "\"maybe\""), "unknown variant `maybe`"),
    ] {
        assert!(second(&line).contains(expected), "{line}: {}", second(&line));
    }
}

#[test]
fn a_client_may_not_go_on_after_an_unknown_outcome() {
    let unknown =
        PUT.replace("\"return\":2,\"outcome\":\"ok\"", "\"return\":null,\"outcome\":\"unknown\"");
    let next = PUT.replace("\"call\":1", "\"call\":5").replace("\"return\":2", "\"return\":6");
    let failed = unknown.replace("unknown", "fail");
    assert_eq!(
        err(&format!("{unknown}\n{next}")),
        "h.jsonl:2: client 0 goes on after the unknown outcome of line 1; it needs a new number"
    );
    assert!(read("h", format!("{failed}\n{next}").as_bytes()).is_ok());
}

#[test]
fn equal_times_of_one_client_are_legal() {
    let next = PUT.replace("\"call\":1", "\"call\":2");
    assert!(read("h", format!("{PUT}\n{next}\n").as_bytes()).is_ok());
}

#[test]
fn garbage_is_refused_and_never_panics() {
    let mut noise = proconsul::base::Prng::new(1);
    for length in 0..300 {
        let mut bytes = vec![0; length];
        noise.fill(&mut bytes);
        let _ = read("h", &bytes);
        let mut line = PUT.as_bytes().to_vec();
        let at = noise.below(line.len() as u64) as usize;
        line[at] = bytes.first().copied().unwrap_or(b'}');
        let _ = read("h", &line);
    }
    assert!(err("a\n\u{0}").starts_with("h.jsonl:1:1: "));
    let bytes = [b'\n', 0xff];
    assert_eq!(read("h", &bytes).expect_err("not text").to_string(), "h:2: not UTF-8 text");
}
