//! The test program itself: what libtest is for other tests, with one pool of agents for all groups.
//!
//! It understands libtest's arguments as far as tools use them (filters, `--exact`, `--skip`, `--list`,
//! `--test-threads`) and prints libtest's lines. A test is a check of the runner or a group; a filter
//! with a `/` chooses cases: `cargo test --test conformance kv-cas/create`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use crate::agent::{CONDITIONS, probe, version};
use crate::cases::{self, Group};
use crate::known;
use crate::processes::{Guard, now};
use crate::rules::Rules;
use crate::runner::{Bench, Troubles};
use crate::{checks, parts};

/// The command line.
#[derive(Default)]
pub struct Arguments {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    ignored: bool,
    agents: Option<usize>,
}

impl Arguments {
    pub fn read(given: impl Iterator<Item = String>) -> Self {
        let mut arguments = Self::default();
        let mut given = given.peekable();
        while let Some(word) = given.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            };
            let mut value = || value.clone().or_else(|| given.next());
            match name.as_str() {
                "--exact" => arguments.exact = true,
                "--list" => arguments.list = true,
                "--ignored" => arguments.ignored = true,
                "--skip" => arguments.skips.extend(value()),
                "--test-threads" => arguments.agents = value().and_then(|count| count.parse().ok()),
                // How libtest's output would look; this one's has one form.
                "--format" | "--color" | "--logfile" | "-Z" | "--report-time" => drop(value()),
                flag if flag.starts_with('-') => {}
                _ => arguments.filters.push(word),
            }
        }
        arguments
    }

    fn takes(&self, name: &str) -> bool {
        let is_in =
            |filter: &String| if self.exact { name == filter } else { name.contains(filter) };
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(is_in))
            && !self.skips.iter().any(is_in)
    }

    /// By its own name, or because its group is taken.
    pub fn takes_case(&self, group: &str, id: &str) -> bool {
        let name = format!("{group}/{id}");
        let skipped = self
            .skips
            .iter()
            .any(|skip| if self.exact { name == *skip } else { name.contains(skip) });
        !skipped && (self.takes(group) || self.takes(&name))
    }
}

/// Verdicts in libtest's words.
struct Tally {
    passed: usize,
    failed: Vec<(String, String)>,
}

impl Tally {
    fn told(&mut self, name: &str, failure: Option<String>) {
        println!("test {name} ... {}", if failure.is_some() { "FAILED" } else { "ok" });
        match failure {
            Some(why) => self.failed.push((name.to_owned(), why)),
            None => self.passed += 1,
        }
    }
}

/// Runs what is asked for: whether all of it passed.
pub fn run(arguments: &Arguments) -> Result<bool, String> {
    let groups = cases::load()?;
    let every = || checks::CHECKS.iter().chain(parts::CHECKS);
    let names = every().map(|(name, _)| *name).chain(groups.iter().map(|it| it.name.as_str()));
    if arguments.list {
        names.filter(|name| arguments.takes(name)).for_each(|name| println!("{name}: test"));
        return Ok(true);
    }
    let started = now();
    let all = every().count() + groups.len();
    let checks: Vec<_> = every().filter(|(name, _)| arguments.takes(name)).collect();
    let todo = chosen(arguments, &groups);
    let in_groups: BTreeSet<usize> = todo.iter().map(|(group, _)| *group).collect();
    let count = checks.len() + in_groups.len();
    println!("\nrunning {count} test{}", if count == 1 { "" } else { "s" });
    let mut tally = Tally { passed: 0, failed: Vec::new() };
    for (name, check) in checks {
        let failed = catch_unwind(AssertUnwindSafe(check)).is_err();
        tally.told(name, failed.then(|| "it panicked; the message stands above".to_owned()));
    }
    if !todo.is_empty() {
        run_groups(arguments, &groups, &todo, &mut tally)?;
    }
    let Tally { passed, failed } = tally;
    if !failed.is_empty() {
        println!("\nfailures:\n");
        failed.iter().for_each(|(name, why)| println!("---- {name} stdout ----\n{why}\n"));
        println!("\nfailures:");
        failed.iter().for_each(|(name, _)| println!("    {name}"));
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {} failed; 0 ignored; 0 measured; \
         {} filtered out; finished in {:.2}s\n",
        failed.len(),
        all - count,
        (now() - started).as_secs_f64()
    );
    Ok(failed.is_empty())
}

/// Group and case of all that run, those that wait longest first.
fn chosen(arguments: &Arguments, groups: &[Group]) -> Vec<(usize, usize)> {
    let mut todo = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        for (at, case) in group.cases.iter().enumerate() {
            if arguments.takes_case(&group.name, &case.id) {
                todo.push((number, at));
            }
        }
    }
    todo.sort_by_key(|(group, at)| std::cmp::Reverse(groups[*group].cases[*at].waits_ms()));
    todo
}

fn run_groups(
    arguments: &Arguments,
    groups: &[Group],
    todo: &[(usize, usize)],
    tally: &mut Tally,
) -> Result<(), String> {
    let known = known::load()?;
    let guard = Guard::new().map_err(|error| format!("a temporary folder: {error}"))?;
    let root = guard.root().to_owned();
    let waived = probe(&root)?;
    for (_, what) in CONDITIONS.iter().filter(|(name, _)| waived.contains(name)) {
        println!("note: {what}; not waited for");
    }
    let bench = Bench { root, rules: Rules::load()?, version: version()?, waived };
    let mut left = vec![0_usize; groups.len()];
    todo.iter().for_each(|(group, _)| left[*group] += 1);
    let mut unexpected = vec![Vec::new(); groups.len()];
    let (mut differing, mut ran) = (BTreeMap::new(), Vec::new());
    let update = std::env::var_os("UPDATE_KNOWN_DIFFERENCES").is_some();
    in_parallel(arguments, groups, todo, &bench, |number, at, report| {
        let (group, case) = (&groups[number], &groups[number].cases[at]);
        let name = format!("{}/{}", group.name, case.id);
        match known.get(&name) {
            _ if update => {}
            Some(reason) if report.is_empty() => unexpected[number].push(format!(
                "FAIL {name}: it passes; take it off the list of known differences ({reason})"
            )),
            None if !report.is_empty() => unexpected[number].push(format!(
                "FAIL {name}: {}\n    {}",
                case.about,
                report.join("\n    ")
            )),
            _ => {}
        }
        ran.push(name.clone());
        if !report.is_empty() {
            differing.insert(name, report);
        }
        left[number] -= 1;
        if left[number] == 0 {
            unexpected[number].sort();
            let failures = std::mem::take(&mut unexpected[number]);
            tally.told(&group.name, (!failures.is_empty()).then(|| failures.join("\n")));
        }
    });
    println!(
        "{} cases, {} as recorded, {} known to differ",
        ran.len(),
        ran.len() - differing.len(),
        differing.keys().filter(|name| known.contains_key(*name)).count()
    );
    if update {
        known::write(&known, &differing, &ran)?;
    }
    drop(guard);
    Ok(())
}

/// Runs all cases, so many at once, and tells each report as it comes.
fn in_parallel(
    arguments: &Arguments,
    groups: &[Group],
    todo: &[(usize, usize)],
    bench: &Bench,
    mut told: impl FnMut(usize, usize, Vec<String>),
) {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    // A case waits most of its time.
    let agents = arguments.agents.unwrap_or((cores * 3).min(16)).max(1);
    let troubles: Vec<Troubles> = groups.iter().map(|_| Troubles::default()).collect();
    let next = AtomicUsize::new(0);
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for _ in 0..agents {
            let (sender, next, troubles) = (sender.clone(), &next, &troubles);
            scope.spawn(move || {
                while let Some((group, at)) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let number = group * 10_000 + at;
                    let run = || bench.run(number, &groups[*group], &groups[*group].cases[*at]);
                    let outcome = troubles[*group].hopeless().unwrap_or_else(run);
                    troubles[*group].note(&outcome);
                    // The receiver lives until all are told.
                    let _ = sender.send((*group, *at, outcome.report));
                }
            });
        }
        drop(sender);
        receiver.iter().for_each(|(group, at, report)| told(group, at, report));
    });
}
