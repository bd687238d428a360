//! The agent's own watches (spec api 7.1, 7.3): each in a task of its own, that asks this agent's HTTP API
//! and gives what is new to a program or to an HTTP server.
//!
//! ```text
//!   configuration ─► Watches::replace ─► one task each ─► watch::run ─► handler, in a task of its own
//! ```
//!
//! * A watch has one handler at work at a time; what changes meanwhile comes with the next.
//! * Replacing the set stops the watches, not a handler that is at work: it was begun and is to end. The
//!   new watches begin with the state as it is, so handlers run again, as in Consul.
//! * What a handler does never reaches the agent: it fails into the log.
//!
//! Deliberately not here: a limit on how long a program may take (Consul has none), HTTPS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use tokio::sync::oneshot;

use crate::base::go_duration;
use crate::base::runtime::{ChildCommand, Level, Runtime, Task};
use crate::config;
use crate::http::fetch::Head;
use crate::watch::{self, Configured, Handed, Handler, HttpHandler, Link, Owner, Place};

use super::probes::http::{Asked, Tail, follow};
use super::probes::url::Url;
use super::reload::Reloads;

/// Of a handler's output so much is kept for the log, bytes.
const OUTPUT_LIMIT: usize = 4 * 1024;
/// What reads the old form of a handler. Consul asks the environment first, which a service seldom has.
const SHELL: &str = "/bin/sh";
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");

/// The watches of an agent. Clones are the same.
pub(super) struct Watches<R: Runtime> {
    runtime: R,
    /// None without an HTTP port; then there are no watches.
    place: Option<Place>,
    tasks: Arc<Mutex<Vec<R::Task>>>,
}

impl<R: Runtime> Clone for Watches<R> {
    fn clone(&self) -> Self {
        let (runtime, place) = (self.runtime.clone(), self.place.clone());
        Self { runtime, place, tasks: self.tasks.clone() }
    }
}

/// `watches`: all begin anew.
impl<R: Runtime> Reloads for Watches<R> {
    fn reload(&self, config: &config::AgentConfig) -> Result<(), String> {
        self.replace(config.watches.clone());
        Ok(())
    }
}

impl<R: Runtime> Watches<R> {
    /// None yet.
    pub fn new(runtime: R, config: &config::AgentConfig) -> Self {
        let ip = config.http_addrs.first().map(|ip| match ip {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => *ip,
        });
        let place = ip.zip(config.ports.http);
        let place = place.map(|(ip, port)| Place { host: ip.to_string(), port });
        Self { runtime, place, tasks: Arc::default() }
    }

    /// Stops those there are, and starts these.
    pub fn replace(&self, watches: Vec<Configured>) {
        self.stop();
        let Some(place) = &self.place else { return };
        for Configured { plan, handler } in watches {
            let (runtime, place) = (self.runtime.clone(), place.clone());
            let task = self.runtime.spawn("watch", async move {
                let mut told = Told { runtime: runtime.clone(), kind: plan.kind(), handler };
                let mut link = Link::new(runtime.clone(), place, plan.token.clone());
                watch::run(&runtime, &mut link, &plan, &mut told).await;
            });
            self.tasks().push(task);
        }
    }

    /// Stops all. Handlers at work go on.
    pub fn stop(&self) {
        self.tasks().drain(..).for_each(|task| task.abort());
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<R::Task>> {
        self.tasks.lock().expect("no task panics while it holds the list")
    }
}

/// Who is told of one watch.
struct Told<R> {
    runtime: R,
    kind: &'static str,
    handler: Handler,
}

impl<R: Runtime> Owner for Told<R> {
    type End = ();

    async fn hand(&mut self, told: Handed) -> ControlFlow<()> {
        match told {
            Handed::Result(index, data) => {
                handle_apart(self.runtime.clone(), self.handler.clone(), index, data).await;
            }
            Handed::Errored(why, retry) => {
                let (kind, retry) = (self.kind, go_duration::format(retry));
                let text = format_args!("Watch errored: type={kind} error={why:?} retry={retry}");
                self.runtime.log(Level::Error, "agent.watch", text);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Handles a result in a task that goes on when the watch is stopped meanwhile.
async fn handle_apart<R: Runtime>(runtime: R, handler: Handler, index: u64, data: Bytes) {
    let (done, ended) = oneshot::channel::<()>();
    let own = runtime.clone();
    runtime.spawn("watch handler", async move {
        let mut input = data.to_vec();
        input.push(b'\n');
        match &handler {
            Handler::Shell(text) => {
                let argv = [SHELL, "-c", text].map(str::to_owned).to_vec();
                run_program(&own, argv, text, index, input).await;
            }
            Handler::Program(argv) => {
                let shown = format!("[{}]", argv.join(", "));
                run_program(&own, argv.clone(), &shown, index, input).await;
            }
            Handler::Http(http) => call(&own, http, index, input).await,
        }
        // Nobody may wait any more.
        let _ = done.send(());
    });
    let _ended = ended.await;
}

async fn run_program<R: Runtime>(
    runtime: &R,
    argv: Vec<String>,
    shown: &str,
    index: u64,
    stdin: Vec<u8>,
) {
    let command = ChildCommand {
        argv,
        env: vec![("CONSUL_INDEX".to_owned(), index.to_string())],
        stdin,
        timeout: None,
        output_limit: Some(OUTPUT_LIMIT),
    };
    let failed = |why: &str| {
        let text =
            format_args!("Failed to run watch handler: watch_handler={shown:?} error={why:?}");
        runtime.log(Level::Error, "agent", text);
    };
    let exit = match runtime.run_child(command).await {
        Ok(exit) => exit,
        Err(error) => return failed(&error.to_string()),
    };
    match exit.code {
        Some(0) => {}
        Some(code) => failed(&format!("exit status {code}")),
        None => failed("a signal has ended it"),
    }
    let output = captured(&exit.output, exit.written);
    let text = format_args!("watch handler output: watch_handler={shown:?} output={output:?}");
    runtime.log(Level::Debug, "agent", text);
}

/// The end of an output, and how much it was.
fn captured(kept: &[u8], written: u64) -> String {
    let text = String::from_utf8_lossy(kept);
    if written <= kept.len() as u64 {
        return text.into_owned();
    }
    format!("Captured {} of {written} bytes\n...\n{text}", kept.len())
}

async fn call<R: Runtime>(runtime: &R, http: &HttpHandler, index: u64, body: Vec<u8>) {
    let failed = |what: &str, why: &str| {
        let text = format_args!("{what}: watch={:?} error={why:?}", http.path);
        runtime.log(Level::Error, "agent", text);
    };
    let mut asked = match request(http, index, body) {
        Ok(asked) => asked,
        Err(why) => return failed("Failed to setup http watch", &why),
    };
    let (mut tail, mut head) = (Tail::new(OUTPUT_LIMIT), None);
    let done =
        runtime.timeout(http.timeout, follow(runtime, &mut asked, &mut head, &mut tail)).await;
    let Some(Head { status, reason, .. }) = head else {
        let why = match done {
            Ok(Err(why)) => why,
            Ok(Ok(())) => "EOF".to_owned(),
            Err(_) => "context deadline exceeded".to_owned(),
        };
        return failed("Failed to invoke http watch handler", &why);
    };
    let (path, output) = (&http.path, captured(&tail.bytes, tail.written));
    if (200..=299).contains(&status) {
        let text = format_args!("http watch handler output: watch={path:?} output={output:?}");
        runtime.log(Level::Trace, "agent", text);
    } else {
        let text = format_args!(
            "http watch handler failed with output: watch={path:?} status=\"{status} {reason}\" \
             output={output:?}"
        );
        runtime.log(Level::Error, "agent", text);
    }
}

fn request(http: &HttpHandler, index: u64, body: Vec<u8>) -> Result<Asked, String> {
    let url = Url::parse(&http.path)?;
    let method =
        http.method.parse().map_err(|_| format!("net/http: invalid method \"{}\"", http.method))?;
    let value = |text: &str| {
        HeaderValue::try_from(text)
            .map_err(|_| format!("net/http: invalid header field value \"{text}\""))
    };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, value(&url.host)?);
    headers.insert(USER_AGENT, HeaderValue::from_static("Go-http-client/1.1"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(INDEX, HeaderValue::from(index));
    for (name, values) in &http.header {
        let wrong = |_| format!("net/http: invalid header field name \"{name}\"");
        let name = HeaderName::try_from(name.as_str()).map_err(wrong)?;
        for text in values {
            headers.append(name.clone(), value(text)?);
        }
    }
    Ok(Asked { method, url, headers, body: Bytes::from(body) })
}
