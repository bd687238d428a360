//! A plan as a scenario again: every draw resolved, chaos as steps.
//!
//! Printed from the plan and not from the file, so whatever the runner uses is in it or the round
//! trip fails. `run` is printed only when it was written; else it follows from the steps as before.

mod dns;
mod faults;
mod links;
mod services;
mod users;

use std::collections::BTreeMap;
use std::fmt::Write;

use proconsul::base::Duration;

use super::condition;
use super::diagnostic::Diagnostics;
use super::fault::{CliStep, FileStep, Links};
use super::lower::lower;
use super::model::{
    Action, Boot, Expect, HttpExpect, HttpStep, KeepOnKill, KvWorkload, Moment, Partition, Plan,
    Profile, Rule, Seed, Step, StopSignal, Target, Trigger, Via, Wait, Workload, WorkloadKind,
};
use super::source::Source;
use super::target::{self, Names};
use super::toml_text::{http_expect, list, quoted, toml_value, weights};
use super::values::{show_duration, show_span};

/// Prints the scenario that this seed makes of a source. `resolved` gives, by step id, the nodes on
/// which a drawn target fell in a run; other targets stay as they are.
///
/// # Errors
/// Those of [`lower`].
pub fn expand(
    source: &Source,
    seed: &Seed,
    resolved: &BTreeMap<String, Vec<String>>,
) -> Result<String, Diagnostics> {
    let plan = lower(source, seed)?;
    let mut printer = Printer { names: Names::of(&plan), resolved, out: String::new() };
    printer.plan(&plan);
    Ok(printer.out)
}

struct Printer<'a> {
    names: Names,
    resolved: &'a BTreeMap<String, Vec<String>>,
    out: String,
}

impl Printer<'_> {
    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        writeln!(self.out, "{key} = {value}").expect("writing to a string does not fail");
    }

    fn text(&mut self, key: &str, value: &str) {
        self.line(key, quoted(value));
    }

    fn header(&mut self, header: &str) {
        writeln!(self.out, "\n{header}").expect("writing to a string does not fail");
    }

    fn plan(&mut self, plan: &Plan) {
        let seed = &plan.seed.text;
        writeln!(self.out, "# Every draw of seed {seed} is made; run it with --seed {seed}.")
            .expect("writing to a string does not fail");
        self.text("title", &plan.title);
        for (key, value) in [("story", &plan.story), ("source", &plan.source)] {
            if let Some(value) = value {
                self.text(key, value);
            }
        }
        self.cluster(plan);
        self.network(&plan.network);
        self.machines(plan);
        self.header("[time]");
        if plan.time.run_is_explicit {
            self.text("run", &show_duration(plan.time.run));
        }
        self.text("settle", &show_duration(plan.time.settle));
        self.text("boot_within", &show_duration(plan.time.boot_within));
        for workload in &plan.workloads {
            self.workload(workload);
        }
        for step in &plan.steps {
            self.step(plan, step);
        }
        for expect in &plan.expects {
            self.expect(expect);
        }
    }

    fn cluster(&mut self, plan: &Plan) {
        self.header("[cluster]");
        let servers: Vec<String> = self.names.servers.iter().map(|name| quoted(name)).collect();
        self.line("servers", format!("[{}]", servers.join(", ")));
        if !self.names.clients.is_empty() {
            let clients: Vec<String> = self.names.clients.iter().map(|it| quoted(it)).collect();
            self.line("clients", format!("[{}]", clients.join(", ")));
        }
        if plan.cluster.profile == Profile::Legacy {
            self.text("profile", "legacy");
        }
        if plan.cluster.boot == Boot::Manual {
            self.text("boot", "manual");
        }
        self.line("protect", format!("{{ max_dead_servers = {} }}", plan.cluster.max_dead_servers));
        let mut nodes = plan.cluster.nodes.iter();
        let first = nodes.next().map(|node| &node.config);
        let alike = nodes.all(|node| Some(&node.config) == first);
        for node in &plan.cluster.nodes {
            if node.config.as_object().is_some_and(|config| !config.is_empty()) {
                let key = if alike { "config".to_owned() } else { format!("node.{}", node.name) };
                self.line(&key, toml_value(&node.config));
            }
            if alike {
                break;
            }
        }
    }

    fn workload(&mut self, workload: &Workload) {
        self.header("[[workload]]");
        let kind = match &workload.kind {
            WorkloadKind::Kv(_) => "kv",
            WorkloadKind::Event(_) => "event",
            WorkloadKind::Lock(_) => "lock",
            WorkloadKind::Session(_) => "session",
            WorkloadKind::Catalog(_) => "catalog",
            WorkloadKind::Health(_) => "health",
            WorkloadKind::Watch(_) => "watch",
            WorkloadKind::Txn(_) => "txn",
            WorkloadKind::Dns(_) => "dns",
        };
        self.text("kind", kind);
        self.line("users", workload.users);
        match workload.per_minute % 60 {
            0 => self.text("rate", &format!("{}/s", workload.per_minute / 60)),
            _ => self.text("rate", &format!("{}/m", workload.per_minute)),
        }
        let (from, to) = workload.between;
        self.text("between", &format!("{}..{}", show_duration(from), show_duration(to)));
        match &workload.via {
            Via::Sticky => self.text("via", "sticky"),
            Via::Target(target) => self.target("via", target),
        }
        self.text("timeout", &show_duration(workload.timeout));
        match &workload.kind {
            WorkloadKind::Kv(kv) => self.kv(kv),
            WorkloadKind::Event(event) => self.text("size", &format!("{}B", event.size_bytes)),
            other => self.users_of_services(other),
        }
    }

    fn kv(&mut self, kv: &KvWorkload) {
        self.line("keys", kv.keys);
        let mix = &kv.mix;
        let mix = [
            ("get", mix.get),
            ("put", mix.put),
            ("delete", mix.delete),
            ("cas", mix.cas),
            ("list", mix.list),
        ];
        self.line("mix", weights(&mix));
        let modes = &kv.consistency;
        let modes =
            [("default", modes.default), ("consistent", modes.consistent), ("stale", modes.stale)];
        self.line("consistency", weights(&modes));
        self.text("value", &format!("{}B", kv.value_bytes));
    }

    fn step(&mut self, plan: &Plan, step: &Step) {
        let outside = std::iter::successors(step.parent, |block| plan.steps[*block].parent);
        let nested = ".step".repeat(outside.count());
        self.header(&format!("[[step{nested}]]"));
        self.text("id", &step.id);
        self.times(step);
        if step.optional {
            self.line("optional", true);
        }
        self.text("do", step.action.verb());
        let mut action = step.action.clone();
        self.resolve(step, &mut action);
        self.action(&action);
    }

    fn times(&mut self, step: &Step) {
        let between = step.repeat.as_ref().and_then(|repeat| repeat.between.as_ref());
        match &step.trigger {
            _ if between.is_some() => {}
            Trigger::Previous => {}
            Trigger::At(at) => self.text("at", &show_duration(*at)),
            Trigger::AfterStep { step, delay } => {
                let id = self.names.steps[*step].0.clone();
                self.text("after", &format!("{id} + {}", show_duration(*delay)));
            }
            Trigger::AfterEvent { event, delay } => {
                let event = condition::show_event(event, &self.names);
                self.text("after", &format!("{event} + {}", show_duration(*delay)));
            }
        }
        if let Some(when) = &step.when {
            let when = condition::show(when, &self.names);
            self.text("when", &when);
        }
        let retried = match &step.action {
            Action::Http(http) => http.retry,
            Action::Cli(cli) => cli.retry,
            Action::Dns(dns) => dns.retry,
            _ => false,
        };
        let until = matches!(step.action, Action::Wait(Wait::Until(_) | Wait::UntilEvent(_)));
        // Written, it would mean that the request is repeated.
        let once =
            matches!(step.action, Action::Http(_) | Action::Cli(_) | Action::Dns(_)) && !retried;
        if retried || until || (step.when.is_some() && !once) {
            self.text("within", &show_duration(step.within));
        }
        if let Some(repeat) = &step.repeat {
            self.text("every", &show_span(repeat.every));
            if let Some(times) = repeat.times {
                self.line("times", times);
            }
        }
        if let Some((from, to)) = between {
            let between = format!("{}..{}", self.moment(from), self.moment(to));
            self.text("between", &between);
        }
        if let Some(length) = step.undo_after {
            self.text("for", &show_duration(length));
        }
    }

    fn moment(&self, moment: &Moment) -> String {
        match moment {
            Moment::At(time) => show_duration(*time),
            Moment::Step(step) => self.names.steps[*step].0.clone(),
        }
    }

    /// Puts the nodes of a run in the place of a drawn target.
    fn resolve(&self, step: &Step, action: &mut Action) {
        let Some(nodes) = self.resolved.get(&step.id) else { return };
        let target = match action {
            Action::Start { target, .. }
            | Action::Kill { target, .. }
            | Action::Stop { target, .. }
            | Action::Restart { target, .. }
            | Action::Pause { target }
            | Action::Resume { target }
            | Action::Wipe { target }
            | Action::Config { target, .. }
            | Action::TransferLeader { target, .. }
            | Action::Join { target, .. }
            | Action::Leave { target }
            | Action::ForceLeave { target, .. }
            | Action::DnsFail { target }
            | Action::Readdress { target }
            | Action::Register { target, .. }
            | Action::Deregister { target, .. }
            | Action::ServiceDown { target: Some(target), .. }
            | Action::ServiceUp { target: Some(target), .. }
            | Action::Clock { target, .. }
            | Action::Disk { target, .. }
            | Action::Link { links: Links::Of(target), .. }
            | Action::File(FileStep { target, .. })
            | Action::Cli(CliStep { via: target, .. })
            | Action::Partition(
                Partition::Isolate { target }
                | Partition::OneWay { target }
                | Partition::Flapping { target, .. },
            ) => target,
            Action::Http(http) => &mut http.via,
            Action::Dns(dns) => &mut dns.via,
            _ => return,
        };
        if nodes.is_empty() || step.repeat.is_some() || !target::draws(target) {
            return;
        }
        let mut nodes: Vec<Target> = nodes.iter().cloned().map(Target::Node).collect();
        *target = if nodes.len() == 1 { nodes.remove(0) } else { Target::List(nodes) };
    }

    fn target(&mut self, key: &str, target: &Target) {
        let text = self.show_target(target);
        self.line(key, text);
    }

    fn show_target(&self, target: &Target) -> String {
        match target {
            Target::List(list) => {
                let list: Vec<String> = list.iter().map(|one| self.show_target(one)).collect();
                format!("[{}]", list.join(", "))
            }
            one => quoted(&target::show(one, &self.names)),
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Start { target, args, config } | Action::Restart { target, args, config } => {
                self.target("target", target);
                if !args.is_empty() {
                    self.line("args", list(args));
                }
                if let Some(config) = config {
                    self.line("config", toml_value(config));
                }
            }
            Action::Kill { target, disk } => {
                self.target("target", target);
                match disk {
                    KeepOnKill::Synced => self.text("disk", "synced"),
                    KeepOnKill::All => self.text("disk", "all"),
                    KeepOnKill::Some => self.text("disk", "some"),
                }
            }
            Action::Stop { target, signal } => {
                self.target("target", target);
                match signal {
                    StopSignal::Term => self.text("signal", "TERM"),
                    StopSignal::Int => self.text("signal", "INT"),
                }
            }
            Action::Pause { target }
            | Action::Resume { target }
            | Action::Leave { target }
            | Action::DnsFail { target }
            | Action::Readdress { target } => self.target("target", target),
            Action::Join { target, to, wan } => {
                self.target("target", target);
                self.target("to", to);
                if *wan {
                    self.line("wan", true);
                }
            }
            Action::ForceLeave { target, via, prune } => {
                self.target("target", target);
                if let Some(via) = via {
                    self.target("via", via);
                }
                if *prune {
                    self.line("prune", true);
                }
            }
            Action::Register { .. }
            | Action::Deregister { .. }
            | Action::ServiceDown { .. }
            | Action::ServiceUp { .. } => self.service(action),
            Action::Repeat { times } => self.line("times", times),
            Action::Parallel => {}
            Action::Partition(partition) => self.partition(partition),
            Action::Heal { of } => {
                if let Some(step) = of {
                    let id = self.names.steps[*step].0.clone();
                    self.text("of", &id);
                }
            }
            Action::Wipe { target } => self.target("target", target),
            Action::Config { target, set } => {
                self.target("target", target);
                self.line("set", toml_value(set));
            }
            Action::TransferLeader { target, to } => {
                self.target("target", target);
                if let Some(to) = to {
                    self.target("to", to);
                }
            }
            Action::Clock { target, fault } => {
                self.target("target", target);
                self.clock_fault(*fault);
            }
            Action::Disk { target, fault } => {
                self.target("target", target);
                self.disk_fault(fault);
            }
            Action::Link { links, proto, fault } => self.link(links, *proto, *fault),
            Action::File(file) => self.file(file),
            Action::Cli(cli) => self.cli(cli),
            Action::Http(http) => self.http(http),
            Action::Dns(dns) => self.dns(dns),
            Action::Wait(wait) => self.wait(wait),
            Action::Note { text } => self.text("text", text),
        }
    }

    fn partition(&mut self, partition: &Partition) {
        match partition {
            Partition::Groups(groups) => {
                let list: Vec<String> = groups.iter().map(|one| self.show_target(one)).collect();
                self.line("groups", format!("[{}]", list.join(", ")));
            }
            Partition::Split => self.text("shape", "split"),
            Partition::Bridge => self.text("shape", "bridge"),
            Partition::MajoritiesRing => self.text("shape", "majorities-ring"),
            Partition::Isolate { target } => {
                self.text("shape", "isolate");
                self.target("target", target);
            }
            Partition::OneWay { target } => {
                self.text("shape", "one-way");
                self.target("target", target);
            }
            Partition::Flapping { target, period } => {
                self.text("shape", "flapping");
                self.target("target", target);
                self.text("period", &show_duration(*period));
            }
        }
    }

    fn http(&mut self, http: &HttpStep) {
        self.target("via", &http.via);
        self.text("request", &format!("{} {}", http.method, http.path));
        if !http.body.is_empty() {
            self.text("body", &http.body);
        }
        if http.expect != HttpExpect::default() {
            self.line("expect", http_expect(&http.expect));
        }
    }

    fn wait(&mut self, wait: &Wait) {
        match wait {
            Wait::For { span, holds } => {
                self.text("for", &show_duration(*span));
                if let Some(holds) = holds {
                    let holds = condition::show(holds, &self.names);
                    self.text("while", &holds);
                }
            }
            Wait::Until(until) => {
                let until = condition::show(until, &self.names);
                self.text("until", &until);
            }
            Wait::UntilEvent(event) => {
                self.text("until", &condition::show_event(event, &self.names))
            }
        }
    }

    fn expect(&mut self, expect: &Expect) {
        self.header("[[expect]]");
        match &expect.rule {
            Rule::Always(_) => self.text("always", &expect.text),
            Rule::Eventually(_) => self.text("eventually", &expect.text),
            Rule::Never(_) => self.text("never", &expect.text),
            Rule::AtEnd(_) => self.text("at_end", &expect.text),
            Rule::Seen(_) => self.text("seen", &expect.text),
            Rule::Sometimes(_) => self.text("sometimes", &expect.text),
            Rule::InOrder(events) => {
                let events: Vec<String> =
                    events.iter().map(|event| condition::show_event(event, &self.names)).collect();
                self.line("in_order", list(&events));
            }
            Rule::Violates(property) => self.text("violates", property),
            Rule::Skip { property, because } => {
                self.text("skip", property);
                self.text("because", because);
            }
        }
        match expect.within {
            None => {}
            Some((Duration::ZERO, to)) => self.text("within", &show_duration(to)),
            Some((from, to)) => {
                let window = format!("{}..{}", show_duration(from), show_duration(to));
                self.text("within", &window);
            }
        }
        if let Some(step) = expect.of {
            let id = self.names.steps[step].0.clone();
            self.text("of", &id);
        }
        if let Some((from, to)) = &expect.between {
            let between = format!("{}..{}", self.moment(from), self.moment(to));
            self.text("between", &between);
        }
        if let Some(length) = expect.at_least {
            self.text("for", &show_duration(length));
        }
    }
}
