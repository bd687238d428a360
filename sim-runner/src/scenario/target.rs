//! Who: the targets of language section 5, and the names they may refer to.

use super::model::{Plan, Target};
use super::spelling::nearest;
use super::values::Fault;
use super::words;

/// The names a scenario defines.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Servers, in order.
    pub servers: Vec<String>,
    /// Agents in client mode, in order.
    pub clients: Vec<String>,
    /// Ids of the steps, and their verbs.
    pub steps: Vec<(String, String)>,
}

/// What is allowed where a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Anywhere.
    Plain,
    /// In `groups`, where `rest` and `users` have a meaning.
    Groups,
}

impl Names {
    /// Those of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let nodes = |server| {
            let some = plan.cluster.nodes.iter().filter(move |node| node.server == server);
            some.map(|node| node.name.clone()).collect()
        };
        let verb = |step: &super::model::Step| step.action.verb().to_owned();
        Self {
            servers: nodes(true),
            clients: nodes(false),
            steps: plan.steps.iter().map(|step| (step.id.clone(), verb(step))).collect(),
        }
    }

    /// Whether it is a node.
    #[must_use]
    pub fn has_node(&self, name: &str) -> bool {
        self.nodes().any(|node| node == name)
    }

    /// Servers, then clients.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().chain(&self.clients).map(String::as_str)
    }

    /// Index of a step.
    #[must_use]
    pub fn step(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|(step, _)| step == id)
    }

    /// Index of a step, or an error that suggests one.
    ///
    /// # Errors
    /// The id is unknown.
    pub fn find_step(&self, id: &str) -> Result<usize, Fault> {
        self.step(id).ok_or_else(|| {
            let fault = Fault::new(0..id.len(), format!("no step has the id {id:?}"));
            did_you_mean(fault, id, self.steps.iter().map(|(id, _)| id.as_str()))
        })
    }
}

/// Adds the nearest candidate as advice.
pub fn did_you_mean<'a>(
    fault: Fault,
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Fault {
    match nearest(word, candidates) {
        Some(meant) => fault.help(format!("did you mean {meant:?}?")),
        None => fault,
    }
}

/// That a word is of the language, but does nothing yet.
#[must_use]
pub fn not_built(kind: &str, word: &str) -> String {
    format!("{kind} {word:?} is part of the language, but not built in this version")
}

/// `not(not(…))` deeper than this is nonsense.
const DEEPEST: usize = 8;

/// Reads one target.
///
/// # Errors
/// Unknown, not built, or impossible in this cluster.
pub fn parse(text: &str, names: &Names, setting: Setting) -> Result<Target, Fault> {
    nested(text, names, setting, 0)
}

fn nested(text: &str, names: &Names, setting: Setting, depth: usize) -> Result<Target, Fault> {
    let all = 0..text.len();
    if let Some(inner) = text.strip_prefix("not(").and_then(|rest| rest.strip_suffix(')')) {
        if depth == DEEPEST {
            return Err(Fault::new(all, "\"not\" is nested too deeply"));
        }
        let inner = nested(inner, names, setting, depth + 1).map_err(|fault| fault.shifted(4))?;
        return Ok(Target::Not(Box::new(inner)));
    }
    if let Some(count) = text.strip_prefix("random:") {
        return random(text, count, names);
    }
    if let Some(id) = text.strip_prefix("same-as:") {
        return same_as(id, names).map_err(|fault| fault.shifted("same-as:".len()));
    }
    if let Some(key) = text.strip_prefix("holder:") {
        return named(text, key, "the key of a lock").map(Target::Holder);
    }
    if let Some(service) = text.strip_prefix("service:") {
        return named(text, service, "the name of a service").map(Target::Service);
    }
    if let Some(target) = simple(text) {
        return possible(target, text, names, setting);
    }
    if names.has_node(text) {
        return Ok(Target::Node(text.to_owned()));
    }
    if words::TARGET_PREFIXES.planned.iter().any(|prefix| text.starts_with(prefix)) {
        return Err(Fault::new(all, not_built("target", text)));
    }
    let known = words::TARGETS.all().chain(words::TARGET_PREFIXES.all()).chain(names.nodes());
    Err(did_you_mean(Fault::new(all, format!("unknown target {text:?}")), text, known))
}

/// Targets that are one word.
pub fn simple(text: &str) -> Option<Target> {
    SIMPLE.iter().find(|(word, _)| *word == text).map(|(_, target)| target.clone())
}

/// Each word and its target.
const SIMPLE: [(&str, Target); 16] = [
    ("leader", Target::Leader),
    ("old-leader", Target::OldLeader),
    ("followers", Target::Followers),
    ("follower:any", Target::FollowerAny),
    ("servers", Target::Servers),
    ("server:any", Target::ServerAny),
    ("clients", Target::Clients),
    ("client:any", Target::ClientAny),
    ("all", Target::All),
    ("any", Target::Any),
    ("minority", Target::Minority),
    ("majority", Target::Majority),
    ("half", Target::Half),
    ("last-killed", Target::LastKilled),
    ("rest", Target::Rest),
    ("users", Target::Users),
];

fn possible(target: Target, text: &str, names: &Names, setting: Setting) -> Result<Target, Fault> {
    let all = 0..text.len();
    match target {
        Target::Clients | Target::ClientAny if names.clients.is_empty() => {
            Err(Fault::new(all, format!("{text:?} is nobody: this cluster has no clients"))
                .help("set `clients` in [cluster]"))
        }
        Target::Followers | Target::FollowerAny if names.servers.len() == 1 => {
            Err(Fault::new(all, format!("{text:?} is nobody: this cluster has one server"))
                .help("set `servers` in [cluster]"))
        }
        Target::Rest | Target::Users if setting == Setting::Plain => {
            Err(Fault::new(all, format!("{text:?} has a meaning only in `groups` of a partition")))
        }
        target => Ok(target),
    }
}

fn random(text: &str, count: &str, names: &Names) -> Result<Target, Fault> {
    let range = "random:".len()..text.len();
    let nodes = names.nodes().count();
    match count.parse::<u32>() {
        Ok(0) => Err(Fault::new(range, "\"random:0\" is nobody")),
        Ok(count) if count as usize <= nodes => Ok(Target::Random(count)),
        Ok(_) => Err(Fault::new(
            0..text.len(),
            format!("{text:?} is impossible: this cluster has {nodes} node{}", plural(nodes)),
        )),
        Err(_) => Err(Fault::new(0..text.len(), format!("unknown target {text:?}"))
            .help("`random` takes a number: \"random:2\"")),
    }
}

/// What stands behind the colon of `holder:KEY` and `service:NAME`.
fn named(text: &str, name: &str, what: &str) -> Result<String, Fault> {
    let range = text.len() - name.len()..text.len();
    if name.is_empty() {
        let prefix = text.trim_end_matches(':');
        let example = if prefix == "holder" { "holder:lock/0" } else { "service:web" };
        return Err(Fault::new(0..text.len(), format!("{text:?} needs {what}"))
            .help(format!("for example {example:?}")));
    }
    // They have a meaning around targets, so a condition could not be written with such a name in it.
    match name.contains(['(', ')', '\'', '"']) {
        true => Err(Fault::new(range, "a target takes no parentheses and no quotes in a name")),
        false => Ok(name.to_owned()),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn same_as(id: &str, names: &Names) -> Result<Target, Fault> {
    let step = names.find_step(id)?;
    let verb = &names.steps[step].1;
    if words::VERBS.has(verb) && !words::WITH_TARGET.contains(&verb.as_str()) {
        return Err(Fault::new(
            0..id.len(),
            format!("step {id:?} has no target: it is a {verb:?}"),
        ));
    }
    Ok(Target::SameAs(step))
}

/// Whether it can stand for one node, as `{T}` must.
#[must_use]
pub fn can_be_one(target: &Target) -> bool {
    !matches!(
        target,
        Target::Followers
            | Target::Servers
            | Target::Clients
            | Target::All
            | Target::Minority
            | Target::Majority
            | Target::Half
            | Target::Random(2..)
            | Target::Rest
            | Target::Users
            | Target::List(_)
    )
}

/// Whether nodes are drawn when it is resolved.
#[must_use]
pub fn draws(target: &Target) -> bool {
    match target {
        Target::FollowerAny
        | Target::ServerAny
        | Target::ClientAny
        | Target::Any
        | Target::Minority
        | Target::Majority
        | Target::Half
        | Target::Random(_) => true,
        Target::Not(inner) => draws(inner),
        Target::List(list) => list.iter().any(draws),
        _ => false,
    }
}

/// As the language writes it; a list has its own form and is not one text.
#[must_use]
pub fn show(target: &Target, names: &Names) -> String {
    match target {
        Target::Node(name) => name.clone(),
        Target::Random(count) => format!("random:{count}"),
        Target::SameAs(step) => match names.steps.get(*step) {
            Some((id, _)) => format!("same-as:{id}"),
            None => format!("same-as:step-{}", step + 1),
        },
        Target::Holder(key) => format!("holder:{key}"),
        Target::Service(name) => format!("service:{name}"),
        Target::Not(inner) => format!("not({})", show(inner, names)),
        Target::List(list) => {
            list.iter().map(|one| show(one, names)).collect::<Vec<_>>().join(", ")
        }
        other => {
            let word = SIMPLE.iter().find(|(_, target)| target == other);
            word.map(|(word, _)| (*word).to_owned()).expect("the table lists all other targets")
        }
    }
}
