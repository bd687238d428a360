//! One digest for a scenario and a seed, whatever the machine, the user and the moment are like.
//!
//! What the build is like (debug or release) is compared by the digests that are kept in
//! `tests/data/digests.json`: every profile is held to the same file.

use std::process::{Child, Command, Stdio};

use crate::runner::{Desk, Done, leader_loss};

const SEED_42: [&str; 6] =
    ["leader_loss.toml", "--seed", "42", "--json", "--no-replay", "--no-report"];

fn digest(desk: &Desk, more: &[&str]) -> String {
    let done = desk.run(SEED_42.iter().chain(more));
    assert_eq!(done.code, 0, "{done:?}");
    done.digest()
}

fn digest_of(mut command: Command) -> String {
    Done::of(command.output().expect("the command runs")).digest()
}

/// A process that keeps a core busy until it is dropped.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
        Self(command.spawn().expect("a shell"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.kill().expect("our own child can be ended");
        self.0.wait().expect("our own child can be waited for");
    }
}

#[test]
fn the_surroundings_do_not_matter() {
    let desk = Desk::with_leader_loss();
    let expected = digest(&desk, &[]);
    assert_eq!(digest(&desk, &[]), expected, "another process");

    let mut foreign = desk.command(SEED_42);
    foreign.envs([
        ("TZ", "Pacific/Kiritimati"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "de_DE.UTF-8"),
        ("HOME", "/nonexistent"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("MADSIM_TEST_SEED", "17"),
        ("RUST_MIN_STACK", "33554432"),
    ]);
    assert_eq!(digest_of(foreign), expected, "another locale, time zone and home");

    let mut bare = desk.command(SEED_42);
    bare.env_clear();
    assert_eq!(digest_of(bare), expected, "no environment at all");

    let mut without_fma = desk.command(SEED_42);
    let off = "glibc.cpu.hwcaps=-FMA,-FMA4,-AVX2,-AVX2_Usable,-FMA_Usable";
    without_fma.env("GLIBC_TUNABLES", off);
    assert_eq!(digest_of(without_fma), expected, "glibc without FMA");

    let elsewhere = Desk::new();
    let absolute = leader_loss().display().to_string();
    let arguments = [absolute.as_str(), "--seed", "0x2a", "--json", "--no-replay", "--no-report"];
    assert_eq!(elsewhere.run(arguments).digest(), expected, "another folder and spelling");
}

#[test]
fn cores_and_load_do_not_matter() {
    let desk = Desk::with_leader_loss();
    let expected = digest(&desk, &[]);
    let busy = [Busy::start(), Busy::start()];
    assert_eq!(digest(&desk, &[]), expected, "under load");
    drop(busy);
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", "0", crate::runner::PROGRAM]).args(SEED_42).current_dir(desk.path("."));
    match pinned.output() {
        Ok(output) if output.status.success() => {
            assert_eq!(Done::of(output).digest(), expected, "on one core");
        }
        _ => println!("skipped: no taskset here"),
    }
}

#[test]
fn what_changes_the_run_changes_the_digest() {
    let desk = Desk::with_leader_loss();
    let step = "\n[[step]]\nat = \"1s\"\ndo = \"http\"\nvia = \"n1\"\nrequest = \"PUT /v1/kv/k\"\n";
    let with_body = |body: &str| {
        let text = desk.read("leader_loss.toml") + step + &format!("body = \"{body}\"\n");
        desk.judge(&text, &[]).digest()
    };
    let mut digests = vec![
        digest(&desk, &[]),
        desk.run(SEED_42.map(|word| if word == "42" { "43" } else { word })).digest(),
        digest(&desk, &["--set", "workload.1.value=17B"]),
        digest(&desk, &["--set", "network.latency=1ms..11ms"]),
        digest(&desk, &["--set", "step.first-loss.at=8s"]),
        with_body("payload-a"),
        with_body("payload-b"),
    ];
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all, "two different runs have the same digest");
}

#[test]
fn what_does_not_change_the_run_does_not_change_the_digest() {
    let desk = Desk::with_leader_loss();
    let expected = digest(&desk, &[]);
    assert_eq!(digest(&desk, &["--set", "title=another"]), expected, "a title");
    let text = desk.read("leader_loss.toml");
    let more = text + "\n# a comment\n[[expect]]\nseen = \"leader-lost\"\n";
    desk.write("leader_loss.toml", more);
    assert_eq!(digest(&desk, &[]), expected, "an expectation");
}
