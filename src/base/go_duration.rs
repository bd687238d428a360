//! Durations as Go writes them (`1m30s`, `250ms`, `1.5h`), which is how Consul's HTTP parameters,
//! configuration files and statistics spell them. Integers only.

use std::fmt::Write as _;

use crate::base::time::Duration;

const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads Go's form (`time.ParseDuration`): signed nanoseconds, or none when it is not of that form
/// or does not fit.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: i64 = 0;
    while !rest.is_empty() {
        let (part, after) = parse_part(rest)?;
        nanos = nanos.checked_add(part)?;
        rest = after;
    }
    Some(if negative { -nanos } else { nanos })
}

/// Reads Go's form, as a span of time; negative ones are zero.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    parse(text).map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

/// What Go says of a text that [`parse`] does not read.
#[must_use]
pub fn complaint(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let mut rest = text.trim_start_matches(['-', '+']);
    while rest.starts_with(digits) && rest.contains(|c: char| c.is_ascii_digit()) {
        let after = rest.trim_start_matches(digits);
        let unit = &after[..after.find(digits).unwrap_or(after.len())];
        if unit.is_empty() {
            return format!("time: missing unit in duration {text:?}");
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return format!("time: unknown unit {unit:?} in duration {text:?}");
        }
        rest = &after[unit.len()..];
    }
    format!("time: invalid duration {text:?}")
}

/// One number with its unit; what follows it.
fn parse_part(text: &str) -> Option<(i64, &str)> {
    let whole = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (fraction, after) = match text[whole..].strip_prefix('.') {
        Some(tail) => {
            let after = tail.trim_start_matches(|c: char| c.is_ascii_digit());
            (&tail[..tail.len() - after.len()], after)
        }
        None => ("", &text[whole..]),
    };
    if whole == 0 && fraction.is_empty() {
        return None;
    }
    let unit_len = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == &after[..unit_len])?;
    let count: i64 = if whole == 0 { 0 } else { text[..whole].parse().ok()? };
    let mut nanos = count.checked_mul(*unit)?;
    let mut scale = *unit;
    for digit in fraction.bytes() {
        // Exact for what a nanosecond can hold; what is below one is cut off.
        nanos = nanos.checked_add(i64::from(digit - b'0') * scale / 10)?;
        scale /= 10;
    }
    Some((nanos, &after[unit_len..]))
}

/// Writes Go's form (`Duration.String`).
#[must_use]
pub fn format(span: Duration) -> String {
    let nanos = span.as_nanos();
    let mut text = String::new();
    let wrote = match nanos {
        0 => write!(text, "0s"),
        1..1_000 => write!(text, "{nanos}ns"),
        1_000..1_000_000 => write!(text, "{}\u{b5}s", decimal(nanos, 3)),
        1_000_000..1_000_000_000 => write!(text, "{}ms", decimal(nanos, 6)),
        _ => {
            let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
            let seconds = decimal(rest, 9);
            match (minutes / 60, minutes % 60) {
                (0, 0) => write!(text, "{seconds}s"),
                (0, minutes) => write!(text, "{minutes}m{seconds}s"),
                (hours, minutes) => write!(text, "{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    wrote.expect("writing to a string cannot fail");
    text
}

/// `number / 10^places`, without trailing zeros.
fn decimal(number: u128, places: u32) -> String {
    let unit = 10u128.pow(places);
    let fraction = format!("{:0width$}", number % unit, width = places as usize);
    match fraction.trim_end_matches('0') {
        "" => format!("{}", number / unit),
        fraction => format!("{}.{fraction}", number / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complains_as_go_does() {
        assert_eq!(complaint("5"), "time: missing unit in duration \"5\"");
        assert_eq!(complaint("1m5"), "time: missing unit in duration \"1m5\"");
        assert_eq!(complaint("5y"), "time: unknown unit \"y\" in duration \"5y\"");
        assert_eq!(complaint("1.5sec"), "time: unknown unit \"sec\" in duration \"1.5sec\"");
        for text in ["", "x", "-", ".s", "5sx"] {
            let unit = if text == "5sx" { "unknown unit \"sx\" in" } else { "invalid" };
            assert_eq!(complaint(text), format!("time: {unit} duration {text:?}"));
        }
    }

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("10s", 10_000_000_000),
            ("1m30s", 90_000_000_000),
            ("-5s", -5_000_000_000),
            ("+5ms", 5_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("0.000000001s", 1),
            ("1us1\u{b5}s1\u{3bc}s", 3_000),
        ] {
            assert_eq!(parse(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "-", "+", "10", "s", ".s", "1x", "1s2", "1 s", "9999999999h", "--1s", "é"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5\u{b5}s"),
            (33_200_000, "33.2ms"),
            (1_000_000_000, "1s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_500_000_000, "1h1m1.5s"),
        ] {
            assert_eq!(format(Duration::from_nanos(nanos)), text);
        }
    }
}
