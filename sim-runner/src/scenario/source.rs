//! From a path to a checked script: reading, parsing, includes, `--set`.
//!
//! A file is refused before it is parsed when it is no file, larger than [`LARGEST`], or not UTF-8.
//! Syntax errors do not stop the walk; what it says about a line that has one is left out, and what
//! it misses may stand on such a line, so that is left out too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Diagnostics, Files, Place};
use super::overrides;
use super::reader::Reader;
use super::script::{self, Script};
use super::spelling::nearest;
use super::tree::{self, Item, Kind, Table};

/// Scenarios are a few kilobytes; more than this is something else.
pub const LARGEST: u64 = 1 << 20;

/// A scenario that has no error.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its texts; the scenario's own file is the first.
    pub files: Files,
    pub(super) script: Script,
}

/// Reads a scenario file. `overrides` are the values of `--set`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, overrides: &[String]) -> Result<Source, Diagnostics> {
    let text = read_file(path).map_err(Diagnostics::whole_file)?;
    load_text(&path.display().to_string(), &text, overrides)
}

/// Reads a scenario from memory; `name` stands for its path.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_text(name: &str, text: &str, overrides: &[String]) -> Result<Source, Diagnostics> {
    if text.trim().is_empty() {
        let message = format!("{name}: the file is empty; a scenario begins with a `title`");
        return Err(Diagnostics::whole_file(message));
    }
    let mut loader = Loader::default();
    let mut root = loader.parse(name.to_owned(), text.to_owned(), &mut Vec::new());
    for text in overrides {
        if let Err(error) = overrides::apply(&mut root, &mut loader.files, text) {
            loader.reader.errors.push(error);
        }
    }
    let Loader { files, mut reader, syntax } = loader;
    let script = script::read(&mut reader, &files, &root);
    let mut errors = reader.errors;
    if !syntax.is_empty() {
        let damage = Damage::of(&files, &syntax);
        errors.retain(|error| !damage.explains(&files, error));
        errors.extend(syntax);
    }
    if errors.is_empty() {
        return Ok(Source { files, script });
    }
    Err(Diagnostics::new(&files, errors))
}

/// Where syntax errors are, to tell what follows from them.
struct Damage {
    /// File and line of each.
    lines: BTreeSet<(u32, usize)>,
    /// By file, the first line whose table header is damaged: below it, keys may be in a wrong table.
    headers: BTreeMap<u32, usize>,
}

impl Damage {
    fn of(files: &Files, syntax: &[Diagnostic]) -> Self {
        let mut damage = Self { lines: BTreeSet::new(), headers: BTreeMap::new() };
        for error in syntax {
            let text = &files.0[error.place.file as usize];
            let line = text.line_of(error.place.start as usize);
            damage.lines.insert((error.place.file, line));
            if text.line(line).trim_start().starts_with('[') {
                let first = damage.headers.entry(error.place.file).or_insert(line);
                *first = line.min(*first);
            }
        }
        damage
    }

    /// Whether an error may be a mere consequence.
    fn explains(&self, files: &Files, error: &Diagnostic) -> bool {
        let file = error.place.file;
        let line = files.0[file as usize].line_of(error.place.start as usize);
        let missing = ["needs", "has no"].iter().any(|part| error.message.contains(part));
        let displaced = self.headers.get(&file).is_some_and(|first| *first < line);
        missing || displaced || self.lines.contains(&(file, line))
    }
}

#[derive(Default)]
struct Loader {
    files: Files,
    reader: Reader,
    syntax: Vec<Diagnostic>,
}

impl Loader {
    /// Parses one text and prepends what it includes. `stack` holds the files being included.
    fn parse(&mut self, name: String, text: String, stack: &mut Vec<PathBuf>) -> Table {
        let file = self.files.add(name.clone(), text.clone());
        let (parsed, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let place = Place { file, start: span.start as u32, end: span.end as u32 };
            let message = error.message().trim().replace('\n', ", ");
            let bare = message.starts_with("invalid boolean");
            let help = bare.then(|| "texts stand in quotes: title = \"…\"".to_owned());
            self.syntax.push(Diagnostic { place, message, help });
        }
        // Of a missing key at the top, the first line is the place.
        let top = 0..text.find('\n').unwrap_or(text.len());
        let root = tree::table(file, &text, 0, parsed.get_ref(), top);
        stack.push(canonical(Path::new(&name)));
        let root = self.with_includes(Path::new(&name), root, stack);
        stack.pop();
        root
    }

    fn with_includes(&mut self, path: &Path, mut root: Table, stack: &mut Vec<PathBuf>) -> Table {
        let Some(include) = root.get("include").cloned() else { return root };
        let items = match include.kind {
            Kind::Array(items) => items,
            _ => vec![include],
        };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut above: Option<Table> = None;
        for item in items {
            let Some(text) = self.reader.text(&item, "each file of `include`") else { continue };
            let path = folder.join(&text.text);
            if stack.contains(&canonical(&path)) {
                self.reader.error(item.place, format!("{} includes itself", path.display()));
                continue;
            }
            match read_file(&path) {
                Err(message) => self.reader.error(item.place, message),
                Ok(text) => {
                    let table = self.parse(path.display().to_string(), text, stack);
                    above = Some(match above {
                        None => table,
                        Some(before) => prepend(before, table),
                    });
                }
            }
        }
        if let Some(above) = above {
            root = prepend(above, root);
        }
        root
    }
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Joins two documents: lists of tables one after the other, tables key by key, and of single values
/// those of the second, which is the file that includes.
fn prepend(above: Table, below: Table) -> Table {
    let mut joined = above;
    joined.place = below.place;
    for entry in below.entries {
        match joined.get_mut(&entry.key) {
            None => joined.entries.push(entry),
            Some(item) => join(item, entry.value),
        }
    }
    joined
}

fn join(above: &mut Item, below: Item) {
    let of_tables = |items: &[Item]| items.iter().all(|one| matches!(one.kind, Kind::Table(_)));
    match (&mut above.kind, below.kind) {
        (Kind::Array(first), Kind::Array(second)) if of_tables(first) && of_tables(&second) => {
            first.extend(second);
        }
        (Kind::Table(first), Kind::Table(second)) => {
            *first = prepend(first.clone(), second);
        }
        (_, kind) => *above = Item { place: below.place, kind },
    }
}

/// The text of a file, or a sentence that says why there is none.
fn read_file(path: &Path) -> Result<String, String> {
    let name = path.display();
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let help = similar(path).map(|near| format!("; did you mean {near}?"));
            format!("{name}: no such file{}", help.unwrap_or_default())
        }
        _ => format!("{name}: cannot be read: {error}"),
    };
    let about = fs::metadata(path).map_err(unreadable)?;
    if about.is_dir() {
        return Err(format!(
            "{name}: is a folder; name a scenario file in it, such as {}",
            example(path)
        ));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{name}: is larger than 1 MB; that is no scenario"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = bytes[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = bytes[..offset].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&bytes[start..offset]).chars().count() + 1;
        let byte = bytes[offset];
        format!("{name}:{line}:{column}: not UTF-8: byte 0x{byte:02x} at offset {offset}")
    })
}

/// A file beside it whose name is nearly the same.
fn similar(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let names = scenario_names(folder.unwrap_or(Path::new(".")));
    let near = nearest(name, names.iter().map(String::as_str))?.to_owned();
    Some(folder.map_or(PathBuf::from(&near), |folder| folder.join(&near)).display().to_string())
}

fn example(folder: &Path) -> String {
    let first = scenario_names(folder).into_iter().next();
    folder.join(first.unwrap_or_else(|| "leader_loss.toml".to_owned())).display().to_string()
}

/// The names of the scenario files in a folder, sorted.
fn scenario_names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    names.sort();
    names
}
