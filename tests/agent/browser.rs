//! A real browser, driven over its debugging pipe: open a page, ask it, wait for it. There is none where
//! no Chromium is installed; a test then says that it is skipped.
//!
//! The pipe is two descriptors, 3 in and 4 out; a shell puts our ends of stdin and stdout there. Messages
//! are JSON, each with a NUL behind it. No port is opened.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::real_process::{PATIENCE, eventually, meanwhile};

const KNOWN: [&str; 3] =
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const FLAGS: &str = "--headless --no-sandbox --disable-gpu --no-first-run --disable-sync \
     --disable-background-networking --disable-component-update --disable-dev-shm-usage \
     --no-proxy-server --remote-debugging-pipe";

pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    asked: u64,
    session: Option<String>,
    /// What scripts threw, and what the page's own policy forbade.
    pub complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// With one empty page; none, and a line that says so, where no browser is installed.
    pub fn start() -> Option<Self> {
        let Some(program) = KNOWN.iter().find(|path| Path::new(path).exists()) else {
            println!("skipped: no Chromium in {KNOWN:?}");
            return None;
        };
        let profile = tempfile::tempdir().expect("a temporary folder");
        let line = format!(
            "exec {program} {FLAGS} --user-data-dir={} about:blank 3<&0 4>&1 </dev/null >/dev/null",
            profile.path().display()
        );
        let mut process = Command::new("/bin/sh")
            .args(["-c", &line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let to = process.stdin.take().expect("a pipe");
        let mut from = BufReader::new(process.stdout.take().expect("a pipe"));
        let (heard, hear) = channel();
        meanwhile(move || {
            let mut message = Vec::new();
            while from.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if heard.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let (asked, session, complaints) = (0, None, Vec::new());
        let mut browser =
            Self { process, to, from: hear, asked, session, complaints, _profile: profile };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let found = self.call("Target.getTargets", json!({}));
        let mut targets = found["targetInfos"].as_array().expect("targets").iter();
        let page = targets.find(|it| it["type"] == "page").expect("a page")["targetId"].clone();
        let to = json!({ "targetId": page, "flatten": true });
        let session = self.call("Target.attachToTarget", to)["sessionId"].clone();
        self.session = session.as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// One command of the protocol.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let sent = self.to.write_all(format!("{message}\0").as_bytes());
        sent.and_then(|()| self.to.flush()).expect("the browser listens");
        loop {
            let heard = self.from.recv_timeout(PATIENCE).expect("the browser answers");
            if heard["id"] == self.asked {
                assert!(heard["error"].is_null(), "{method}: {}", heard["error"]);
                return heard["result"].clone();
            }
            let entry = &heard["params"]["entry"];
            let is_complaint = heard["method"] == "Runtime.exceptionThrown"
                || heard["method"] == "Log.entryAdded" && entry["source"] == "security";
            if is_complaint {
                self.complaints.push(heard["params"].to_string());
            }
        }
    }

    pub fn open(&mut self, address: &str) {
        let opened = self.call("Page.navigate", json!({ "url": address }));
        assert!(opened["errorText"].is_null(), "{address}: {}", opened["errorText"]);
    }

    /// The value of an expression; null when it throws.
    pub fn ask(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        self.call("Runtime.evaluate", asked)["result"]["value"].clone()
    }

    /// Waits until an expression is true; the page may be another by then.
    pub fn until(&mut self, expression: &str) {
        let mut text = Value::Null;
        eventually(&format!("{expression} in a page"), || {
            let is_true = self.ask(expression) == true;
            text = self.ask("document.body.innerText");
            is_true.then_some(())
        });
    }

    /// Waits until the main part of the page shows a text.
    pub fn sees(&mut self, text: &str) {
        self.until(&format!("document.getElementById('main').innerText.includes({})", json!(text)));
    }

    /// Clicks on the first link or button with this text.
    pub fn click(&mut self, text: &str) {
        self.until(&format!(
            "(() => {{ const found = [...document.querySelectorAll('a, button')]\
             .find((it) => it.checkVisibility() && it.textContent.trim() === {}); \
             if (found) found.click(); return Boolean(found); }})()",
            json!(text)
        ));
    }

    /// Writes into the field of this name.
    pub fn write(&mut self, field: &str, text: &str) {
        self.until(&format!(
            "(() => {{ const found = document.querySelector('[name={field}]'); \
             if (!found) return false; found.value = {}; \
             found.dispatchEvent(new Event('input', {{ bubbles: true }})); return true; }})()",
            json!(text)
        ));
    }
}
