//! Log lines in Consul's form: `2024-01-02T15:04:05.678Z [INFO]  agent.server.raft: text`.

use std::fmt;
use std::io::Write;

use crate::base::runtime::Level;
use crate::base::time::WallTime;

const SECONDS_PER_DAY: i64 = 86_400;

/// Writes one line to standard error, in one piece. A line that cannot be written is lost: there is
/// nowhere to complain.
pub(super) fn write_line(at: WallTime, level: Level, module: &str, message: fmt::Arguments<'_>) {
    let line = format!("{} {} {module}: {message}\n", Timestamp(at), label(level));
    let _unwritable = std::io::stderr().lock().write_all(line.as_bytes());
}

/// The level as hclog writes it, padded so that texts line up.
fn label(level: Level) -> &'static str {
    match level {
        Level::Trace => "[TRACE]",
        Level::Debug => "[DEBUG]",
        Level::Info => "[INFO] ",
        Level::Warn => "[WARN] ",
        Level::Error => "[ERROR]",
    }
}

/// A time as RFC 3339 in UTC, with milliseconds.
struct Timestamp(WallTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.0.div_euclid(1_000_000);
        let (seconds, millis) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        let (days, second) =
            (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months counted from March.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(seconds: i64, millis: i64) -> String {
        Timestamp(WallTime((seconds * 1000 + millis) * 1_000_000)).to_string()
    }

    #[test]
    fn times_read_as_rfc_3339() {
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(shown(1_704_207_845, 678), "2024-01-02T15:04:05.678Z");
        assert_eq!(shown(1_709_164_800, 0), "2024-02-29T00:00:00.000Z");
        assert_eq!(shown(1_767_225_599, 999), "2025-12-31T23:59:59.999Z");
        assert_eq!(shown(-1, 0), "1969-12-31T23:59:59.000Z");
    }

    #[test]
    fn levels_line_up() {
        let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
        assert!(levels.into_iter().all(|level| label(level).len() == "[ERROR]".len()));
    }
}
