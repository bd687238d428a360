//! The web UI of a running agent: in a browser, and from a folder.

use std::fs;

use serde_json::json;

use crate::browser::Browser;
use crate::real_process::{Agent, Setup, call, free_port, get, put};

fn dev(members: &str) -> Agent {
    Setup::new(1, free_port(), members, &["-dev"]).serve()
}

fn write(agent: &Agent, target: &str, body: &str) {
    let answer = call(agent.at, "PUT", target, body.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
}

#[test]
fn a_browser_shows_services_nodes_and_keys() {
    let Some(mut browser) = Browser::start() else { return };
    let agent = dev("");
    let hostile = "<img src=x onerror=document.title='owned'>";
    let check = json!({ "TTL": "10m", "Status": "passing", "Notes": hostile });
    let web =
        json!({ "Name": "web", "ID": "web1", "Port": 8080, "Tags": [hostile], "Check": check });
    write(&agent, "/v1/agent/service/register", &web.to_string());
    write(
        &agent,
        "/v1/agent/check/update/service:web1",
        &json!({ "Status": "warning", "Output": hostile }).to_string(),
    );
    write(&agent, "/v1/kv/shop/name%25/a?flags=18446744073709551615", "grüße\r\nan alle\r\n");
    write(&agent, "/v1/kv/shop/bytes", "\0\x01");

    browser.open(&format!("http://{}/", agent.at));
    browser.until("location.pathname === '/ui/dc1/services'");
    browser.sees("web");
    browser.sees("1 warning");
    browser.sees(hostile);
    // It changes by itself.
    write(&agent, "/v1/agent/service/register", r#"{ "Name": "redis" }"#);
    browser.sees("redis");
    browser.click("web");
    browser.until("location.pathname === '/ui/dc1/services/web'");
    browser.sees("127.0.0.1:8080");
    browser.until("document.querySelector('summary').click() === undefined");
    browser.until(&format!(
        "document.querySelector('details pre').textContent === {}",
        json!(hostile)
    ));

    browser.click("Nodes");
    browser.sees("n1 Leader");
    browser.click("n1");
    browser.sees("Serf Health Status");

    browser.open(&format!("http://{}/ui/dc1/kv/", agent.at));
    browser.click("shop/");
    browser.click("bytes");
    browser.sees("The value is binary, 2 bytes");
    browser.open(&format!("http://{}/ui/dc1/kv/shop/name%25/a/edit", agent.at));
    browser.until(r"document.querySelector('textarea').value === 'grüße\nan alle\n'");
    browser.sees("flags 18446744073709551615");
    // What is saved keeps flags and line ends.
    browser.write("value", "neu\n");
    browser.click("Save");
    browser.sees("5 bytes; flags 18446744073709551615");
    assert_eq!(get(agent.at, "shop/name%25/a", "").as_deref(), Some("neu\r\n"));
    // What somebody else has written meanwhile is not overwritten.
    browser.write("value", "mine");
    assert!(put(agent.at, "shop/name%25/a", "theirs"));
    browser.sees("The value has changed since you began to edit.");
    browser.click("Save");
    browser.sees("Somebody else has changed the key meanwhile.");
    assert_eq!(get(agent.at, "shop/name%25/a", "").as_deref(), Some("theirs"));
    browser.click("Load it");
    browser.until("document.querySelector('textarea').value === 'theirs'");

    browser.open(&format!("http://{}/ui/dc1/kv/new/create", agent.at));
    browser.write("key", "a b");
    browser.write("value", "1");
    browser.click("Save");
    browser.until("location.pathname === '/ui/dc1/kv/new/'");
    assert_eq!(get(agent.at, "new/a%20b", "").as_deref(), Some("1"));
    browser.click("Delete folder");
    browser.click("Delete");
    browser.until("location.pathname === '/ui/dc1/kv'");
    assert_eq!(get(agent.at, "new/a%20b", ""), None);

    agent.crash();
    browser.until(
        "document.getElementById('problem').textContent.startsWith('The agent cannot be reached.')",
    );
    assert_ne!(browser.ask("document.title"), "owned");
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_browser_finds_its_way_below_another_path() {
    let Some(mut browser) = Browser::start() else { return };
    let agent = dev(r#", "ui_config": { "content_path": "admin/ui" }"#);
    write(&agent, "/v1/session/create", r#"{ "Name": "a lock" }"#);
    browser.open(&format!("http://{}/admin/ui/dc1/nodes/n1", agent.at));
    browser.sees("a lock");
    browser.click("Invalidate");
    browser.until("document.querySelector('dialog').open");
    browser.until("document.querySelector('dialog .danger').click() === undefined");
    browser.until("!document.getElementById('main').innerText.includes('a lock')");
    browser.click("Services");
    browser.until("location.pathname === '/admin/ui/dc1/services'");
    browser.sees("consul");
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn a_folder_stands_in_for_the_page() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dist = folder.path().join("dist");
    fs::create_dir_all(dist.join("docs")).expect("a folder");
    fs::write(folder.path().join("secret"), "secret").expect("a file");
    fs::write(dist.join("index.html"), "<p>own</p>").expect("a file");
    fs::write(dist.join("docs/index.html"), "docs").expect("a file");
    fs::write(dist.join("app.js"), "go()").expect("a file");
    fs::write(dist.join("huge"), vec![b'x'; (16 << 20) + 1]).expect("a file");
    let setup = Setup::single().with_flag(&format!("-ui-dir={}", dist.display()));
    let agent = setup.serve();
    let ask = |method, target| call(agent.at, method, target, b"").expect("an answer");
    assert_eq!(ask("GET", "/").header("Location"), Some("/ui/"));
    for (target, status, text) in [
        ("/ui/", 200, "<p>own</p>"),
        ("/ui/app.js", 200, "go()"),
        ("/ui/app.js/x", 200, "<p>own</p>"),
        ("/ui/docs/", 200, "docs"),
        ("/ui/dc1/services", 200, "<p>own</p>"),
        ("/ui/huge", 500, "huge: larger than 16777216 bytes, which is not served\n"),
        ("/ui/%00", 400, ""),
    ] {
        let got = ask("GET", target);
        assert_eq!((got.status, got.text().as_str()), (status, text), "{target}");
    }
    let head = call(agent.at, "HEAD", "/ui/missing.css", b"");
    assert!(head.is_err(), "a length is told and no body sent");
    assert_eq!(ask("GET", "/ui/docs").header("Location"), Some("/ui/docs/"));
    for target in ["/ui/../secret", "/ui/%2e%2e/secret", "/ui/..%2fsecret", "/ui/docs/../../secret"]
    {
        let got = ask("GET", target);
        assert_eq!((got.status, got.header("Location")), (301, Some("/secret")), "{target}");
    }
    assert_eq!(ask("GET", "/ui/%252e%252e/secret").text(), "<p>own</p>");
    fs::remove_file(dist.join("index.html")).expect("a file less");
    assert_eq!(ask("GET", "/ui/dc1/services").status, 404);
}
