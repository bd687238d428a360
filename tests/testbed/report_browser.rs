//! The page in a real browser: it starts without an error, opens where it should, and its address
//! drives it. Skipped, with a line that says so, where no Chromium is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sim_runner::report::FirstDifference;
use sim_runner::report::verdict::RunVerdict;

use crate::report_fixture::{Fixture, holding, violated, with_members};

fn chromium() -> Option<PathBuf> {
    let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = known.map(PathBuf::from).into_iter().find(|path| path.exists());
    if found.is_none() {
        println!("skipped: no Chromium in {known:?}");
    }
    found
}

/// What the page says of itself after its script has run: the attributes of the root element.
struct Opened {
    dom: String,
}

impl Opened {
    fn attribute(&self, name: &str) -> &str {
        let start = self.dom.find(&format!(" {name}=\"")).map(|at| at + name.len() + 3);
        let value = start.map(|start| &self.dom[start..]).and_then(|rest| rest.split('"').next());
        value.unwrap_or_else(|| panic!("no attribute {name} in {}", &self.dom[..300]))
    }

    /// The seconds that are seen.
    fn view(&self) -> (f64, f64) {
        let (from, to) = self.attribute("data-view").split_once(',').expect("from,to");
        (from.parse().expect("a number"), to.parse().expect("a number"))
    }
}

/// Opens a page at an address; none where there is no browser.
fn open(fixture: &Fixture, hash: &str) -> Option<Opened> {
    open_and(fixture, hash, "")
}

/// Opens a page and does something there: `script` runs after the page's own.
fn open_and(fixture: &Fixture, hash: &str, script: &str) -> Option<Opened> {
    let browser = chromium()?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report.html");
    let page = fixture.page().replace("</body>", &format!("<script>{script}</script></body>"));
    fs::write(&file, page).expect("the page is written");
    let opened = Opened { dom: dump(&browser, folder.path(), &file, hash) };
    assert_eq!(opened.attribute("data-errors"), "", "the script failed");
    assert_eq!(opened.attribute("data-ready"), "1", "the script did not come to its end");
    Some(opened)
}

fn dump(browser: &Path, profile: &Path, file: &Path, hash: &str) -> String {
    let quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1500,1000",
        "--dump-dom",
    ];
    let output = Command::new(browser)
        .args(quiet)
        .arg(format!("--user-data-dir={}", profile.join("profile").display()))
        .arg(format!("file://{}{hash}", file.display()))
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(dom.contains("<html"), "no page: {}", String::from_utf8_lossy(&output.stderr));
    dom
}

#[test]
fn a_run_that_holds_opens_on_the_whole_run() {
    let Some(page) = open(&holding(), "") else { return };
    let (from, to) = page.view();
    assert!(from < -2.0 && to > 63.0, "{from}..{to}");
    assert_eq!(page.attribute("data-selected"), "");
    assert!(page.dom.contains("HOLDS"));
    assert!(page.attribute("data-drawn").parse::<usize>().expect("a number") > 500, "empty lanes");
}

#[test]
fn a_violated_run_opens_on_the_violation() {
    let fixture = violated();
    let Some(page) = open(&fixture, "") else { return };
    let (from, to) = page.view();
    let at = fixture.run.violations()[0].at as f64 / 1e9;
    assert!(from < at && at < to && to - from < 10.0, "{at} in {from}..{to}");
    assert_eq!(page.attribute("data-selected"), "v:0");
    assert!(page.dom.contains("VIOLATED"));
    assert!(page.dom.contains("The 3 operations that prove it"), "no sub-history");
}

#[test]
fn the_address_zooms_searches_and_selects() {
    let fixture = violated();
    let id = fixture.run.violations()[0].operations[2];
    let hash = format!("#t=28.4&w=0.5&sel=op:{id}&q=get%20k2%20consistent");
    let Some(page) = open(&fixture, &hash) else { return };
    assert_eq!(page.attribute("data-view"), "28.150000,28.650000");
    assert_eq!(page.attribute("data-selected"), format!("op:{id}"));
    let found: u32 = page.attribute("data-matches").parse().expect("a number");
    assert!((1..200).contains(&found), "{found} operations found");
    assert!(page.dom.contains("get k2 (consistent)"), "no details");
}

/// Plays a person: keys and mouse on the page's own handlers.
const PERSON: &str = r#"
    const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
    canvas.setPointerCapture = () => {}; // there is no real pointer to capture
    const key = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
    const mouse = (type, x, y) => canvas.dispatchEvent(new PointerEvent(
        type, { clientX: box.left + x, clientY: box.top + y, button: 0, pointerId: 1 }));
    const drag = (y, from, to) => {
        mouse("pointerdown", from, y); mouse("pointermove", to, y); mouse("pointerup", to, y);
    };
    const width = () => {
        const [from, to] = document.documentElement.dataset.view.split(",").map(Number);
        return to - from;
    };
    const said = [];
    const tell = (what) => { document.body.dataset.said = (said.push(what), said.join(" ")); };
"#;

#[test]
fn keys_and_mouse_drive_the_view() {
    let actions = r##"
        key("Home"); const whole = width();
        key("+"); tell(width() < whole ? "zoomed" : "stuck");
        key("Home"); tell(width() === whole ? "fitted" : "lost");
        canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -50, clientX: box.left + 400, clientY: box.top + 200, cancelable: true }));
        tell(width() < whole ? "wheeled" : "stuck");
        drag(30, 300, 400); tell(width() < whole / 4 ? "chosen" : "stuck");
        const before = document.documentElement.dataset.view;
        drag(200, 300, 200); tell(document.documentElement.dataset.view === before ? "stuck" : "panned");
        key("n"); tell(document.documentElement.dataset.selected);
        key("."); tell(document.documentElement.dataset.selected === "v:0" ? "stuck" : "stepped");
        key("Escape"); tell(document.documentElement.dataset.selected || "nothing");
        key("?"); tell(document.getElementById("help").open ? "helped" : "helpless");
    "##;
    let Some(page) = open_and(&violated(), "", &format!("{PERSON}{actions}")) else { return };
    assert_eq!(
        page.attribute("data-said"),
        "zoomed fitted wheeled chosen panned v:0 stepped nothing helped"
    );
}

#[test]
fn a_click_shows_what_is_under_it() {
    let actions = r##"
        mouse("pointermove", 700, 170);
        tell(document.getElementById("tip").hidden ? "no-tip" : "tip");
        for (let y = 330; y < 480 && !document.documentElement.dataset.selected; y += 4) {
            for (let x = 200; x < 900 && !document.documentElement.dataset.selected; x += 3) {
                mouse("pointerdown", x, y); mouse("pointerup", x, y);
            }
        }
        tell(document.documentElement.dataset.selected.split(":")[0]);
        tell(document.querySelector("#details h2").textContent);
    "##;
    let Some(page) = open_and(&holding(), "#t=8&w=1", &format!("{PERSON}{actions}")) else {
        return;
    };
    assert_eq!(page.attribute("data-said"), "tip op Operation");
}

#[test]
fn what_others_think_of_a_node_is_a_band_that_tells_who_and_since_when() {
    // The band that says more when it is pointed at; its place depends on the lanes above it.
    let actions = r##"
        const tips = new Set();
        for (let y = 120; y < canvas.clientHeight; y += 3) {
            mouse("pointermove", 700, y);
            const tip = document.getElementById("tip");
            if (!tip.hidden) tips.add(tip.textContent);
        }
        const found = [...tips].filter((each) => each.startsWith("n1 is failed"));
        tell(found.length ? found[0] : "nothing");
    "##;
    let fixture = with_members();
    let script = format!("{PERSON}{actions}");
    let Some(page) = open_and(&fixture, "#t=14.5&w=0.8&sel=seen:n1:14000000", &script) else {
        return;
    };
    assert_eq!(page.attribute("data-selected"), "seen:n1:14000000");
    let said = page.attribute("data-said");
    assert!(said.starts_with("n1 is failed at n2 since 14.0 s; alive at n3"), "{said}");
    assert!(page.dom.contains("As others see it"), "no details");
    let Some(page) = open(&fixture, "#t=16&w=1&q=failed%20n2%20alive") else { return };
    assert_eq!(page.attribute("data-matches"), "1", "the band is not found");
    assert!(page.dom.contains("failed at n2 and n3"), "the table of nodes does not say it");
}

#[test]
fn an_address_that_makes_no_sense_does_no_harm() {
    let Some(page) = open(&holding(), "#t=nowhere&w=-3&sel=op:none&q=") else { return };
    assert_eq!(page.attribute("data-selected"), "");
}

#[test]
fn hostile_values_are_shown_and_not_run() {
    let mut fixture = violated();
    let hostile = "<img src=x onerror=\"document.title='owned'\"></script>";
    fixture.run.title = hostile.into();
    fixture.header.hosts[0].name = hostile.into();
    for operation in &mut fixture.history {
        operation.user = hostile.into();
    }
    let Some(page) = open(&fixture, "") else { return };
    assert!(!page.dom.contains("<img"), "a value became an element");
    assert!(page.dom.contains("&lt;img src=x"), "the value is not shown");
}

#[test]
fn a_run_of_nothing_opens() {
    let Fixture { mut run, header, .. } = holding();
    run.judgements.clear();
    run.verdict = RunVerdict::Nondeterministic;
    run.first_difference =
        Some(FirstDifference { index: 12, first: Some("n1 starts".into()), second: None });
    let Some(page) = open(&Fixture { run, header, events: vec![], history: vec![] }, "") else {
        return;
    };
    assert!(page.dom.contains("NOT DETERMINISTIC") && page.dom.contains("n1 starts"));
}
