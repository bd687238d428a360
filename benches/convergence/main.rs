//! How fast a pool hears of a member that joins and of one that dies, beside Serf's published model;
//! and how long two halves that were cut apart need to become one pool again.
//!
//! ```text
//! cargo bench -p proconsul --bench convergence [-- SIZE… [--halves SIZE] [--plot FILE.svg]]
//! ```
//!
//! Whole pools (SWIM and Serf as they ship, one step after the other) on the network of
//! `tests/agent/pool_cluster.rs`: each message takes a millisecond and none is lost. Time is virtual, so
//! the figures are the protocol's and the same on every machine. *Join*: from the moment in which a
//! newcomer asks one member, the share of the others that list it as alive. *Failure*: from the moment in
//! which the first member declares a killed one failed, the share of the others that do.
//!
//! What to expect beside the model: a join is told by both ends of the first push/pull, so it starts with
//! two that know; a failure is hardly told at all: it is the *suspicion* that spreads in a curve like the
//! model's, and then each member's own timer runs out, within half a second of the first. What gossip has missed
//! after its last retransmission waits for a push/pull, which the model does not know.
//!
//! Figures, not judgements, but for the halves, which must meet the bound that follows from the protocol.

#[path = "../../tests/agent/gossip_codec.rs"]
mod gossip_codec;
mod model;
mod plot;
#[expect(dead_code, reason = "the tests tell more stories with it")]
#[path = "../../tests/agent/pool_cluster.rs"]
mod pool_cluster;
#[path = "../../tests/agent/pool_scale.rs"]
mod pool_scale;

use std::fs;
use std::path::PathBuf;

use proconsul::base::Duration;
use proconsul::gossip::Status;

use plot::{Curve, Panel};
use pool_cluster::Network;

const SIZES: [usize; 5] = [10, 50, 100, 500, 1000];
const COLOURS: [&str; 6] = ["#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#a6761d"];
/// The grid on which shares are read.
const STEP: Duration = Duration::from_millis(20);
/// What has not happened after so long is given up.
const PATIENCE: Duration = Duration::from_secs(180);
/// Of a pool that has been told of nothing new for so long, nobody is still telling.
const CALM: Duration = Duration::from_secs(30);

/// What was measured of one size: shares on the grid, means of several runs.
struct Measured {
    members: usize,
    join: Vec<f64>,
    failure: Vec<f64>,
    /// From the kill to the first that declares it, seconds.
    detection_s: f64,
}

struct Options {
    sizes: Vec<usize>,
    halves: usize,
    plot: PathBuf,
}

fn main() {
    let options = options();
    println!("seconds until half, 99 % and all members know; model: until half and 99 %\n");
    println!(
        "members   join                  model          failure: first   then half, 99 %, all"
    );
    let mut measured = Vec::new();
    for members in &options.sizes {
        let row = measure(*members);
        print_row(&row);
        measured.push(row);
    }
    fs::write(&options.plot, plot::svg(&panels(&measured))).expect("the plot can be written");
    println!("\nplot: {}", options.plot.display());
    if options.halves > 0 {
        let pool_scale::Reunion { took, bound } = pool_scale::reunite(options.halves, 7);
        let (members, bound) = (options.halves, bound.as_secs_f64());
        let took = took.expect("two halves meet within the bound").as_secs_f64();
        println!(
            "two halves of {members}: one pool {took:.0} s after the cut (bound {bound:.0} s)"
        );
    }
}

fn options() -> Options {
    let plot = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("convergence.svg");
    let mut options = Options { sizes: Vec::new(), halves: 1000, plot };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("this option has a value");
        match word.as_str() {
            "--plot" => options.plot = PathBuf::from(value()),
            "--halves" => options.halves = value().parse().expect("--halves takes a number"),
            // Cargo's own.
            "--bench" => {}
            size => options.sizes.push(size.parse().expect("sizes are numbers")),
        }
    }
    if options.sizes.is_empty() {
        options.sizes = SIZES.to_vec();
    }
    options
}

/// Small pools scatter more, and cost less.
fn runs(members: usize) -> u64 {
    match members {
        ..=10 => 50,
        11..=100 => 10,
        _ => 1,
    }
}

fn measure(members: usize) -> Measured {
    let (mut joins, mut failures, mut detection_s) = (Vec::new(), Vec::new(), 0.0);
    let runs = runs(members);
    for seed in 0..runs {
        let mut network = pool_and_newcomer(members, seed);
        network.join(members, 0);
        joins.push(shares(&mut network, members, Status::Alive));
        network.run(CALM);
        network.kill(members);
        let all = shares(&mut network, members, Status::Failed);
        let first = all.iter().position(|share| *share > 0.0).unwrap_or(all.len());
        detection_s += first as f64 * STEP.as_secs_f64() / runs as f64;
        failures.push(all[first..].to_vec());
    }
    Measured { members, join: mean(&joins), failure: mean(&failures), detection_s }
}

/// A pool in which all know all and nobody has news, and one more that has not joined.
fn pool_and_newcomer(members: usize, seed: u64) -> Network {
    let mut network = Network::new(members + 1, seed);
    (1..members).for_each(|at| network.join(at, 0));
    let knows_all = |network: &Network, at: usize| {
        (0..members).all(|of| network.status(at, of) == Some(Status::Alive))
    };
    network.run(CALM);
    while !(0..members).all(|at| knows_all(&network, at)) {
        network.run(CALM);
    }
    network
}

/// The share of the first members that see `of` like this, on the grid, until all do.
fn shares(network: &mut Network, of: usize, status: Status) -> Vec<f64> {
    let mut shares = Vec::new();
    let begin = network.now;
    loop {
        let who = (0..of).filter(|at| network.status(*at, of) == Some(status)).count();
        shares.push(who as f64 / of as f64);
        if who == of || network.now.since(begin) > PATIENCE {
            return shares;
        }
        network.run(STEP);
    }
}

/// A run that has come to its end stays there.
fn mean(runs: &[Vec<f64>]) -> Vec<f64> {
    let longest = runs.iter().map(Vec::len).max().unwrap_or_default();
    let at = |run: &Vec<f64>, step: usize| run.get(step).or(run.last()).copied().unwrap_or(0.0);
    let sum = |step| runs.iter().map(|run| at(run, step)).sum::<f64>();
    (0..longest).map(|step| sum(step) / runs.len() as f64).collect()
}

/// When a curve reaches a share, seconds.
fn reaches(shares: &[f64], share: f64) -> f64 {
    let step = shares.iter().position(|it| *it >= share).unwrap_or(shares.len());
    step as f64 * STEP.as_secs_f64()
}

fn modelled(members: usize, seconds: f64) -> Vec<f64> {
    let steps = (seconds / STEP.as_secs_f64()) as usize;
    (0..=steps).map(|step| model::share(members, step as f64 * STEP.as_secs_f64())).collect()
}

fn print_row(row: &Measured) {
    let model = modelled(row.members, 10.0);
    let join = [0.5, 0.99, 1.0].map(|share| reaches(&row.join, share));
    let failure = [0.5, 0.99, 1.0].map(|share| reaches(&row.failure, share));
    println!(
        "{:>7}   {:>5.2} {:>5.2} {:>6.2}   {:>6.2} {:>5.2}   {:>14.2}   {:>9.2} {:>5.2} {:>6.2}",
        row.members,
        join[0],
        join[1],
        join[2],
        reaches(&model, 0.5),
        reaches(&model, 0.99),
        row.detection_s,
        failure[0],
        failure[1],
        failure[2]
    );
}

fn panels(measured: &[Measured]) -> Vec<Panel> {
    let panel = |title: &str, seconds: f64, of: fn(&Measured) -> &Vec<f64>| {
        let mut curves = Vec::new();
        for (row, colour) in measured.iter().zip(COLOURS.iter().cycle()) {
            let step_s = STEP.as_secs_f64();
            let label = format!("{} members", row.members);
            let mut shares = of(row).clone();
            // To the end of the axis.
            let steps = (seconds / step_s) as usize + 1;
            shares.resize(shares.len().max(steps), shares.last().copied().unwrap_or(0.0));
            curves.push(Curve { label, colour, model: false, step_s, shares });
            let (label, shares) = ("model".to_owned(), modelled(row.members, seconds));
            curves.push(Curve { label, colour, model: true, step_s, shares });
        }
        Panel { title: title.to_owned(), seconds, curves }
    };
    vec![
        panel("A member joins: who knows, from its first word on", 3.0, |row| &row.join),
        panel("A member has died: who knows, from the first that does", 8.0, |row| &row.failure),
    ]
}
