//! Does the steps of one case and keeps what came back, unchanged.
//!
//! A step that needs what an earlier answer lacked is not done and says so; the case goes on, as the
//! recorded one did. Every wait has an end: 10 s for a request (more where it may block), 20 s for a
//! command; after one `until` that never came true the later ones of the case get 2 s.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::agent::{Agent, BINARY, Failure, Ports, write};
use crate::cases::{Kind, Spec, Step};
use crate::dns::{Message, Question, Record};
use crate::http::{Request, Response, send_raw};
use crate::processes::{self, clean, meanwhile, now, sleep};
use crate::recursor::Recursor;
use crate::targets::Targets;
use crate::tree::Tree;
use crate::variables::{Variables, holds, lookup, plain};

/// What a step gave.
#[derive(Default)]
pub struct Answer {
    pub got: Got,
    pub elapsed: Option<Duration>,
    /// An `until` that did not come true in its time.
    pub never: bool,
}

/// What came back, by what was done.
pub enum Got {
    /// It could not be done, or nothing came.
    Error(String),
    /// What the step says of itself: `started`, `slept`, `agent_exit` …
    Note(Map<String, Value>),
    Http(Response),
    Dns(Message),
    Command {
        exit: Value,
        stdout: String,
        stderr: String,
        files: BTreeMap<String, Option<String>>,
    },
    /// Calls of the target server.
    Calls(Value),
}

impl Default for Got {
    fn default() -> Self {
        Self::Note(Map::new())
    }
}

impl Answer {
    fn new(got: Got) -> Self {
        Self { got, ..Self::default() }
    }

    fn note(key: &str, value: Value) -> Self {
        Self::new(Got::Note(Map::from_iter([(key.to_owned(), value)])))
    }

    fn since(started: Instant, got: Got) -> Self {
        Self { got, elapsed: Some(now() - started), never: false }
    }

    /// Nothing came, and nothing will.
    pub fn is_late(&self) -> bool {
        match &self.got {
            Got::Error(name) => name == "TimeoutError" || name == "StillWaiting",
            Got::Command { exit, .. } => exit == "timeout",
            _ => false,
        }
    }

    /// The tree that the paths of `save` and `until` go through.
    fn view(&self) -> Value {
        match &self.got {
            Got::Error(name) => json!({ "error": name }),
            Got::Note(note) => Value::Object(note.clone()),
            Got::Http(response) => {
                let text = String::from_utf8_lossy(&response.body);
                let body = serde_json::from_str(&text).unwrap_or_else(|_| json!(text));
                json!({"status": response.status, "header": response.headers, "body": body, "text": text})
            }
            Got::Dns(message) => {
                let data = |records: &[Record]| -> Value {
                    records
                        .iter()
                        .map(|record| {
                            json!({"name": record.name, "ttl": record.ttl_s,
                        "class": record.class, "type": record.kind, "data": record.data})
                        })
                        .collect()
                };
                json!({"rcode": message.rcode, "flags": message.flags, "question": message.questions,
                    "answer": data(&message.answer), "authority": data(&message.authority),
                    "additional": data(&message.additional), "size": message.size})
            }
            Got::Command { exit, stdout, stderr, files } => {
                json!({"exit": exit, "stdout": stdout, "stderr": stderr, "files": files})
            }
            Got::Calls(calls) => json!({ "body": calls }),
        }
    }
}

/// Something that runs while later steps go on.
enum Background {
    Request(Instant, Receiver<Answer>),
    Command(Running),
}

/// A command of the command line; its output goes to files.
struct Running {
    child: Child,
    started: Instant,
    output: PathBuf,
}

/// One agent with its target server, and what is known while a case runs.
pub struct CaseRun {
    pub agent: Agent,
    targets: Targets,
    _recursor: Recursor,
    pub variables: Variables,
    waived: Vec<&'static str>,
    work: PathBuf,
    blobs: BTreeMap<String, Vec<u8>>,
    background: BTreeMap<String, Background>,
    commands: usize,
    impatient: bool,
}

impl CaseRun {
    /// Starts the agent that this describes, in this folder; once more if somebody took its ports.
    pub fn open(spec: &Tree, folder: &Path, waived: &[&'static str]) -> Result<Self, String> {
        let mut last = String::new();
        for attempt in 0..3 {
            let folder = folder.join(attempt.to_string());
            let work = folder.join("work");
            fs::create_dir_all(&work).map_err(|error| error.to_string())?;
            let ports = Ports::free()?;
            let mut variables = Variables::default();
            for (name, port) in ports.iter() {
                variables.set(&format!("{name}_port"), port.to_string());
            }
            variables.set("tmp", folder.display().to_string());
            variables.set("work", work.display().to_string());
            variables.set("addr", format!("127.0.0.1:{}", ports.get("http")));
            let spec: Spec = serde_json::from_value(variables.fill(spec)?.value())
                .map_err(|error| format!("agent: {error}"))?;
            let targets = Targets::open(ports.get("web"));
            let recursor = Recursor::open(ports.get("rdns"));
            let mut agent = Agent::new(spec, &folder, ports);
            let started = agent.start(waived, None);
            match (targets, recursor, started) {
                (Ok(targets), Ok(recursor), Ok(())) => {
                    let node = agent.get("/v1/agent/self").unwrap_or_default();
                    let id = node["Config"]["NodeID"].as_str().unwrap_or_default();
                    variables.set("node_id", id.to_owned());
                    return Ok(Self {
                        agent,
                        targets,
                        _recursor: recursor,
                        variables,
                        waived: waived.to_vec(),
                        work,
                        blobs: BTreeMap::new(),
                        background: BTreeMap::new(),
                        commands: 0,
                        impatient: false,
                    });
                }
                (Err(error), ..) | (_, Err(error), _) => last = error.to_string(),
                (.., Err(Failure { why, .. })) if why.contains("in use") => last = why,
                (.., Err(Failure { why, .. })) => return Err(why),
            }
        }
        Err(last)
    }

    /// Does a step as it stands in its file.
    pub fn run(&mut self, json: &Tree) -> Answer {
        let mut answer = match self.attempt(json) {
            Ok(answer) => answer,
            Err(why) => Answer::new(Got::Error(format!("not run: {why}"))),
        };
        let Ok(step) = Step::read(json) else { return answer };
        if step.bg.is_none() {
            self.save(&step, &mut answer);
        }
        answer
    }

    fn attempt(&mut self, json: &Tree) -> Result<Answer, String> {
        let step = self.live(json)?;
        if let Some(name) = step.bg.clone() {
            let begun = self.begin(&step)?;
            self.background.insert(name, begun);
            sleep(Duration::from_secs_f64(step.settle.unwrap_or(0.25)));
            return Ok(Answer::note("started", json!(true)));
        }
        let leaves = match step.kind() {
            Kind::Http(request) => request.contains("/v1/agent/leave"),
            Kind::Cli(arguments) => arguments.first().is_some_and(|name| name == "leave"),
            _ => false,
        };
        self.agent.expected_end |= leaves;
        let most = if self.impatient { 2.0 } else { 1000.0 };
        let end = now() + seconds(step.timeout_s.unwrap_or(10.0).min(most));
        loop {
            let step = self.live(json)?;
            let mut answer = self.perform(&step)?;
            if step.until.is_empty() {
                return Ok(answer);
            }
            let view = answer.view();
            if step.until.iter().all(|(path, want)| holds(lookup(&view, path).as_ref(), want)) {
                return Ok(answer);
            }
            if now() > end || self.agent.died().is_some() {
                answer.never = true;
                self.impatient = true;
                return Ok(answer);
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// With the variables of this moment.
    fn live(&self, json: &Tree) -> Result<Step, String> {
        Step::read(&self.variables.fill(&json.without(&["got", "norm"]))?)
    }

    fn save(&mut self, step: &Step, answer: &mut Answer) {
        let view = answer.view();
        for (name, path) in &step.save {
            let value = lookup(&view, path).filter(|value| !value.is_null());
            self.variables
                .set(name, value.map_or("not-captured".to_owned(), |value| plain(&value)));
        }
        if let (Some(name), Got::Http(response)) = (&step.save_bytes, &answer.got) {
            self.blobs.insert(name.clone(), response.body.clone());
        }
    }

    fn perform(&mut self, step: &Step) -> Result<Answer, String> {
        let started = now();
        Ok(match step.kind() {
            Kind::Http(request) => send(&self.request(step, &request)?),
            Kind::Raw(text) => {
                let got = send_raw(self.agent.ports.get("http"), &text);
                Answer::since(started, got.map_or_else(Got::Error, Got::Http))
            }
            Kind::Dns(name) => {
                let time = seconds(step.dns_timeout_s.unwrap_or(5.0));
                let got = question(step, name).ask(self.agent.ports.get("dns"), time)?;
                Answer::since(started, got.map_or_else(Got::Error, Got::Dns))
            }
            Kind::Cli(arguments) => {
                let running = self.command(step, &arguments)?;
                self.finish(running, step, seconds(step.timeout_s.unwrap_or(20.0)))
            }
            Kind::Sleep(time) => {
                sleep(seconds(time));
                Answer::note("slept", json!(true))
            }
            Kind::Join(name) => self.join(step, &name)?,
            Kind::Restart(how) => self.restart(&how)?,
            Kind::Signal(which) => self.signal(step, &which),
            Kind::Calls(path) => Answer::new(Got::Calls(self.calls(step, &path))),
            Kind::WriteFile(name) => {
                let content = step.content.as_ref().map(plain).unwrap_or_default();
                write(&self.agent.folder.join(name), &content)
                    .map_err(|error| error.to_string())?;
                Answer::note("written", json!(true))
            }
        })
    }

    fn request(&self, step: &Step, request: &str) -> Result<Request, String> {
        let (method, target) = request.split_once(' ').ok_or("a request is METHOD PATH")?;
        let mut body = self.body(step)?;
        if body.is_none() && ["PUT", "POST", "DELETE"].contains(&method) && !step.chunked {
            body = Some(Vec::new());
        }
        let port = match &step.port {
            Some(port) => port.parse().map_err(|_| format!("{port} is no port"))?,
            None => self.agent.ports.get("http"),
        };
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let waits =
            query.split('&').any(|part| part.starts_with("index=") || part.starts_with("wait="));
        let may_wait = waits || step.bg.is_some();
        let given = step.timeout_s.unwrap_or(10.0);
        let timeout = seconds(if may_wait { given + 10.0 } else { given.max(10.0) });
        let (method, target) = (method.to_owned(), target.to_owned());
        let (headers, chunked) = (step.headers.clone(), step.chunked);
        Ok(Request { port, method, target, headers, body, chunked, timeout })
    }

    fn body(&self, step: &Step) -> Result<Option<Vec<u8>>, String> {
        if let Some(json) = &step.json {
            return Ok(Some(json.clone().into_bytes()));
        }
        if let Some(text) = &step.body {
            return Ok(Some(text.clone().into_bytes()));
        }
        if let Some(text) = &step.body_b64 {
            return STANDARD.decode(text).map(Some).map_err(|error| error.to_string());
        }
        if let Some((text, times)) = &step.body_repeat {
            return Ok(Some(text.repeat(*times).into_bytes()));
        }
        Ok(step.body_blob.as_ref().map(|name| {
            let mut data = self.blobs.get(name).cloned().unwrap_or_default();
            data.truncate(step.truncate_to.unwrap_or(usize::MAX));
            data
        }))
    }

    fn begin(&mut self, step: &Step) -> Result<Background, String> {
        match step.kind() {
            Kind::Http(request) => {
                let request = self.request(step, &request)?;
                let (sender, receiver) = channel();
                // Whoever does not join does not want the answer.
                meanwhile(move || drop(sender.send(send(&request))));
                Ok(Background::Request(now(), receiver))
            }
            Kind::Cli(arguments) => Ok(Background::Command(self.command(step, &arguments)?)),
            other => Err(format!("cannot be done in the background: {other:?}")),
        }
    }

    fn join(&mut self, step: &Step, name: &str) -> Result<Answer, String> {
        let time = seconds(step.timeout_s.unwrap_or(15.0));
        match self.background.remove(name).ok_or(format!("'{name}'"))? {
            Background::Request(started, receiver) => match receiver.recv_timeout(time) {
                Ok(answer) => Ok(answer),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    Ok(Answer::since(started, Got::Error("StillWaiting".to_owned())))
                }
            },
            Background::Command(running) => {
                if let Some(wait) = step.signal_after_s {
                    sleep(seconds(wait));
                    processes::signal(&running.child, step.with.as_deref().unwrap_or("INT"));
                }
                Ok(self.finish(running, step, time))
            }
        }
    }

    /// Starts a command of the agent's binary in the case's working folder.
    fn command(&mut self, step: &Step, arguments: &[String]) -> Result<Running, String> {
        self.commands += 1;
        let output = self.agent.folder.join(format!("command{}", self.commands));
        let begin = || -> std::io::Result<Child> {
            for (name, content) in &step.files {
                write(&self.work.join(name), &plain(content))?;
            }
            for (name, blob) in &step.blob_files {
                fs::write(
                    self.work.join(name),
                    self.blobs.get(blob).map_or(&[][..], Vec::as_slice),
                )?;
            }
            write(&output.with_extension("in"), &step.stdin)?;
            let mut command = Command::new(BINARY);
            clean(&mut command);
            command
                .args(arguments)
                .current_dir(&self.work)
                .env("HOME", &self.work)
                .env("COLUMNS", "200");
            if !step.no_addr {
                let address = format!("127.0.0.1:{}", self.agent.ports.get("http"));
                command.env("CONSUL_HTTP_ADDR", address);
            }
            command
                .envs(&step.env)
                .stdin(File::open(output.with_extension("in"))?)
                .stdout(File::create(output.with_extension("out"))?)
                .stderr(File::create(output.with_extension("err"))?)
                .spawn()
        };
        let started = now();
        let child = begin().map_err(|error| format!("{BINARY}: {error}"))?;
        Ok(Running { child, started, output })
    }

    fn finish(&mut self, mut running: Running, step: &Step, time: Duration) -> Answer {
        let status = processes::wait(&mut running.child, time);
        processes::kill(&mut running.child);
        let exit = status.map_or_else(|| json!("timeout"), processes::exit_code);
        let text = |kind: &str| {
            let bytes = fs::read(running.output.with_extension(kind)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (text("out"), text("err"));
        let read = |name: &String| {
            let bytes = fs::read(self.work.join(name)).ok();
            (name.clone(), bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let files = step.read_files.iter().map(read).collect();
        if let Some(name) = &step.read_blob
            && let Ok(bytes) = fs::read(self.work.join(name))
        {
            self.blobs.insert(name.clone(), bytes);
        }
        Answer::since(running.started, Got::Command { exit, stdout, stderr, files })
    }

    fn restart(&mut self, how: &str) -> Result<Answer, String> {
        let exit = self.agent.stop(&how.to_uppercase());
        self.agent.start(&self.waived, None).map_err(|failure| failure.why)?;
        let exit = if how == "kill" { json!("killed") } else { exit };
        let note = [("restarted".to_owned(), json!(true)), ("exit".to_owned(), exit)];
        Ok(Answer::new(Got::Note(Map::from_iter(note))))
    }

    fn signal(&mut self, step: &Step, which: &str) -> Answer {
        if which == "wait-exit" {
            let code = self.agent.wait(seconds(step.timeout_s.unwrap_or(15.0)));
            return Answer::note("agent_exit", code.unwrap_or_else(|| json!("still running")));
        }
        self.agent.expected_end |= which != "HUP";
        self.agent.signal(which);
        Answer::note("signalled", json!(true))
    }

    fn calls(&self, step: &Step, path: &str) -> Value {
        let calls = self.targets.calls(path);
        let last = step.last.unwrap_or(calls.len()).min(calls.len());
        let calls = &calls[calls.len() - last..];
        let calls = &calls[..step.first.unwrap_or(calls.len()).min(calls.len())];
        let told = calls.iter().map(|call| {
            let names = step.keep_headers.iter().map(|name| name.to_lowercase());
            let headers: Map<String, Value> =
                names.map(|name| (name.clone(), json!(call.headers.get(&name)))).collect();
            let body = String::from_utf8_lossy(&call.body);
            json!({"method": call.method, "body": body, "headers": headers})
        });
        told.collect()
    }
}

impl Drop for CaseRun {
    fn drop(&mut self) {
        for background in self.background.values_mut() {
            if let Background::Command(running) = background {
                processes::kill(&mut running.child);
            }
        }
    }
}

fn send(request: &Request) -> Answer {
    let started = now();
    let got = request.send();
    Answer::since(started, got.map_or_else(Got::Error, Got::Http))
}

fn question(step: &Step, name: String) -> Question {
    Question {
        name,
        kind: step.record_type.clone().unwrap_or_else(|| "A".to_owned()),
        class: step.class.clone().unwrap_or_else(|| "IN".to_owned()),
        over_tcp: step.proto.as_deref() == Some("tcp"),
        edns: step.edns,
        subnet: step.subnet.clone(),
        recursion_desired: step.rd.unwrap_or(true),
        opcode: step.opcode.unwrap_or(0),
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
