//! The page as bytes: self-contained, small, and deaf to what values say.

use sim_runner::history::operation::{Call, Mode};
use sim_runner::report::FirstDifference;
use sim_runner::report::verdict::RunVerdict;
use sim_runner::trace::event::What;

use crate::report_fixture::{Fixture, holding, violated};

/// The JSON of the page, read back.
fn data(page: &str) -> serde_json::Value {
    let start = page.find(r#"id="data">"#).expect("the data element") + r#"id="data">"#.len();
    let end = start + page[start..].find("</script>").expect("its end");
    serde_json::from_str(&page[start..end]).expect("the data is JSON")
}

#[test]
fn a_page_loads_nothing_from_anywhere() {
    let page = violated().page();
    let allowed = "http://www.w3.org/2000/svg"; // a name of SVG, never fetched
    let rest = page.replace(allowed, "");
    for load in ["http://", "https://", "src=", "@import", "url(", "<link", "fetch(", "import("] {
        assert!(!rest.contains(load), "the page holds {load:?}");
    }
    assert!(page.contains("default-src 'none'"), "no policy against requests");
}

#[test]
fn a_page_is_small_enough_to_send() {
    let fixture = violated();
    assert!(fixture.events.len() > 20_000 && fixture.history.len() > 900, "the run is too short");
    let bytes = fixture.page().len();
    assert!(bytes < 1_500_000, "{bytes} bytes");
}

#[test]
fn equal_evidence_gives_equal_bytes() {
    assert_eq!(holding().page(), holding().page());
}

#[test]
fn hostile_values_stay_values() {
    let hostile = "</script><!--<script>alert(1)</script>{{style}}\u{2028}&amp;\"'";
    let mut fixture = holding();
    fixture.run.title = hostile.into();
    fixture.run.seed = hostile.into();
    fixture.run.notes.push(hostile.into());
    fixture.run.reproduce = hostile.into();
    fixture.history[0].key = hostile.into();
    fixture.history[0].call = Call::Put { value: hostile.into() };
    fixture.history[1].call = Call::Get { mode: Mode::Stale };
    fixture.history[1].error = Some(hostile.into());
    fixture.header.hosts[0].name = hostile.into();
    fixture.events[3].what = What::Note { text: hostile.into() };
    let page = fixture.page();
    let plain = holding().page();
    for tag in ["<script", "</script", "<!--"] {
        assert_eq!(page.matches(tag).count(), plain.matches(tag).count(), "{tag}");
    }
    assert_eq!(page.matches("color-scheme: light dark").count(), 1, "a value was read as a slot");
    let read_back = data(&page);
    assert_eq!(read_back["title"], hostile);
    assert_eq!(read_back["run"]["reproduce"], hostile);
    assert_eq!(read_back["lanes"]["nodes"][0]["name"], hostile);
}

#[test]
fn a_run_of_nothing_has_a_page() {
    let Fixture { mut run, header, .. } = holding();
    run.judgements.clear();
    run.verdict = RunVerdict::Nondeterministic;
    run.first_difference = Some(FirstDifference { index: 0, first: None, second: None });
    let empty = Fixture { run, header, events: vec![], history: vec![] };
    let read_back = data(&empty.page());
    assert_eq!(read_back["lanes"]["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(read_back["run"]["verdict"], "nondeterministic");
}

#[test]
fn a_violation_carries_its_evidence_in_words() {
    let read_back = data(&violated().page());
    let violation = &read_back["violations"][0];
    assert_eq!(violation["expected"], false);
    assert_eq!(violation["operations"].as_array().map(Vec::len), Some(3));
    let text = violation["events"][0]["text"].as_str().expect("text");
    assert!(text.starts_with("answers a consistent read of k2 as leader in term 2"), "{text}");
    assert_eq!(violation["events"][0]["host"], "n2");
}
