//! What a step does: the verbs of language section 6 and their keys.

use proconsul::base::Duration;
use serde_json::Value;

use super::condition;
use super::fault::{ClockFault, DiskFault, SignedSpan};
use super::fault_verb;
use super::link_verb;
use super::lookup;
use super::membership_verb;
use super::model::{
    Action, Fact, HttpExpect, HttpStep, KeepOnKill, Partition, Span, StopSignal, Target, Wait,
};
use super::reader::Reader;
use super::service_verb;
use super::target::Setting;
use super::tree::{Item, Kind, Table};
use super::words;

/// Reads the action of a verb that is built. `length` is the step's `for`, `by` the key of that name
/// of a verb that acts on clocks.
pub fn action(
    reader: &mut Reader,
    table: &Table,
    verb: &str,
    length: Option<Span>,
    by: Option<SignedSpan>,
) -> Option<Action> {
    match verb {
        "skew" | "drift" | "jump" | "strobe" => fault_verb::clock(reader, table, verb, by),
        "slow-fsync" | "fsync-lies" | "disk-full" | "io-error" | "torn-write" | "lose-unsynced"
        | "bit-rot" | "misdirect" => fault_verb::disk(reader, table, verb),
        "slow" | "lose" | "duplicate" | "reorder" | "corrupt" | "throttle" | "clog" | "reset"
        | "refuse" | "blackhole" => link_verb::link(reader, table, verb),
        "join" | "leave" | "force-leave" => membership_verb::membership(reader, table, verb),
        "dns-fail" => Some(Action::DnsFail { target: target(reader, table, verb)? }),
        "readdress" => Some(Action::Readdress { target: target(reader, table, verb)? }),
        "register" | "deregister" | "service-down" | "service-up" => {
            service_verb::service(reader, table, verb)
        }
        "repeat" => {
            let example = "times = 3, and the steps as [[step.step]]";
            let item = required(reader, table, "times", "\"repeat\"", example);
            nested(reader, table, verb)?;
            let times = reader.integer(item?, "`times`", 1, 100_000)?;
            Some(Action::Repeat { times: times as u32 })
        }
        "parallel" => nested(reader, table, verb).map(|()| Action::Parallel),
        "file" => fault_verb::file(reader, table).map(Action::File),
        "cli" => fault_verb::cli(reader, table).map(Action::Cli),
        "transfer-leader" => fault_verb::transfer_leader(reader, table),
        "wipe" => Some(Action::Wipe { target: target(reader, table, verb)? }),
        "config" => {
            let target = target(reader, table, verb);
            let example = "set = { log_level = \"DEBUG\" }";
            let item = required(reader, table, "set", "\"config\"", example)?;
            let set = reader.table(item, "`set`")?;
            let set = reader.json_object(set, "`set`");
            Some(Action::Config { target: target?, set })
        }
        "start" | "restart" => {
            let target = target(reader, table, verb);
            let args = table.get("args").map(|item| reader.templates(item, "`args`"));
            let args = args.unwrap_or_default();
            let config = config(reader, table);
            let target = target?;
            Some(if verb == "start" {
                Action::Start { target, args, config }
            } else {
                Action::Restart { target, args, config }
            })
        }
        "kill" => {
            let disk = match word(reader, table, "disk", words::DISK).as_deref() {
                Some("all") => KeepOnKill::All,
                Some("some") => KeepOnKill::Some,
                _ => KeepOnKill::Synced,
            };
            Some(Action::Kill { target: target(reader, table, verb)?, disk })
        }
        "stop" => {
            let signal = match word(reader, table, "signal", words::SIGNAL).as_deref() {
                Some("INT") => StopSignal::Int,
                _ => StopSignal::Term,
            };
            Some(Action::Stop { target: target(reader, table, verb)?, signal })
        }
        "pause" => Some(Action::Pause { target: target(reader, table, verb)? }),
        "resume" => Some(Action::Resume { target: target(reader, table, verb)? }),
        "partition" => partition(reader, table).map(Action::Partition),
        "heal" => heal(reader, table),
        "http" => http(reader, table).map(Action::Http),
        "dns" => lookup::step(reader, table).map(Action::Dns),
        "wait" => wait(reader, table, length).map(Action::Wait),
        _ => {
            let text = required(reader, table, "text", "a note", "text = \"what happens here\"")?;
            Some(Action::Note { text: reader.template(text, "`text`")? })
        }
    }
}

/// The value of a key that the verb needs.
pub fn required<'t>(
    reader: &mut Reader,
    table: &'t Table,
    key: &str,
    owner: &str,
    example: &str,
) -> Option<&'t Item> {
    let item = table.get(key);
    if item.is_none() {
        let place = table.entry("do").map_or(table.place, |entry| entry.value.place);
        reader.advise(place, format!("{owner} needs `{key}`"), format!("for example {example}"));
    }
    item
}

/// A block needs something in it.
fn nested(reader: &mut Reader, table: &Table, verb: &str) -> Option<()> {
    if table.entry("step").is_some() {
        return Some(());
    }
    let place = table.entry("do").map_or(table.place, |entry| entry.value.place);
    let help = "write [[step.step]] below it for each step that belongs to it";
    reader.advise(place, format!("{verb:?} has no nested steps"), help);
    None
}

/// The target that the verb needs.
pub fn target(reader: &mut Reader, table: &Table, verb: &str) -> Option<Target> {
    let item = required(reader, table, "target", &format!("{verb:?}"), "target = \"leader\"")?;
    reader.target(item, "`target`", Setting::Plain)
}

fn word(reader: &mut Reader, table: &Table, key: &str, known: words::Words) -> Option<String> {
    reader.word(table.get(key)?, &format!("`{key}`"), known)
}

fn config(reader: &mut Reader, table: &Table) -> Option<Value> {
    let config = reader.table(table.get("config")?, "`config`")?;
    Some(reader.json_object(config, "`config`"))
}

fn partition(reader: &mut Reader, table: &Table) -> Option<Partition> {
    match (table.entry("groups"), table.entry("shape")) {
        (Some(_), Some(shape)) => {
            reader.error(shape.place, "`groups` and `shape` exclude each other");
            None
        }
        (None, None) => {
            let place = table.entry("do").map_or(table.place, |entry| entry.value.place);
            let help = "for example groups = [\"leader\", \"rest\"], or shape = \"split\"";
            reader.advise(place, "\"partition\" needs `groups` or `shape`", help);
            None
        }
        (Some(groups), None) => {
            excluded(reader, table, "target", "`groups`");
            excluded(reader, table, "period", "`groups`");
            self::groups(reader, &groups.value)
        }
        (None, Some(shape)) => {
            let shape = reader.word(&shape.value, "`shape`", words::SHAPES)?;
            self::shape(reader, table, &shape)
        }
    }
}

fn excluded(reader: &mut Reader, table: &Table, key: &str, by: &str) {
    if let Some(entry) = table.entry(key) {
        reader.error(entry.place, format!("`{key}` does not go with {by}"));
    }
}

fn groups(reader: &mut Reader, item: &Item) -> Option<Partition> {
    let Kind::Array(items) = &item.kind else {
        let help = "for example groups = [\"leader\", \"rest\"]";
        reader.advise(item.place, "`groups` must be a list", help);
        return None;
    };
    if items.len() < 2 {
        let help = "add the others: groups = [\"leader\", \"rest\"]";
        reader.advise(item.place, "a partition has at least two groups", help);
        return None;
    }
    let groups: Vec<Option<Target>> =
        items.iter().map(|one| reader.target(one, "each group", Setting::Groups)).collect();
    let rests = groups.iter().filter(|group| **group == Some(Target::Rest)).count();
    if rests > 1 {
        reader.error(item.place, "\"rest\" can be one group only");
    }
    groups.into_iter().collect::<Option<Vec<Target>>>().map(Partition::Groups)
}

fn shape(reader: &mut Reader, table: &Table, shape: &str) -> Option<Partition> {
    let owner = format!("shape {shape:?}");
    if shape != "flapping" {
        excluded(reader, table, "period", &owner);
    }
    let whole = match shape {
        "split" => Some(Partition::Split),
        "bridge" => Some(Partition::Bridge),
        "majorities-ring" => Some(Partition::MajoritiesRing),
        _ => None,
    };
    if let Some(whole) = whole {
        excluded(reader, table, "target", &owner);
        return Some(whole);
    }
    let target = required(reader, table, "target", &owner, "target = \"leader\"")
        .and_then(|item| reader.target(item, "`target`", Setting::Plain));
    match shape {
        "isolate" => Some(Partition::Isolate { target: target? }),
        "one-way" => Some(Partition::OneWay { target: target? }),
        _ => {
            let item = required(reader, table, "period", &owner, "period = \"10s\"")?;
            let period = reader.duration(item, "`period`")?;
            if period == Duration::ZERO {
                reader.error(item.place, "`period` must be longer than nothing");
            }
            Some(Partition::Flapping { target: target?, period })
        }
    }
}

fn heal(reader: &mut Reader, table: &Table) -> Option<Action> {
    let Some(item) = table.get("of") else { return Some(Action::Heal { of: None }) };
    let text = reader.text(item, "`of`")?;
    let found = reader.names.find_step(&text.text);
    let step = reader.accept(text, found)?;
    let verb = reader.names.steps[step].1.clone();
    if words::VERBS.has(&verb) && !words::UNDOABLE.contains(&verb.as_str()) {
        let message = format!("step {:?} cannot be undone: it is a {verb:?}", text.text);
        reader.advise(item.place, message, format!("heal undoes {}", words::UNDOABLE.join(", ")));
    }
    Some(Action::Heal { of: Some(step) })
}

fn wait(reader: &mut Reader, table: &Table, length: Option<Span>) -> Option<Wait> {
    match (table.entry("for"), table.entry("until")) {
        (Some(_), Some(until)) => {
            reader.error(until.place, "`for` and `until` exclude each other");
            None
        }
        (None, None) => {
            let place = table.entry("do").map_or(table.place, |entry| entry.value.place);
            let help = "for example for = \"5s\", or until = \"one-leader\"";
            reader.advise(place, "\"wait\" needs `for` or `until`", help);
            None
        }
        (Some(_), None) => {
            let holds = match table.get("while") {
                None => None,
                Some(item) => match fact(reader, item, "`while`")? {
                    Fact::Condition(condition) => Some(condition),
                    Fact::Event(_) => {
                        reader.error(item.place, "`while` takes a condition, and this is an event");
                        None
                    }
                },
            };
            Some(Wait::For { span: length?.low, holds })
        }
        (None, Some(until)) => {
            if let Some(entry) = table.entry("while") {
                reader.error(entry.place, "`while` goes with `for`");
            }
            Some(match fact(reader, &until.value, "`until`")? {
                Fact::Condition(condition) => Wait::Until(condition),
                Fact::Event(event) => Wait::UntilEvent(event),
            })
        }
    }
}

/// A condition or an event, with names in braces checked.
pub fn fact(reader: &mut Reader, item: &Item, what: &str) -> Option<Fact> {
    let text = reader.text(item, what)?;
    reader.template(item, what)?;
    let result = condition::fact(&text.text, &reader.names);
    reader.accept(text, result)
}

fn http(reader: &mut Reader, table: &Table) -> Option<HttpStep> {
    let via = required(reader, table, "via", "\"http\"", "via = \"leader\"")
        .and_then(|item| reader.target(item, "`via`", Setting::Plain));
    let request = required(reader, table, "request", "\"http\"", "request = \"GET /v1/kv/a\"")
        .and_then(|item| request(reader, item));
    let body = table.get("body").and_then(|item| reader.template(item, "`body`"));
    let expect = table.get("expect").and_then(|item| http_expect(reader, item));
    let (method, path) = request?;
    Some(HttpStep {
        via: via?,
        method,
        path,
        body: body.unwrap_or_default(),
        expect: expect.unwrap_or_default(),
        retry: table.get("within").is_some(),
    })
}

fn request(reader: &mut Reader, item: &Item) -> Option<(String, String)> {
    let text = reader.text(item, "`request`")?;
    reader.template(item, "`request`")?;
    let parts: Vec<&str> = text.text.split_whitespace().collect();
    let [method, path] = parts[..] else {
        let help = "a request is a method and a path: \"PUT /v1/kv/a\"";
        reader.advise(item.place, format!("{:?} is no request", text.text), help);
        return None;
    };
    if !words::METHODS.has(method) {
        let at = text.text.find(method).unwrap_or_default();
        let message = format!("unknown HTTP method {method:?}");
        let help = format!("there are: {}", words::METHODS.built.join(", "));
        reader.advise(text.part(at..at + method.len()), message, help);
        return None;
    }
    if !path.starts_with('/') {
        let at = text.text.rfind(path).unwrap_or_default();
        reader.error(text.part(at..at + path.len()), "a path begins with \"/\"");
        return None;
    }
    Some((method.to_owned(), path.to_owned()))
}

fn http_expect(reader: &mut Reader, item: &Item) -> Option<HttpExpect> {
    let table = reader.table(item, "`expect`")?;
    reader.keys(table, "`expect`", words::HTTP_EXPECT);
    let mut expect = HttpExpect::default();
    if let Some(item) = table.get("status") {
        expect.status = reader.integer(item, "`status`", 100, 599).map(|status| status as u16);
    }
    expect.body = table.get("body").and_then(|item| reader.template(item, "`body`"));
    expect.matches = table.get("matches").and_then(|item| reader.template(item, "`matches`"));
    for (key, list) in [("contains", &mut expect.contains), ("excludes", &mut expect.excludes)] {
        if let Some(item) = table.get(key) {
            *list = reader.templates(item, &format!("`{key}`"));
        }
    }
    if let Some(json) = table.get("json").and_then(|item| reader.table(item, "`json`")) {
        for entry in &json.entries {
            if let Some(value) = reader.json(&entry.value, "`json`") {
                expect.json.push((entry.key.clone(), value));
            }
        }
    }
    if let Some(header) = table.get("header").and_then(|item| reader.table(item, "`header`")) {
        for entry in &header.entries {
            if let Some(value) = reader.template(&entry.value, "a header") {
                expect.headers.push((entry.key.clone(), value));
            }
        }
    }
    Some(expect)
}

impl Action {
    /// The verb, as users write it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Action::Start { .. } => "start",
            Action::Kill { .. } => "kill",
            Action::Stop { .. } => "stop",
            Action::Restart { .. } => "restart",
            Action::Pause { .. } => "pause",
            Action::Resume { .. } => "resume",
            Action::Partition(_) => "partition",
            Action::Heal { .. } => "heal",
            Action::Wipe { .. } => "wipe",
            Action::Config { .. } => "config",
            Action::TransferLeader { .. } => "transfer-leader",
            Action::Clock { fault, .. } => match fault {
                ClockFault::Skew(_) => "skew",
                ClockFault::Drift(_) => "drift",
                ClockFault::Jump(_) => "jump",
                ClockFault::Strobe { .. } => "strobe",
            },
            Action::Disk { fault, .. } => fault.verb(),
            Action::Link { fault, .. } => fault.verb(),
            Action::Join { .. } => "join",
            Action::Leave { .. } => "leave",
            Action::ForceLeave { .. } => "force-leave",
            Action::DnsFail { .. } => "dns-fail",
            Action::Readdress { .. } => "readdress",
            Action::Register { .. } => "register",
            Action::Deregister { .. } => "deregister",
            Action::ServiceDown { .. } => "service-down",
            Action::ServiceUp { .. } => "service-up",
            Action::Repeat { .. } => "repeat",
            Action::Parallel => "parallel",
            Action::File(_) => "file",
            Action::Cli(_) => "cli",
            Action::Http(_) => "http",
            Action::Dns(_) => "dns",
            Action::Wait(_) => "wait",
            Action::Note { .. } => "note",
        }
    }
}

impl DiskFault {
    /// The verb, as users write it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            DiskFault::SlowFsync { .. } => "slow-fsync",
            DiskFault::FsyncLies => "fsync-lies",
            DiskFault::DiskFull { .. } => "disk-full",
            DiskFault::IoError { .. } => "io-error",
            DiskFault::TornWrite => "torn-write",
            DiskFault::LoseUnsynced => "lose-unsynced",
            DiskFault::BitRot { .. } => "bit-rot",
            DiskFault::Misdirect { .. } => "misdirect",
        }
    }
}
