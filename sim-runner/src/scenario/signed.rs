//! Values that may be negative: how far and how fast a clock is off (language section 6).
//!
//! `"-2s"`, `"+50ms"`, `"-1s..1s"` in nanoseconds; `"-500ppm"`, `"-200ppm..200ppm"` in parts per
//! million.

use proconsul::base::{Duration, Prng};

use super::fault::{FASTEST_PPM, SLOWEST_PPM, SignedSpan};
use super::values::{self, Fault, show_duration};

/// Applies a reader of one value to both ends of a range.
fn span(text: &str, one: fn(&str) -> Result<i64, Fault>) -> Result<SignedSpan, Fault> {
    let Some((low, high)) = text.split_once("..") else {
        let value = one(text)?;
        return Ok(SignedSpan { low: value, high: value });
    };
    let low_value = one(low)?;
    let high_value = one(high).map_err(|fault| fault.shifted(low.len() + 2))?;
    if high_value < low_value {
        let help = format!("write \"{}..{}\"", high.trim(), low.trim());
        return Err(Fault::new(0..text.len(), "the range runs backwards").help(help));
    }
    Ok(SignedSpan { low: low_value, high: high_value })
}

/// Sign, the text behind it, and where that begins.
fn sign(text: &str) -> (i64, &str, usize) {
    let trimmed = text.trim_start();
    let lead = text.len() - trimmed.len();
    match trimmed.strip_prefix(['-', '+']) {
        Some(rest) if trimmed.starts_with('-') => (-1, rest, lead + 1),
        Some(rest) => (1, rest, lead + 1),
        None => (1, trimmed, lead),
    }
}

fn one_duration(text: &str) -> Result<i64, Fault> {
    let (sign, rest, lead) = sign(text);
    let value = values::duration(rest).map_err(|fault| fault.shifted(lead))?;
    // At most 100 days.
    Ok(sign * value.as_nanos() as i64)
}

/// A duration or a range of them; either may be negative. Nanoseconds.
///
/// # Errors
/// With the form that is right.
pub fn durations(text: &str) -> Result<SignedSpan, Fault> {
    span(text, one_duration)
}

fn one_ppm(text: &str) -> Result<i64, Fault> {
    let all = 0..text.len();
    let help =
        "a drift is a whole number of parts per million: \"200ppm\", \"-500000ppm\" (half speed)";
    let (sign, rest, lead) = sign(text);
    let split = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, unit) = rest.split_at(split);
    let Ok(value) = number.parse::<i64>() else {
        return Err(Fault::new(all, format!("{text:?} is not a drift")).help(help));
    };
    match unit.trim() {
        "ppm" => {}
        "" => {
            let fault = Fault::new(all, "a drift needs its unit");
            return Err(fault.help(format!("write \"{}ppm\"", text.trim())));
        }
        unit => {
            return Err(
                Fault::new(lead + split..text.len(), format!("unknown unit {unit:?}")).help(help)
            );
        }
    }
    let value = sign * value;
    if !(SLOWEST_PPM..=FASTEST_PPM).contains(&value) {
        let help = format!("a drift is from {SLOWEST_PPM}ppm to {FASTEST_PPM}ppm");
        return Err(Fault::new(all, "no clock is that wrong here").help(help));
    }
    Ok(value)
}

/// A drift or a range of them. Parts per million.
///
/// # Errors
/// With the form that is right.
pub fn drifts(text: &str) -> Result<SignedSpan, Fault> {
    span(text, one_ppm)
}

/// Advice for a number without a unit.
#[must_use]
pub fn with_ppm(number: &str) -> String {
    format!("write \"{number}ppm\"")
}

/// A draw from a range of nanoseconds, in whole milliseconds when it is wide enough, else in whole
/// microseconds.
pub fn draw_ns(prng: &mut Prng, span: SignedSpan) -> i64 {
    let width = span.high.abs_diff(span.low);
    let grain = if width >= 100_000_000 { 1_000_000 } else { 1_000 };
    match width / grain {
        0 => span.low,
        grains => span.low + (prng.below(grains) * grain) as i64,
    }
}

/// A draw from a range of parts per million.
pub fn draw_ppm(prng: &mut Prng, span: SignedSpan) -> i64 {
    match span.high.abs_diff(span.low) {
        0 => span.low,
        width => span.low + prng.below(width) as i64,
    }
}

/// Nanoseconds as the language writes them.
#[must_use]
pub fn show_ns(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", show_duration(Duration::from_nanos(value.unsigned_abs())))
}

/// Parts per million as the language writes them.
#[must_use]
pub fn show_ppm(value: i64) -> String {
    format!("{value}ppm")
}

/// A range as the language writes it.
#[must_use]
pub fn show_span(span: SignedSpan, one: fn(i64) -> String) -> String {
    if span.low == span.high {
        return one(span.low);
    }
    format!("{}..{}", one(span.low), one(span.high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_values() {
        let ns = |text| durations(text).map(|span| (span.low, span.high));
        assert_eq!(ns("-2s").unwrap(), (-2_000_000_000, -2_000_000_000));
        assert_eq!(ns("+50ms..1s").unwrap(), (50_000_000, 1_000_000_000));
        assert_eq!(ns("-1s..-10ms").unwrap(), (-1_000_000_000, -10_000_000));
        assert!(ns("1s..-1s").is_err() && ns("--1s").is_err() && ns("-").is_err());
        let ppm = |text| drifts(text).map(|span| (span.low, span.high));
        assert_eq!(ppm("-500000ppm").unwrap(), (-500_000, -500_000));
        assert_eq!(ppm("-200ppm..200ppm").unwrap(), (-200, 200));
        assert_eq!(drifts("-200").unwrap_err().help.unwrap(), "write \"-200ppm\"");
        for text in ["", "ppm", "1.5ppm", "-1000000ppm", "1s", "5 %"] {
            assert!(ppm(text).is_err(), "{text:?}");
        }
        assert_eq!(show_ns(-1_500_000), "-1.5ms");
        let span = SignedSpan { low: -200, high: 200 };
        assert_eq!(show_span(span, show_ppm), "-200ppm..200ppm");
    }
}
