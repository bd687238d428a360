//! `[[chaos]]`: read here, and turned into steps.
//!
//! ```text
//!  between ├──every──┤kill──for──┤restart        one step per fault, with `for`
//!          ├──────────every──────────┤partition──for──┤
//! ```
//!
//! Each table has its own stream for times, and each of its faults one for what it is, so that a
//! change to one kind moves no other. A partition is drawn among shapes that need no leader:
//! isolate (most likely: single nodes cut off find the most bugs, Alquraan et al., OSDI 2018),
//! split, one-way and bridge.
//!
//! **Chaos never does what the protocol is not made for**, so that every violation under it is a bug.
//! `clock` is a wall clock that is wrong or jumps, by up to 10 s, or a drift of at most 20 %: a lease of
//! half the election timeout outlives that. `disk` is a slow fsync, a power cut that keeps a drawn part
//! of the unsynced data, and what tears or loses unsynced data at the next cut. `packet` loses,
//! duplicates, reorders or delays messages on all links of the targets. A disk that lies about
//! fsync, rots, or misdirects writes breaks promises that Raft builds on: those are for steps.

use proconsul::base::{Duration, Prng, Ratio};

use super::diagnostic::{Diagnostic, Place};
use super::fault::{ClockFault, DiskFault, LinkFault, Links, SignedSpan};
use super::model::{Action, KeepOnKill, Partition, Seed, Span, Step, StopSignal, Target, Trigger};
use super::reader::Reader;
use super::signed::{draw_ns, draw_ppm};
use super::target::Setting;
use super::tree::{Item, Kind, Table};
use super::words;

/// A table of chaos that makes more steps than this is a mistake.
const MOST_STEPS: usize = 10_000;

/// `[[chaos]]` as written.
#[derive(Clone, Debug)]
pub struct Chaos {
    /// `between`; the whole run when absent.
    pub between: Option<(Duration, Duration)>,
    /// `every`.
    pub every: Span,
    /// Weights by verb.
    pub faults: Vec<(String, u64)>,
    /// `for`.
    pub length: Span,
    /// `targets`.
    pub targets: Target,
    /// `swarm`.
    pub swarm: bool,
    /// Of its table.
    pub place: Place,
}

/// Reads one `[[chaos]]`.
pub fn chaos(reader: &mut Reader, table: &Table) -> Option<Chaos> {
    reader.keys(table, "[[chaos]]", words::CHAOS);
    let between = table.get("between").and_then(|item| reader.window(item, "`between`"));
    let seconds =
        |low, high| Span { low: Duration::from_secs(low), high: Duration::from_secs(high) };
    let every = table.get("every").and_then(|item| every(reader, item));
    let length = table.get("for").and_then(|item| reader.span(item, "`for`"));
    let targets =
        table.get("targets").and_then(|item| reader.target(item, "`targets`", Setting::Plain));
    let swarm = table.get("swarm").and_then(|item| reader.boolean(item, "`swarm`"));
    let Some(faults) = table.get("faults") else {
        let help = "for example faults = { partition = 3, kill = 2, pause = 1 }";
        reader.advise(table.place, "this chaos has no `faults`", help);
        return None;
    };
    let faults = match &faults.kind {
        Kind::Table(_) => reader.weights(faults, "`faults`", words::FAULTS),
        _ => {
            let help = "for example { partition = 3, kill = 2, pause = 1 }";
            reader.advise(faults.place, "`faults` must be weights by kind of fault", help);
            return None;
        }
    };
    Some(Chaos {
        between,
        every: every.unwrap_or(seconds(2, 8)),
        faults,
        length: length.unwrap_or(seconds(1, 10)),
        targets: targets.unwrap_or(Target::ServerAny),
        swarm: swarm.unwrap_or(false),
        place: table.place,
    })
}

fn every(reader: &mut Reader, item: &Item) -> Option<Span> {
    let span = reader.span(item, "`every`")?;
    if span.high < Duration::from_millis(1) {
        reader.error(item.place, "`every` must be at least a millisecond");
        return None;
    }
    Some(span)
}

/// Turns a table into steps within a window. `number` counts tables from one.
///
/// # Errors
/// More steps than anybody can have meant.
pub fn steps(
    chaos: &Chaos,
    number: usize,
    window: (Duration, Duration),
    seed: &Seed,
    place: &str,
) -> Result<Vec<Step>, Diagnostic> {
    let mut times = seed.stream(&format!("chaos/{number}"));
    let faults = switched(chaos, seed, number);
    let mut steps = Vec::new();
    if faults.is_empty() {
        return Ok(steps);
    }
    let mut at = window.0;
    loop {
        at += draw(&mut times, chaos.every).max(Duration::from_millis(1));
        if at >= window.1 {
            return Ok(steps);
        }
        if steps.len() == MOST_STEPS {
            let message = format!("this chaos becomes more than {MOST_STEPS} steps");
            let help = Some("make `every` longer, or `between` shorter".to_owned());
            return Err(Diagnostic { place: chaos.place, message, help });
        }
        let id = format!("chaos-{number}-{}", steps.len() + 1);
        let mut what = seed.stream(&format!("step/{id}/fault"));
        let kind = pick(&mut what, &faults);
        let action = fault(&mut what, kind, chaos);
        let undoable = words::UNDOABLE.contains(&action.verb());
        let undo_after = draw(&mut seed.stream(&format!("step/{id}/for")), chaos.length);
        steps.push(Step {
            id,
            chaos: true,
            place: place.to_owned(),
            parent: None,
            trigger: Trigger::At(at),
            when: None,
            within: Duration::from_secs(60),
            repeat: None,
            undo_after: undoable.then_some(undo_after),
            optional: true,
            action,
        });
    }
}

/// The kinds that the seed leaves switched on.
fn switched(chaos: &Chaos, seed: &Seed, number: usize) -> Vec<(String, u64)> {
    let on = |kind: &str| {
        !chaos.swarm || seed.stream(&format!("chaos/{number}/swarm/{kind}")).below(2) == 1
    };
    chaos.faults.iter().filter(|(kind, weight)| *weight > 0 && on(kind)).cloned().collect()
}

fn pick<'f>(prng: &mut Prng, faults: &'f [(String, u64)]) -> &'f str {
    let mut ticket = prng.below(faults.iter().map(|(_, weight)| weight).sum());
    for (kind, weight) in faults {
        if ticket < *weight {
            return kind;
        }
        ticket -= weight;
    }
    unreachable!("the ticket is less than the sum of the weights")
}

fn fault(prng: &mut Prng, kind: &str, chaos: &Chaos) -> Action {
    let target = chaos.targets.clone();
    match kind {
        "kill" => Action::Kill { target, disk: KeepOnKill::Synced },
        "stop" => Action::Stop { target, signal: StopSignal::Term },
        "pause" => Action::Pause { target },
        "restart" => Action::Restart { target, args: Vec::new(), config: None },
        "clock" => Action::Clock { target, fault: clock(prng) },
        "packet" => Action::Link { links: Links::Of(target), proto: None, fault: packet(prng) },
        "disk" => match prng.below(6) {
            0 | 1 => {
                let by = Span { low: Duration::from_millis(5), high: Duration::from_millis(100) };
                Action::Disk { target, fault: DiskFault::SlowFsync { by } }
            }
            2 => Action::Disk { target, fault: DiskFault::LoseUnsynced },
            3 => Action::Disk { target, fault: DiskFault::TornWrite },
            _ => Action::Kill { target, disk: KeepOnKill::Some },
        },
        _ => Action::Partition(match prng.below(6) {
            0..3 => Partition::Isolate { target },
            3 => Partition::OneWay { target },
            4 => Partition::Split,
            _ => Partition::Bridge,
        }),
    }
}

fn packet(prng: &mut Prng) -> LinkFault {
    let ratio = Ratio::new(1, 2 + prng.below(18));
    match prng.below(4) {
        0 => LinkFault::Lose(ratio),
        1 => LinkFault::Duplicate(ratio),
        2 => LinkFault::Reorder(ratio),
        _ => LinkFault::Slow(Span { low: Duration::ZERO, high: Duration::from_millis(200) }),
    }
}

fn clock(prng: &mut Prng) -> ClockFault {
    const FARTHEST_NS: i64 = 10_000_000_000;
    const MOST_PPM: i64 = 200_000;
    let within = |most: i64| SignedSpan { low: -most, high: most };
    match prng.below(3) {
        0 => ClockFault::Skew(draw_ns(prng, within(FARTHEST_NS))),
        1 => ClockFault::Jump(draw_ns(prng, within(FARTHEST_NS))),
        _ => ClockFault::Drift(draw_ppm(prng, within(MOST_PPM))),
    }
}

/// A draw from a range, in whole milliseconds from its low end when it is wide enough, else in whole
/// microseconds: what `expand` prints stays readable.
pub fn draw(prng: &mut Prng, span: Span) -> Duration {
    let width = span.high.saturating_sub(span.low);
    let grain = if width >= Duration::from_millis(100) { 1_000_000 } else { 1_000 };
    let grains = (width.as_nanos() / grain) as u64;
    if grains == 0 {
        return span.low;
    }
    span.low + Duration::from_nanos(prng.below(grains) * grain as u64)
}
