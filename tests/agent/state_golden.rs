//! Golden transcripts of the store: `tests/agent/golden/state/*`. Regenerate with
//! `UPDATE_GOLDENFILES=1` and read the difference.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use goldenscript::{Command as Line, Context};
use proconsul::base::{Faults, LogIndex};
use proconsul::state::{Answer, Command, CommandResult, KvCommand, Query, Rows, StateStore};

struct Runner {
    store: StateStore,
    index: u64,
}

impl goldenscript::Runner for Runner {
    type Command = Line;

    fn run(&mut self, line: &Line, _context: &Context) -> Result<String, Box<dyn Error>> {
        let mut args = line.consume_args();
        let index = args.take_key("index").map(str::parse::<u64>).transpose()?.unwrap_or(0);
        let flags = args.take_key("flags").map(str::parse::<u64>).transpose()?.unwrap_or(0);
        let separator = args.take_key("separator").unwrap_or("").to_owned();
        let key = args.next_pos().unwrap_or("").to_owned();
        let value = Bytes::copy_from_slice(args.next_pos().unwrap_or("").as_bytes());
        args.reject_next()?;
        let command = match line.name.as_str() {
            "set" => KvCommand::Set { key, value, flags },
            "cas" => KvCommand::Cas { key, value, flags, index },
            "delete" => KvCommand::Delete { key },
            "delete-cas" => KvCommand::DeleteCas { key, index },
            "delete-tree" => KvCommand::DeleteTree { prefix: key },
            "get" => return Ok(shown(&self.store.query(&Query::KvGet { key }))),
            "list" => return Ok(shown(&self.store.query(&Query::KvList { prefix: key }))),
            "keys" => {
                let query = Query::KvKeys { prefix: key, separator };
                return Ok(shown(&self.store.query(&query)));
            }
            other => return Err(format!("no such command: {other}").into()),
        };
        self.index += 1;
        let (result, changes) =
            self.store.apply(LogIndex(self.index), &Command::Kv(command), &Faults::none());
        self.store.check_invariants();
        let result = match result {
            CommandResult::Flag(flag) => flag.to_string(),
            CommandResult::Error(text) => format!("error: {text}"),
            CommandResult::Id(id) => id,
            CommandResult::Txn(response) => format!("{response:?}"),
        };
        Ok(format!("@{} {result} {changes:?}\n", self.index))
    }
}

fn shown(answer: &Answer) -> String {
    let mut text = format!("index {}\n", answer.index);
    let wrote = match &answer.rows {
        Rows::Keys(names) => writeln!(text, "{names:?}"),
        Rows::Entries(rows) => rows.iter().try_for_each(|row| {
            writeln!(
                text,
                "{} = {:?} flags {} create {} modify {}",
                row.key, row.value, row.flags, row.create_index, row.modify_index
            )
        }),
        other => writeln!(text, "{other:?}"),
    };
    wrote.expect("writing to a string cannot fail");
    text
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/golden/state").join(name);
    let mut runner = Runner { store: StateStore::new(), index: 0 };
    goldenscript::run(&mut runner, path).expect("the transcript is as recorded");
}

#[test]
fn writes() {
    run("writes");
}

#[test]
fn compare_and_set() {
    run("compare_and_set");
}

#[test]
fn lists_and_keys() {
    run("lists_and_keys");
}

#[test]
fn deletions_raise_indexes() {
    run("deletions_raise_indexes");
}
