//! The keys of the verbs that act on clocks, disks, files and commands (language section 6).

use super::fault::{
    CliExpect, CliStep, ClockFault, DiskFault, FileAct, FileExpect, FileStep, SignedSpan, Which,
};
use super::model::{Action, Target};
use super::reader::Reader;
use super::target::Setting;
use super::tree::{Item, Kind, Table};
use super::values;
use super::verb::{required, target};
use super::words;

/// The most that a `count`, `nth` or `corrupt` may be.
const MOST: u64 = 1_000_000;

/// `by` of a verb that acts on a clock.
pub fn clock_by(reader: &mut Reader, table: &Table, verb: &str) -> Option<SignedSpan> {
    let (owner, drift) = (format!("{verb:?}"), verb == "drift");
    if !words::CLOCK_VERBS.contains(&verb) {
        return None;
    }
    let example = if drift { "by = \"-500000ppm\"" } else { "by = \"-2s\"" };
    let item = required(reader, table, "by", &owner, example)?;
    if drift { reader.drift(item, "`by`") } else { reader.signed_duration(item, "`by`") }
}

/// `skew`, `drift`, `jump`, `strobe`.
pub fn clock(
    reader: &mut Reader,
    table: &Table,
    verb: &str,
    by: Option<SignedSpan>,
) -> Option<Action> {
    let target = target(reader, table, verb);
    let fault = match verb {
        "skew" => ClockFault::Skew(by?.low),
        "drift" => ClockFault::Drift(by?.low),
        "jump" => ClockFault::Jump(by?.low),
        _ => {
            let item = required(reader, table, "every", "\"strobe\"", "every = \"100ms\"")?;
            let every = reader.duration(item, "`every`")?;
            if every < values::MILLISECOND {
                reader.error(item.place, "`every` of a strobe must be at least a millisecond");
            }
            ClockFault::Strobe { by_ns: by?.low, every }
        }
    };
    Some(Action::Clock { target: target?, fault })
}

/// Verbs that act on a disk.
pub fn disk(reader: &mut Reader, table: &Table, verb: &str) -> Option<Action> {
    let target = target(reader, table, verb);
    let fault = match verb {
        "slow-fsync" => {
            let item = required(reader, table, "by", "\"slow-fsync\"", "by = \"50ms..200ms\"")?;
            DiskFault::SlowFsync { by: reader.span(item, "`by`")? }
        }
        "fsync-lies" => DiskFault::FsyncLies,
        "disk-full" => {
            let size = table.get("after").filter(|item| is_size(item));
            let after = size.and_then(|item| reader.size(item, "`after`")).unwrap_or(0);
            DiskFault::DiskFull { after }
        }
        "io-error" => io_error(reader, table)?,
        "torn-write" => DiskFault::TornWrite,
        "lose-unsynced" => DiskFault::LoseUnsynced,
        _ => {
            let owner = format!("{verb:?}");
            let item = required(reader, table, "path", &owner, "path = \"raft/*.wal\"")?;
            let path = reader.template(item, "`path`")?;
            let count =
                table.get("count").and_then(|item| reader.integer(item, "`count`", 1, MOST));
            let count = count.unwrap_or(1);
            match verb {
                "bit-rot" => DiskFault::BitRot { path, count },
                _ => DiskFault::Misdirect { path, count },
            }
        }
    };
    Some(Action::Disk { target: target?, fault })
}

/// `after` of `disk-full` is a size when it begins with a digit; ids and events do not.
pub fn is_size(item: &Item) -> bool {
    match &item.kind {
        Kind::Text(text) => text.text.trim_start().starts_with(|c: char| c.is_ascii_digit()),
        Kind::Integer(_) => true,
        _ => false,
    }
}

fn io_error(reader: &mut Reader, table: &Table) -> Option<DiskFault> {
    let item = required(reader, table, "op", "\"io-error\"", "op = \"write fsync\"")?;
    let text = reader.text(item, "`op`")?;
    let (mut read, mut write, mut fsync) = (false, false, false);
    for word in text.text.split([' ', ',']).filter(|word| !word.is_empty()) {
        match word {
            "read" => read = true,
            "write" => write = true,
            "fsync" => fsync = true,
            _ => {
                let at = text.text.find(word).unwrap_or_default();
                reader.unknown_word(text.part(at..at + word.len()), word, words::DISK_OPS);
            }
        }
    }
    if !(read || write || fsync) {
        reader.advise(item.place, "`op` names no operation", "for example op = \"write fsync\"");
    }
    let nth = table.get("nth").and_then(|item| reader.integer(item, "`nth`", 1, MOST));
    let ratio = table.get("ratio").and_then(|item| reader.ratio(item, "`ratio`"));
    if let (Some(_), Some(entry)) = (table.entry("nth"), table.entry("ratio")) {
        reader.error(entry.place, "`nth` and `ratio` exclude each other");
    }
    let which = match (nth, ratio) {
        (Some(nth), _) => Which::Nth(nth),
        (None, Some(ratio)) => Which::Ratio(ratio),
        (None, None) => Which::Every,
    };
    Some(DiskFault::IoError { read, write, fsync, which })
}

/// `file`.
pub fn file(reader: &mut Reader, table: &Table) -> Option<FileStep> {
    let target = target(reader, table, "file");
    let path = required(reader, table, "path", "\"file\"", "path = \"raft/peers.json\"")
        .and_then(|item| relative_path(reader, item));
    let acts: Vec<_> = words::FILE_ACTS.iter().filter_map(|key| table.entry(key)).collect();
    let [act] = acts[..] else {
        let place = acts.get(1).map_or(table.place, |second| second.place);
        let message = "a \"file\" step does one thing: write, delete, truncate, corrupt or expect";
        reader.advise(place, message, "for example write = \"[]\", or expect = { absent = true }");
        return None;
    };
    let item = &act.value;
    let act = match act.key.as_str() {
        "write" => FileAct::Write(reader.template(item, "`write`")?),
        "delete" => {
            yes(reader, item, "`delete`")?;
            FileAct::Delete
        }
        "truncate" => match &item.kind {
            Kind::Boolean(_) => {
                yes(reader, item, "`truncate`")?;
                FileAct::Truncate(0)
            }
            _ => FileAct::Truncate(reader.size(item, "`truncate`")?),
        },
        "corrupt" => match &item.kind {
            Kind::Boolean(_) => {
                yes(reader, item, "`corrupt`")?;
                FileAct::Corrupt(1)
            }
            _ => FileAct::Corrupt(reader.integer(item, "`corrupt`", 1, MOST)?),
        },
        _ => FileAct::Expect(file_expect(reader, item)?),
    };
    Some(FileStep { target: target?, path: path?, act })
}

fn yes(reader: &mut Reader, item: &Item, what: &str) -> Option<()> {
    if reader.boolean(item, what)? {
        return Some(());
    }
    reader.error(item.place, format!("{what} is true, or is left out"));
    None
}

fn relative_path(reader: &mut Reader, item: &Item) -> Option<String> {
    let path = reader.template(item, "`path`")?;
    let bad = |name: &str| matches!(name, "" | "." | "..");
    if path.split('/').any(bad) {
        let help = "it is relative to the data directory: \"raft/peers.json\"";
        reader.advise(item.place, format!("{path:?} is no path of a file here"), help);
        return None;
    }
    Some(path)
}

fn file_expect(reader: &mut Reader, item: &Item) -> Option<FileExpect> {
    let table = reader.table(item, "`expect`")?;
    reader.keys(table, "`expect`", words::FILE_EXPECT);
    let mut expect = FileExpect {
        content: table.get("content").and_then(|item| reader.template(item, "`content`")),
        absent: table.get("absent").and_then(|item| reader.boolean(item, "`absent`")),
        ..FileExpect::default()
    };
    for (key, list) in [("contains", &mut expect.contains), ("excludes", &mut expect.excludes)] {
        if let Some(item) = table.get(key) {
            *list = reader.templates(item, &format!("`{key}`"));
        }
    }
    if let Some(json) = table.get("json").and_then(|item| reader.table(item, "`json`")) {
        for entry in &json.entries {
            if let Some(value) = reader.json(&entry.value, "`json`") {
                expect.json.push((entry.key.clone(), value));
            }
        }
    }
    if let (Some(true), Some(entry)) =
        (expect.absent, table.entries.iter().find(|entry| entry.key != "absent"))
    {
        let message = format!("a file that is absent has no `{}`", entry.key);
        reader.error(entry.place, message);
    }
    if table.entries.is_empty() {
        let help = "for example { content = \"null\\n\" }, or { absent = true }";
        reader.advise(item.place, "`expect` expects nothing", help);
    }
    Some(expect)
}

/// `cli`.
pub fn cli(reader: &mut Reader, table: &Table) -> Option<CliStep> {
    let via = required(reader, table, "via", "\"cli\"", "via = \"n1\"")
        .and_then(|item| reader.target(item, "`via`", Setting::Plain));
    let run = required(reader, table, "run", "\"cli\"", "run = \"kv get a\"");
    let run = run.and_then(|item| {
        let run = reader.template(item, "`run`")?;
        match split_line(&run) {
            Ok(words) if words.is_empty() => {
                reader.advise(item.place, "`run` is no command", "for example \"kv get a\"");
                None
            }
            Ok(_) => Some(run),
            Err(why) => {
                reader.error(item.place, why);
                None
            }
        }
    });
    let mut expect = CliExpect::default();
    if let Some(item) = table.get("expect")
        && let Some(table) = reader.table(item, "`expect`")
    {
        reader.keys(table, "`expect`", words::CLI_EXPECT);
        let exit = table.get("exit").and_then(|item| reader.integer(item, "`exit`", 0, 255));
        expect.exit = exit.map(|code| code as i64);
        expect.matches = table.get("matches").and_then(|item| reader.template(item, "`matches`"));
        for (key, list) in [("contains", &mut expect.contains), ("excludes", &mut expect.excludes)]
        {
            if let Some(item) = table.get(key) {
                *list = reader.templates(item, &format!("`{key}`"));
            }
        }
    }
    Some(CliStep { via: via?, run: run?, expect, retry: table.get("within").is_some() })
}

/// A command line as words: by blanks, with single and double quotes, and no more of a shell.
///
/// # Errors
/// A quote that is not closed.
pub fn split_line(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quote in this command line is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// `transfer-leader`.
pub fn transfer_leader(reader: &mut Reader, table: &Table) -> Option<Action> {
    let mut one = |key: &str, what: &str| {
        let item = table.get(key)?;
        Some(reader.target(item, what, Setting::Plain))
    };
    let (target, to) = (one("target", "`target`"), one("to", "`to`"));
    let target = target.unwrap_or(Some(Target::Leader));
    Some(Action::TransferLeader { target: target?, to: to.map_or(Some(None), |to| to.map(Some))? })
}

#[cfg(test)]
mod tests {
    use super::split_line;

    #[test]
    fn command_lines_are_split_as_people_expect() {
        let split = |line| split_line(line).unwrap();
        assert_eq!(split("kv get  a"), ["kv", "get", "a"]);
        assert_eq!(split("kv put a 'two words' \"\""), ["kv", "put", "a", "two words", ""]);
        assert_eq!(split("-x=\"a 'b'\"c"), ["-x=a 'b'c"]);
        assert!(split_line("kv 'a").is_err());
    }
}
