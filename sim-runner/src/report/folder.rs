//! A run's folder, written whole or not at all.
//!
//! ```text
//!   reports/.leader_loss-42.new-PID/   every file is written here first
//!   reports/leader_loss-42/            then the folder is renamed; an older one steps aside and goes
//! ```
//!
//! Invariants: at no instant does the folder's own name hold half a report; a failure leaves what was
//! there before, and nothing else. Only a folder that a run wrote is ever replaced: it has a
//! `verdict.json` and no file that a run does not write. Anything else belongs to somebody, and is
//! refused with its name.
//!
//! Deliberately not here: fsync. A report can be made again from the seed.

use std::fmt;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The page.
pub const REPORT: &str = "report.html";
/// The JSON object of the run.
pub const VERDICT: &str = "verdict.json";
/// One operation a line.
pub const HISTORY: &str = "history.jsonl";
/// The header, then one event a line.
pub const TRACE: &str = "trace.jsonl";
/// The scenario as it was run.
pub const SCENARIO: &str = "scenario.toml";

/// What a run may write; a folder with any other file in it is not replaced.
const OWN_FILES: [&str; 5] = [REPORT, VERDICT, HISTORY, TRACE, SCENARIO];

/// Writes the bytes of one file.
pub type Writer<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + 'a>;

/// One file of a folder.
pub struct File<'a> {
    name: &'static str,
    write: Writer<'a>,
}

impl<'a> File<'a> {
    /// With these bytes. `name` is one of this module's constants.
    #[must_use]
    pub fn bytes(name: &'static str, bytes: &'a [u8]) -> Self {
        Self::written(name, |out| out.write_all(bytes))
    }

    /// Written by a closure, for what need not be in memory at once.
    pub fn written(
        name: &'static str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()> + 'a,
    ) -> Self {
        Self { name, write: Box::new(write) }
    }
}

/// Why a folder was not written.
#[derive(Debug)]
pub enum FolderError {
    /// Something is there that no run wrote.
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// What about it is foreign.
        because: String,
    },
    /// The operating system refused.
    Io {
        /// On which path.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { folder, because } => write!(
                f,
                "will not replace {}: {because}; move it away, or choose another folder with --out",
                folder.display()
            ),
            Self::Io { path, error } => {
                write!(f, "cannot write the report: {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for FolderError {}

/// `PARENT/NAME-SEED`, where NAME is the scenario's file name without its ending; both reduced to
/// what is safe in a path on every system.
#[must_use]
pub fn path_for(parent: &Path, scenario: &Path, seed: &str) -> PathBuf {
    let stem = scenario.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    parent.join(format!("{}-{}", path_part(&stem), path_part(seed)))
}

/// Letters, digits, `_ - .` stay, the rest becomes `-`; never empty, hidden or too long.
fn path_part(text: &str) -> String {
    let safe = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let reduced: String =
        text.chars().map(|char| if safe(char) { char } else { '-' }).take(80).collect();
    let visible = reduced.trim_start_matches(['.', '-']);
    if visible.is_empty() { "run".to_owned() } else { visible.to_owned() }
}

/// Whether [`write()`] would replace or create this folder; asked before a run, so that an hour of
/// work does not end in a refusal.
///
/// # Errors
/// When it holds what no run wrote, or cannot be read.
pub fn check(folder: &Path) -> Result<(), FolderError> {
    let foreign =
        |because: String| Err(FolderError::Foreign { folder: folder.to_path_buf(), because });
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(folder, error)),
        Ok(metadata) if !metadata.is_dir() => return foreign("it is not a folder".to_owned()),
        Ok(_) => {}
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let entry = entry.map_err(|error| failed(folder, error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    if let Some(name) = names.iter().find(|name| !OWN_FILES.contains(&name.as_str())) {
        return foreign(format!("it holds {name:?}, which no run writes"));
    }
    if !names.is_empty() && !names.iter().any(|name| name == VERDICT) {
        return foreign(format!("it has no {VERDICT}, so no run wrote it"));
    }
    Ok(())
}

/// Writes the folder; the one of an earlier run is replaced.
///
/// # Errors
/// When the folder is not a run's, or the disk refuses. Then everything is as it was before.
pub fn write(folder: &Path, files: Vec<File<'_>>) -> Result<(), FolderError> {
    check(folder)?;
    let beside = |role: &str| sibling(folder, role);
    let (new, old) = (beside("new")?, beside("old")?);
    let parent = new.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
    let swapped = fill(&new, files).and_then(|()| swap(folder, &new, &old));
    // Whatever happened, what is left beside the folder is ours and of no use to anybody; if it
    // cannot be removed, the report is no worse for it.
    for leftover in [&new, &old] {
        if leftover.exists() {
            let _ = fs::remove_dir_all(leftover);
        }
    }
    swapped
}

/// A hidden name next to the folder: a rename is atomic only within one file system.
fn sibling(folder: &Path, role: &str) -> Result<PathBuf, FolderError> {
    let Some(name) = folder.file_name() else {
        let because = "it has no name of its own".to_owned();
        return Err(FolderError::Foreign { folder: folder.to_path_buf(), because });
    };
    let hidden = format!(".{}.{role}-{}", name.to_string_lossy(), std::process::id());
    Ok(folder.with_file_name(hidden))
}

fn fill(new: &Path, files: Vec<File<'_>>) -> Result<(), FolderError> {
    fs::create_dir(new).map_err(|error| failed(new, error))?;
    for file in files {
        let path = new.join(file.name);
        let written = fs::File::create(&path).and_then(|handle| {
            let mut out = BufWriter::new(handle);
            (file.write)(&mut out)?;
            out.flush()
        });
        written.map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Puts the new folder in the place of the old one, and the old one back when that fails.
fn swap(folder: &Path, new: &Path, old: &Path) -> Result<(), FolderError> {
    let replaces = folder.exists();
    if replaces {
        fs::rename(folder, old).map_err(|error| failed(folder, error))?;
    }
    fs::rename(new, folder).map_err(|error| {
        if replaces {
            let _ = fs::rename(old, folder); // the first error is the one to tell
        }
        failed(folder, error)
    })
}

fn failed(path: &Path, error: io::Error) -> FolderError {
    FolderError::Io { path: path.to_path_buf(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn files(content: &[u8]) -> Vec<File<'_>> {
        vec![File::bytes(VERDICT, content), File::written(TRACE, |out| writeln!(out, "{{}}"))]
    }

    #[test]
    fn names_and_seeds_are_made_safe() {
        let path = |scenario, seed| path_for(Path::new("reports"), Path::new(scenario), seed);
        assert_eq!(path("scenarios/leader_loss.toml", "42"), Path::new("reports/leader_loss-42"));
        assert_eq!(path("a b/ü?.toml", "0x2a"), Path::new("reports/run-0x2a"));
        assert_eq!(path("..", "../../etc"), Path::new("reports/run-etc"));
        assert_eq!(path("x y.toml", ""), Path::new("reports/x-y-run"));
        assert_eq!(path(&"n".repeat(300), "1").file_name().unwrap().len(), 82);
    }

    #[test]
    fn a_run_replaces_its_own_folder_and_leaves_nothing_beside_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("reports/leader_loss-42");
        for content in [b"1", b"2"] {
            write(&folder, files(content)).unwrap();
            assert_eq!(fs::read(folder.join(VERDICT)).unwrap(), content);
            assert_eq!(names(&folder), [TRACE, VERDICT]);
            assert_eq!(names(folder.parent().unwrap()), ["leader_loss-42"]);
        }
    }

    #[test]
    fn a_failure_leaves_what_was_there() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("r-1");
        let failing = || {
            let mut all = files(b"new");
            all.push(File::written(REPORT, |_| Err(io::Error::other("disk full"))));
            all
        };
        let error = write(&folder, failing()).unwrap_err().to_string();
        assert!(error.contains("report.html: disk full"), "{error}");
        assert!(names(home.path()).is_empty());

        write(&folder, files(b"old")).unwrap();
        write(&folder, failing()).unwrap_err();
        assert_eq!(fs::read(folder.join(VERDICT)).unwrap(), b"old");
        assert_eq!(names(home.path()), ["r-1"]);
    }

    #[test]
    fn what_no_run_wrote_is_refused_and_untouched() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("mine");
        fs::create_dir(&folder).unwrap();
        write(&folder, files(b"into an empty folder")).unwrap();
        fs::write(folder.join("thesis.tex"), "years of work").unwrap();
        let error = write(&folder, files(b"x")).unwrap_err().to_string();
        assert!(error.contains("thesis.tex") && error.contains("--out"), "{error}");
        assert_eq!(fs::read(folder.join("thesis.tex")).unwrap(), b"years of work");

        let without_verdict = home.path().join("other");
        fs::create_dir(&without_verdict).unwrap();
        fs::write(without_verdict.join(TRACE), "").unwrap();
        assert!(matches!(check(&without_verdict), Err(FolderError::Foreign { .. })));

        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(write(&file, files(b"x")), Err(FolderError::Foreign { .. })));
        assert!(matches!(write(Path::new("/"), files(b"x")), Err(FolderError::Foreign { .. })));
    }
}
