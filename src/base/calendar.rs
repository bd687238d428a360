//! A wall clock's reading as date and time of day in UTC, and the forms in which it is written.

use std::fmt;

use super::time::WallTime;

const SECONDS_PER_DAY: i64 = 86_400;

/// A date and a time of day, UTC, in the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    year: i64,
    month: i64,
    day: i64,
    /// Since midnight.
    second: i64,
    /// Since the second.
    nanos: i64,
}

impl From<WallTime> for Utc {
    fn from(at: WallTime) -> Self {
        let (seconds, nanos) = (at.0.div_euclid(1_000_000_000), at.0.rem_euclid(1_000_000_000));
        let (days, second) =
            (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = civil(days);
        Self { year, month, day, second, nanos }
    }
}

impl Utc {
    /// RFC 3339 with milliseconds: `2024-01-02T15:04:05.678Z`, as log lines have it.
    #[must_use]
    pub fn millis(self) -> impl fmt::Display {
        let (date, time) = (self.date(), self.time());
        format!("{date}T{time}.{:03}Z", self.nanos / 1_000_000)
    }

    /// RFC 3339 with microseconds: `2024-01-02T15:04:05.678901Z`, as log lines in JSON have it.
    #[must_use]
    pub fn micros(self) -> impl fmt::Display {
        let (date, time) = (self.date(), self.time());
        format!("{date}T{time}.{:06}Z", self.nanos / 1_000)
    }

    /// RFC 3339 to the second: `2024-01-02T15:04:05Z`.
    #[must_use]
    pub fn seconds(self) -> impl fmt::Display {
        format!("{}T{}Z", self.date(), self.time())
    }

    /// Go's form to the second: `2024-01-02 15:04:05 +0000 UTC`.
    #[must_use]
    pub fn go_seconds(self) -> impl fmt::Display {
        format!("{} {} +0000 UTC", self.date(), self.time())
    }

    fn date(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    fn time(self) -> String {
        let second = self.second;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
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
        Utc::from(WallTime((seconds * 1000 + millis) * 1_000_000)).millis().to_string()
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
    fn and_to_the_second() {
        let at = Utc::from(WallTime(1_704_207_845_678_000_000));
        assert_eq!(at.seconds().to_string(), "2024-01-02T15:04:05Z");
        assert_eq!(at.go_seconds().to_string(), "2024-01-02 15:04:05 +0000 UTC");
    }
}
