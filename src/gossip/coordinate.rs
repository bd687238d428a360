//! Network coordinates: how far members are from one another, without measuring each pair (Vivaldi,
//! Dabek et al. 2004, with the height of its section 5.4; the adjustment and gravity terms of Ledlie,
//! Gardner and Seltzer 2007; spec cluster 2.17).
//!
//! ```text
//!   probe of X: round trip, X's coordinate ─► median of the last 3 ─► spring pulls or pushes ours
//!                                          ─► adjustment (20 samples) ─► gravity towards the origin
//! ```
//!
//! Each probe that succeeds moves this node's coordinate a little so that its distance to the other comes
//! nearer to the round trip that was measured, by a share that grows with how unsure this node is beside
//! the other.
//!
//! Invariants: our coordinate is always finite; its error is at most [`ERROR_MAX`], its height at least
//! [`HEIGHT_MIN`]. A result that is not finite starts anew at the origin.
//!
//! Arithmetic is +, −, ×, ÷ and the square root alone, in a fixed order: IEEE 754 gives the same bits
//! for these on every machine. Nothing here needs a logarithm or a power.

use std::collections::BTreeMap;

use crate::base::{Duration, NodeName, Prng};
use crate::gossip::message::Coordinate;

/// Dimensions of the Euclidean part.
pub const DIMENSIONS: usize = 8;
/// The error of one that knows nothing.
pub const ERROR_MAX: f64 = 1.5;
/// The least height, seconds.
pub const HEIGHT_MIN: f64 = 1.0e-5;
/// Vivaldi's constant for the error's average.
const CE: f64 = 0.25;
/// Vivaldi's constant for the step.
const CC: f64 = 0.25;
/// Samples in the adjustment term.
const ADJUSTMENT_WINDOW: usize = 20;
/// Samples in the median of each peer.
const FILTER: usize = 3;
/// Gravity's scale, seconds.
const GRAVITY_RHO: f64 = 150.0;
/// What counts as nothing.
const ZERO: f64 = 1.0e-6;
/// A longer round trip is not one.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

impl Default for Coordinate {
    /// At the origin, knowing nothing.
    fn default() -> Self {
        Self { vec: vec![0.0; DIMENSIONS], error: ERROR_MAX, adjustment: 0.0, height: HEIGHT_MIN }
    }
}

impl Coordinate {
    /// Estimated round trip, seconds: never negative for valid coordinates of equal dimension.
    #[must_use]
    pub fn distance_s(&self, other: &Coordinate) -> f64 {
        let raw = self.raw_distance_s(other);
        let adjusted = raw + self.adjustment + other.adjustment;
        if adjusted > 0.0 { adjusted } else { raw }
    }

    fn raw_distance_s(&self, other: &Coordinate) -> f64 {
        magnitude(&difference(&self.vec, &other.vec)) + self.height + other.height
    }

    fn is_finite(&self) -> bool {
        let rest = [self.error, self.adjustment, self.height];
        self.vec.iter().chain(&rest).all(|part| part.is_finite())
    }

    /// Moves by `force` seconds away from `other`.
    fn push(&mut self, force: f64, other: &Coordinate, prng: &mut Prng) {
        let (unit, distance) = unit_vector(&self.vec, &other.vec, prng);
        for (part, direction) in self.vec.iter_mut().zip(&unit) {
            *part += direction * force;
        }
        if distance > ZERO {
            let height = (self.height + other.height) * force / distance + self.height;
            // Not f64::max: a height that is no number must stay one, to be found and reset.
            self.height = if height < HEIGHT_MIN { HEIGHT_MIN } else { height };
        }
    }
}

fn difference(left: &[f64], right: &[f64]) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left - right).collect()
}

fn magnitude(vector: &[f64]) -> f64 {
    vector.iter().fold(0.0, |sum, part| sum + part * part).sqrt()
}

/// From `from` towards `to`, and how far; a random direction, and 0, for two at one place.
fn unit_vector(to: &[f64], from: &[f64], prng: &mut Prng) -> (Vec<f64>, f64) {
    let scaled = |vector: Vec<f64>, by: f64| vector.into_iter().map(|part| part * by).collect();
    let way = difference(to, from);
    let distance = magnitude(&way);
    if distance > ZERO {
        return (scaled(way, 1.0 / distance), distance);
    }
    // 53 bits: each a float exactly.
    let random: Vec<f64> =
        way.iter().map(|_| (prng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 - 0.5).collect();
    let length = magnitude(&random);
    if length > ZERO {
        return (scaled(random, 1.0 / length), 0.0);
    }
    let mut first = vec![0.0; way.len()];
    first[0] = 1.0;
    (first, 0.0)
}

/// This node's coordinate, and what it knows of the others'.
#[derive(Debug)]
pub struct Coordinates {
    own: Coordinate,
    origin: Coordinate,
    adjustment_samples: [f64; ADJUSTMENT_WINDOW],
    adjustment_at: usize,
    /// The last round trips to each, seconds, oldest first.
    round_trips: BTreeMap<NodeName, Vec<f64>>,
    others: BTreeMap<NodeName, Coordinate>,
    resets: u64,
    prng: Prng,
}

impl Coordinates {
    /// At the origin.
    #[must_use]
    pub fn new(prng: Prng) -> Self {
        Self {
            own: Coordinate::default(),
            origin: Coordinate::default(),
            adjustment_samples: [0.0; ADJUSTMENT_WINDOW],
            adjustment_at: 0,
            round_trips: BTreeMap::new(),
            others: BTreeMap::new(),
            resets: 0,
            prng,
        }
    }

    /// Our own.
    #[must_use]
    pub fn own(&self) -> &Coordinate {
        &self.own
    }

    /// The last that this member sent, when it has answered a probe of ours.
    #[must_use]
    pub fn of(&self, node: &NodeName) -> Option<&Coordinate> {
        self.others.get(node)
    }

    /// How often a result that is not finite was thrown away (`coordinate_resets`).
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// A probe of this member took so long and brought this coordinate.
    ///
    /// # Errors
    /// Serf's text, when that cannot be; nothing has changed then.
    pub fn observe(
        &mut self,
        node: &NodeName,
        other: Coordinate,
        round_trip: Duration,
    ) -> Result<(), String> {
        if other.vec.len() != DIMENSIONS {
            return Err("dimensions aren't compatible".to_owned());
        }
        if !other.is_finite() {
            return Err("coordinate is invalid".to_owned());
        }
        if round_trip > ROUND_TRIP_MAX {
            return Err(format!(
                "round trip time not in valid range, duration {} is not a positive value less than 10s",
                crate::base::go_duration::format(round_trip)
            ));
        }
        let seconds = self.median_s(node, round_trip.as_secs_f64());
        self.spring(&other, seconds);
        self.adjust(&other, seconds);
        self.gravitate();
        if !self.own.is_finite() {
            self.resets += 1;
            self.own = Coordinate::default();
        }
        self.others.insert(node.clone(), other);
        Ok(())
    }

    /// This member is none any more.
    pub fn forget(&mut self, node: &NodeName) {
        self.round_trips.remove(node);
        self.others.remove(node);
    }

    fn median_s(&mut self, node: &NodeName, seconds: f64) -> f64 {
        let samples = match self.round_trips.get_mut(node) {
            Some(samples) => samples,
            None => self.round_trips.entry(node.clone()).or_default(),
        };
        samples.push(seconds);
        if samples.len() > FILTER {
            samples.remove(0);
        }
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn spring(&mut self, other: &Coordinate, seconds: f64) {
        let distance = self.own.distance_s(other);
        let seconds = seconds.max(ZERO);
        let wrongness = (distance - seconds).abs() / seconds;
        let total = (self.own.error + other.error).max(ZERO);
        let weight = self.own.error / total;
        let error = CE * weight * wrongness + self.own.error * (1.0 - CE * weight);
        self.own.error = if error > ERROR_MAX { ERROR_MAX } else { error };
        let force = CC * weight * (seconds - distance);
        self.own.push(force, other, &mut self.prng);
    }

    fn adjust(&mut self, other: &Coordinate, seconds: f64) {
        self.adjustment_samples[self.adjustment_at] = seconds - self.own.raw_distance_s(other);
        self.adjustment_at = (self.adjustment_at + 1) % ADJUSTMENT_WINDOW;
        let sum = self.adjustment_samples.iter().fold(0.0, |sum, sample| sum + sample);
        self.own.adjustment = sum / (2.0 * ADJUSTMENT_WINDOW as f64);
    }

    fn gravitate(&mut self) {
        let pull = self.origin.distance_s(&self.own) / GRAVITY_RHO;
        self.own.push(-(pull * pull), &self.origin, &mut self.prng);
    }

    /// Panics when an invariant is broken.
    pub fn check_invariants(&self) {
        crate::invariant!(self.own.is_finite(), "a coordinate that is not finite: {:?}", self.own);
        crate::invariant!(self.own.error <= ERROR_MAX, "an error above the most: {:?}", self.own);
        crate::invariant!(
            self.own.height >= HEIGHT_MIN,
            "a height below the least: {:?}",
            self.own
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::from(text)
    }

    #[test]
    fn two_nodes_find_their_distance() {
        let mut left = Coordinates::new(Prng::new(1));
        let mut right = Coordinates::new(Prng::new(2));
        for _ in 0..200 {
            let millis = Duration::from_millis(40);
            left.observe(&name("r"), right.own().clone(), millis).expect("valid");
            right.observe(&name("l"), left.own().clone(), millis).expect("valid");
            left.check_invariants();
            right.check_invariants();
        }
        let distance = left.own().distance_s(right.own());
        assert!((0.038..0.042).contains(&distance), "{distance}");
        assert!(left.own().error < 0.2, "{}", left.own().error);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut own = Coordinates::new(Prng::new(1));
        let long = own.observe(&name("x"), Coordinate::default(), Duration::from_secs(11));
        assert!(long.is_err_and(|why| why.contains("duration 11s is not")));
        let flat = Coordinate { vec: vec![0.0; 3], ..Coordinate::default() };
        assert!(own.observe(&name("x"), flat, Duration::ZERO).is_err());
        let wild = Coordinate { height: f64::NAN, ..Coordinate::default() };
        assert!(own.observe(&name("x"), wild, Duration::ZERO).is_err());
        assert_eq!((own.own(), own.of(&name("x"))), (&Coordinate::default(), None));
    }

    #[test]
    fn infinity_starts_anew() {
        let mut own = Coordinates::new(Prng::new(1));
        let far = Coordinate { vec: vec![f64::MAX; DIMENSIONS], ..Coordinate::default() };
        own.observe(&name("x"), far, Duration::from_millis(1)).expect("finite");
        assert_eq!((own.resets(), own.own()), (1, &Coordinate::default()));
    }
}
