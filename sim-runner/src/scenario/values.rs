//! The small forms: durations, ranges, ratios, rates, sizes (language section 2).
//!
//! Each reader takes the text alone and answers with the value or a [`Fault`]: what is wrong, which
//! part of the text, and how to write it right. Exact integer arithmetic; no floats.

use std::ops::Range;

use proconsul::base::{Duration, Ratio};

use super::model::Span;

/// What is wrong inside a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which bytes of the text.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Fault {
    /// A fault without advice.
    #[must_use]
    pub fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self { range, message: message.into(), help: None }
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same fault in a text of which this one's is a part.
    #[must_use]
    pub fn shifted(mut self, by: usize) -> Self {
        self.range = self.range.start + by..self.range.end + by;
        self
    }
}

/// The units of durations and their nanoseconds.
const UNITS: [(&str, u64); 5] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A thousandth of a second.
pub const MILLISECOND: Duration = Duration::from_millis(1);

/// No time in a scenario is longer: 100 days.
const LONGEST: Duration = Duration::from_secs(100 * 24 * 3600);

/// `"250ms"`, `"1.5s"`.
///
/// # Errors
/// With the unit that was probably meant.
pub fn duration(text: &str) -> Result<Duration, Fault> {
    let all = 0..text.len();
    let trimmed = text.trim();
    let lead = text.len() - text.trim_start().len();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    if number.is_empty() {
        return Err(Fault::new(all, format!("{text:?} is not a duration"))
            .help("a duration is a number and a unit: \"250ms\", \"1.5s\", \"2m\""));
    }
    let unit = unit.trim_start();
    let unit_range = lead + trimmed.len() - unit.len()..lead + trimmed.len();
    let Some(&(_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(unit_fault(number, unit, if unit.is_empty() { all } else { unit_range }));
    };
    let nanos = decimal(number, scale)
        .ok_or_else(|| Fault::new(all.clone(), format!("{text:?} is not a duration")))?;
    let value = Duration::from_nanos(nanos);
    if value > LONGEST {
        return Err(Fault::new(all, format!("{text:?} is longer than 100 days")));
    }
    Ok(value)
}

fn unit_fault(number: &str, unit: &str, range: Range<usize>) -> Fault {
    if unit.is_empty() {
        return Fault::new(range, "a duration needs a unit").help(with_unit(number));
    }
    let meant = match unit.to_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" | "s" => Some("s"),
        "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" | "ms" => Some("ms"),
        "usec" | "usecs" | "micros" | "microsecond" | "microseconds" | "us" | "µs" | "μs" => {
            Some("us")
        }
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "hr" | "hrs" | "hour" | "hours" | "h" => Some("h"),
        _ => None,
    };
    let fault = Fault::new(range, format!("unknown unit {unit:?}"));
    match meant {
        Some(meant) => fault.help(format!("did you mean \"{number}{meant}\"?")),
        None => fault.help("durations take us, ms, s, m or h: \"250ms\", \"1.5s\""),
    }
}

/// Advice for a number without a unit.
#[must_use]
pub fn with_unit(number: &str) -> String {
    let unit = if number.len() >= 3 && !number.contains('.') { "ms" } else { "s" };
    format!("write \"{number}{unit}\"")
}

/// A decimal number times a scale, exactly; nothing when it does not come out even or is too large.
fn decimal(number: &str, scale: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || part.contains('.') || (number.contains('.') && part.is_empty()) {
        return None;
    }
    let mut nanos = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let mut worth = scale;
    for digit in part.bytes() {
        if !worth.is_multiple_of(10) && digit != b'0' {
            return None;
        }
        worth /= 10;
        nanos = nanos.checked_add(worth.checked_mul(u64::from(digit - b'0'))?)?;
    }
    Some(nanos)
}

/// `a..b`, or one value.
///
/// # Errors
/// Of either end, or a range that runs backwards.
pub fn span(text: &str) -> Result<Span, Fault> {
    let Some((low, high)) = text.split_once("..") else {
        let value = duration(text)?;
        return Ok(Span { low: value, high: value });
    };
    let low_value = duration(low)?;
    let high_value = duration(high).map_err(|fault| fault.shifted(low.len() + 2))?;
    if high_value < low_value {
        return Err(Fault::new(0..text.len(), "the range runs backwards").help(format!(
            "write \"{}..{}\"",
            high.trim(),
            low.trim()
        )));
    }
    Ok(Span { low: low_value, high: high_value })
}

/// `n/d`.
///
/// # Errors
/// With the ratio that was probably meant.
pub fn ratio(text: &str) -> Result<Ratio, Fault> {
    let all = 0..text.len();
    let parts = text.split_once('/').map(|(n, d)| (n.trim().parse(), d.trim().parse()));
    let Some((Ok(numerator), Ok(denominator))) = parts else {
        let fault = Fault::new(all, format!("{text:?} is not a ratio"));
        return Err(match as_ratio(text) {
            Some(meant) => fault.help(format!("did you mean \"{meant}\"?")),
            None => fault.help("a ratio is two whole numbers: \"1/1000\", \"0/1\""),
        });
    };
    if denominator == 0 || numerator > denominator {
        return Err(Fault::new(all, format!("{text:?} is not between 0 and 1"))
            .help("a ratio is n/d with 0 <= n <= d and d > 0"));
    }
    Ok(Ratio::new(numerator, denominator))
}

/// `0.001` and `1%` as ratios.
#[must_use]
pub fn as_ratio(text: &str) -> Option<String> {
    let (number, base) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim(), 100_u64),
        None => (text.trim(), 1),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let scale = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let denominator = scale.checked_mul(base)?;
    let digits: u64 = format!("{whole}{part}").parse().ok()?;
    (digits <= denominator).then(|| format!("{digits}/{denominator}"))
}

/// `"20/s"`, `"90/m"`: operations per minute.
///
/// # Errors
/// With the form that is right.
pub fn rate(text: &str) -> Result<u64, Fault> {
    let all = 0..text.len();
    let wrong = |range, message: String| {
        Err(Fault::new(range, message)
            .help("a rate is a whole number per second or minute: \"20/s\", \"90/m\""))
    };
    let Some((number, unit)) = text.split_once('/') else {
        return wrong(all, format!("{text:?} is not a rate"));
    };
    let per_minute = match unit.trim() {
        "s" => 60,
        "m" => 1,
        other => return wrong(number.len() + 1..text.len(), format!("unknown unit {other:?}")),
    };
    match number.trim().parse::<u64>() {
        Ok(0) => Err(Fault::new(all, "a rate of zero does nothing").help("leave the workload out")),
        Ok(count) if count <= 1_000_000 => Ok(count * per_minute),
        Ok(_) => Err(Fault::new(all, "a rate is at most 1000000")),
        Err(_) => wrong(all, format!("{text:?} is not a rate")),
    }
}

/// The units of sizes and their bytes.
const SIZES: [(&str, u64); 4] = [("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30)];

/// `"16B"`, `"64KB"`: bytes.
///
/// # Errors
/// With the unit that was probably meant.
pub fn size(text: &str) -> Result<u64, Fault> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let all = 0..text.len();
    let forms = "a size is a whole number of B, KB, MB or GB: \"16B\", \"64KB\"";
    let Ok(count) = number.parse::<u64>() else {
        return Err(Fault::new(all, format!("{text:?} is not a size")).help(forms));
    };
    if unit.is_empty() {
        return Err(Fault::new(all, "a size needs a unit").help(format!("write \"{number}B\"")));
    }
    match SIZES.iter().find(|(name, _)| *name == unit.trim()) {
        Some((_, scale)) => count
            .checked_mul(*scale)
            .ok_or_else(|| Fault::new(all, format!("{text:?} is too large"))),
        None => {
            Err(Fault::new(split..text.len(), format!("unknown unit {:?}", unit.trim()))
                .help(forms))
        }
    }
}

/// The units of bandwidths and their bits per second.
const BANDWIDTHS: [(&str, u64); 3] =
    [("Kbit/s", 1_000), ("Mbit/s", 1_000_000), ("Gbit/s", 1_000_000_000)];

/// `"10Mbit/s"`: bytes per second.
///
/// # Errors
/// With the form that is right.
pub fn bandwidth(text: &str) -> Result<u64, Fault> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = BANDWIDTHS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, scale)| *scale);
    let bits = number.parse::<u64>().ok().zip(scale).and_then(|(n, scale)| n.checked_mul(scale));
    match bits {
        Some(bits @ 8..) => Ok(bits / 8),
        _ => Err(Fault::new(0..text.len(), format!("{text:?} is not a bandwidth"))
            .help("a bandwidth is a whole number of Kbit/s, Mbit/s or Gbit/s: \"10Mbit/s\"")),
    }
}

/// Bytes per second as the language writes them. Whatever was read is whole in Kbit/s.
#[must_use]
pub fn show_bandwidth(bytes: u64) -> String {
    format!("{}Kbit/s", bytes * 8 / 1_000)
}

/// A duration as the language writes it, exactly.
#[must_use]
pub fn show_duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    if nanos.is_multiple_of(1_000_000_000) {
        return format!("{}s", nanos / 1_000_000_000);
    }
    let (unit, scale, digits) = match nanos {
        1_000_000_000.. => ("s", 1_000_000_000, 9),
        1_000_000.. => ("ms", 1_000_000, 6),
        _ => ("us", 1_000, 3),
    };
    let text = format!("{}.{:0digits$}", nanos / scale, nanos % scale);
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A range as the language writes it.
#[must_use]
pub fn show_span(value: Span) -> String {
    if value.low == value.high {
        return show_duration(value.low);
    }
    format!("{}..{}", show_duration(value.low), show_duration(value.high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let nanos = |text| duration(text).unwrap().as_nanos();
        assert_eq!(nanos("250ms"), 250_000_000);
        assert_eq!(nanos("1.5s"), 1_500_000_000);
        assert_eq!(nanos("0.2ms"), 200_000);
        assert_eq!(nanos("0us"), 0);
        assert_eq!(nanos("1.5m"), 90_000_000_000);
        for text in ["", "s", "1.s", ".5s", "1..2", "-1s", "1e3s", "1.2.3s", "0.0001us", "9999h"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert_eq!(duration("250").unwrap_err().help.unwrap(), "write \"250ms\"");
        assert_eq!(duration("10 sec").unwrap_err().help.unwrap(), "did you mean \"10s\"?");
    }

    #[test]
    fn ratios_rates_and_sizes() {
        assert_eq!(ratio("1/1000").unwrap(), Ratio::new(1, 1000));
        assert_eq!(ratio("0.001").unwrap_err().help.unwrap(), "did you mean \"1/1000\"?");
        assert_eq!(ratio("1%").unwrap_err().help.unwrap(), "did you mean \"1/100\"?");
        assert!(ratio("2/1").is_err() && ratio("0/0").is_err() && ratio("1/").is_err());
        assert_eq!((rate("20/s").unwrap(), rate("90/m").unwrap()), (1200, 90));
        assert!(rate("20").is_err() && rate("0/s").is_err() && rate("20/h").is_err());
        assert_eq!((size("16B").unwrap(), size("64KB").unwrap()), (16, 65536));
        assert_eq!(
            (bandwidth("10Mbit/s").unwrap(), bandwidth("1Kbit/s").unwrap()),
            (1_250_000, 125)
        );
        assert_eq!(show_bandwidth(125), "1Kbit/s");
        assert!(bandwidth("10").is_err() && bandwidth("0Kbit/s").is_err());
        assert!(size("16").is_err() && size("16K").is_err() && size("B").is_err());
    }

    proptest! {
        #[test]
        fn shown_durations_read_back(nanos in 0u64..8_000_000_000_000_000) {
            let value = Duration::from_nanos(nanos);
            prop_assert_eq!(duration(&show_duration(value)).unwrap(), value);
        }

        #[test]
        fn any_text_is_a_value_or_a_fault(text in "\\PC{0,12}") {
            let results = [duration(&text).err(), span(&text).err(), ratio(&text).err(), rate(&text).err(), size(&text).err()];
            for fault in results.into_iter().flatten() {
                prop_assert!(fault.range.end <= text.len());
            }
        }
    }
}
