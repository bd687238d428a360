//! The built command, run from outside: in a folder of its own, with its answer taken apart.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The command under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sim-runner");

/// Three servers with the timing that Consul recommends for production.
pub const THREE: &str = "\
title = \"three servers\"
[cluster]
servers = 3
config = { performance = { raft_multiplier = 1 } }
";

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package of the workspace").to_owned()
}

/// The scenario of the main job.
pub fn leader_loss() -> PathBuf {
    root().join("scenarios/leader_loss.toml")
}

/// A folder to run commands in.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// With the scenario of the main job as `leader_loss.toml`.
    pub fn with_leader_loss() -> Self {
        let desk = Self::new();
        fs::copy(leader_loss(), desk.path("leader_loss.toml")).expect("the scenario is copied");
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file is written");
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names of what lies in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().into_string().expect("a plain name")
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// A command that is not started yet.
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Done {
        Done::of(self.command(arguments).output().expect("the command runs"))
    }

    /// One execution of a scenario text, judged, with nothing written.
    pub fn judge(&self, scenario: &str, more: &[&str]) -> Done {
        self.write("scenario.toml", scenario);
        let fixed = ["scenario.toml", "--seed", "7", "--json", "--no-replay", "--no-report"];
        self.run(fixed.iter().chain(more))
    }
}

/// What came of a command.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the command speaks UTF-8");
        let code = output.status.code().expect("no signal ends the command");
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// The JSON object that is all of stdout.
    pub fn json(&self) -> Value {
        let line = self.out.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {self:?}"));
        assert!(!line.contains('\n'), "more than one line: {self:?}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON objects of stdout, one a line.
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.out.lines().map(parse).collect()
    }

    /// The digest of the run.
    pub fn digest(&self) -> String {
        let object = self.json();
        let digest = object["trace"].as_str().expect("a digest").to_owned();
        assert_eq!(digest.len(), 32, "{object}");
        digest
    }

    /// Summaries of the violations of a property.
    pub fn violations(&self, property: &str) -> Vec<String> {
        let object = self.json();
        let all = object["violations"].as_array().expect("a list").clone();
        let of_it = all.iter().filter(|violation| violation["property"] == property);
        of_it.map(|v| v["summary"].as_str().expect("a summary").to_owned()).collect()
    }

    /// What a property was found to be.
    pub fn property(&self, name: &str) -> String {
        let object = self.json();
        let all = object["properties"].as_array().expect("a list");
        let found = all.iter().find(|property| property["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {object}"))["verdict"]
            .as_str()
            .expect("a word")
            .to_owned()
    }
}
