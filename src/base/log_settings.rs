//! Where an agent's log lines go beside standard error, and when a file of them is put away (spec api 5.3).
//!
//! ```text
//!   log-1700.log   log-1800.log   log-1900.log  ◄── lines
//!   └── put away: so many at most ──┘               full, or old enough ─► log-2000.log
//! ```
//!
//! Decisions only: names, when, which ones go. Files are the runtime's. A file's name has the nanosecond of
//! its making, so that names sort by age (until the year 2286) and none is written twice.
//!
//! Deliberately not here: which lines are shown, and their form.

use std::path::PathBuf;

use super::time::{Duration, WallTime};

/// How long one file is written to, unless it is said.
pub const ROTATE_DURATION: Duration = Duration::from_secs(24 * 3600);

/// How log lines are shown and kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// As JSON objects.
    pub json: bool,
    /// In a file, too.
    pub file: Option<LogFileSettings>,
}

/// Files of log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFileSettings {
    /// Where they are.
    pub folder: PathBuf,
    /// What they are called, before the time is put into it: `consul.log`.
    pub name: String,
    /// A file that has so many bytes is put away; 0: however large.
    pub rotate_bytes: u64,
    /// A file of this age is put away.
    pub rotate_duration: Duration,
    /// So many files that were put away are kept; 0: all of them; below: none.
    pub max_files: i64,
}

impl LogFileSettings {
    /// What a file's name has before and behind its time.
    fn around(&self) -> (String, String) {
        match self.name.rfind('.') {
            Some(at) => (format!("{}-", &self.name[..at]), self.name[at..].to_owned()),
            None => (format!("{}-", self.name), ".log".to_owned()),
        }
    }

    /// The name of a file that is begun now.
    #[must_use]
    pub fn file_name(&self, now: WallTime) -> String {
        let (before, behind) = self.around();
        format!("{before}{}{behind}", now.0)
    }

    /// Which of the files in the folder are too many, before another one is begun: the oldest.
    #[must_use]
    pub fn surplus(&self, names: &[String]) -> Vec<String> {
        let (before, behind) = self.around();
        let is_ours = |name: &&String| {
            let time = name.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&behind));
            time.is_some_and(|time| !time.is_empty() && time.bytes().all(|it| it.is_ascii_digit()))
        };
        let mut ours: Vec<&String> = names.iter().filter(is_ours).collect();
        ours.sort_by_key(|name| (name.len(), name.as_str()));
        let kept = match usize::try_from(self.max_files) {
            Ok(0) => ours.len(),
            Ok(max) => max,
            Err(_) => 0,
        };
        let surplus = ours.len().saturating_sub(kept);
        ours[..surplus].iter().map(|name| (*name).clone()).collect()
    }

    /// Whether a file is to be put away before the next line.
    #[must_use]
    pub fn is_due(&self, file: Written, now: WallTime) -> bool {
        let age_ns = now.0.saturating_sub(file.since.0);
        let is_old = u128::try_from(age_ns).is_ok_and(|age| age >= self.rotate_duration.as_nanos());
        is_old || self.rotate_bytes > 0 && file.bytes >= self.rotate_bytes
    }
}

/// How far a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// When it was begun.
    pub since: WallTime,
    /// What it holds.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Prng;

    fn settings(name: &str, rotate_bytes: u64, max_files: i64) -> LogFileSettings {
        LogFileSettings {
            folder: PathBuf::new(),
            name: name.to_owned(),
            rotate_bytes,
            rotate_duration: Duration::from_secs(60),
            max_files,
        }
    }

    #[test]
    fn names_are_consuls() {
        let named = |name| settings(name, 0, 0).file_name(WallTime(17));
        assert_eq!(named("consul.log"), "consul-17.log");
        assert_eq!(named("agent"), "agent-17.log");
        assert_eq!(named("a.b.txt"), "a.b-17.txt");
    }

    #[test]
    fn others_files_are_left_alone() {
        let names = [
            "consul-5.log",
            "consul-.log",
            "consul-x.log",
            "consul.log",
            "a-1.log",
            "consul-12.log",
        ];
        let names = names.map(str::to_owned);
        assert_eq!(settings("consul.log", 0, 1).surplus(&names), ["consul-5.log"]);
        assert_eq!(
            settings("consul.log", 0, -1).surplus(&names),
            ["consul-5.log", "consul-12.log"]
        );
        assert!(settings("consul.log", 0, 0).surplus(&names).is_empty());
    }

    /// What a folder holds after lines of any size at any time.
    #[test]
    fn files_are_bounded_and_no_line_is_lost() {
        for seed in 0..200 {
            let mut prng = Prng::new(seed);
            let max_files = i64::try_from(prng.below(5)).expect("small") - 1;
            let it = settings("consul.log", prng.below(3) * 100, max_files);
            let mut now = WallTime(1_700_000_000_000_000_000);
            // Name, when it was begun, lines.
            let mut files = vec![(it.file_name(now), Written { since: now, bytes: 0 }, 0u64)];
            let (mut lines, mut dropped) = (0, 0);
            for _ in 0..200 {
                now.0 += i64::try_from(prng.below(20_000_000_000)).expect("small") + 1;
                if it.is_due(files.last().expect("one").1, now) {
                    let names: Vec<String> = files.iter().map(|file| file.0.clone()).collect();
                    let gone = it.surplus(&names);
                    dropped +=
                        files.iter().filter(|it| gone.contains(&it.0)).map(|it| it.2).sum::<u64>();
                    files.retain(|file| !gone.contains(&file.0));
                    files.push((it.file_name(now), Written { since: now, bytes: 0 }, 0));
                }
                let (_, written, count) = files.last_mut().expect("one");
                assert!(it.rotate_bytes == 0 || written.bytes < it.rotate_bytes);
                assert!(now.0 - written.since.0 < 60_000_000_000);
                written.bytes += prng.below(80);
                (*count, lines) = (*count + 1, lines + 1);
            }
            let kept = files.iter().map(|file| file.2).sum::<u64>();
            assert_eq!(kept + dropped, lines, "seed {seed}");
            match max_files {
                -1 => assert_eq!(files.len(), 1),
                0 => assert_eq!(dropped, 0),
                max => assert!(files.len() as i64 <= max + 1),
            }
            let mut sorted = files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
            sorted.sort();
            assert!(files.iter().map(|file| &file.0).eq(&sorted), "names sort by age");
        }
    }
}
