//! The verbs that act on membership (language section 6).

use super::model::{Action, Target};
use super::reader::Reader;
use super::target::Setting;
use super::tree::Table;
use super::verb::{required, target};

/// `join`, `leave`, `force-leave`.
pub fn membership(reader: &mut Reader, table: &Table, verb: &str) -> Option<Action> {
    let whom = target(reader, table, verb);
    match verb {
        "join" => {
            let to = required(reader, table, "to", "\"join\"", "to = \"n1\"")
                .and_then(|item| reader.target(item, "`to`", Setting::Plain));
            let wan = flag(reader, table, "wan");
            Some(Action::Join { target: whom?, to: to?, wan })
        }
        "leave" => Some(Action::Leave { target: whom? }),
        _ => {
            let via: Option<Option<Target>> =
                table.get("via").map(|item| reader.target(item, "`via`", Setting::Plain));
            let prune = flag(reader, table, "prune");
            let via = via.map_or(Some(None), |via| via.map(Some))?;
            Some(Action::ForceLeave { target: whom?, via, prune })
        }
    }
}

fn flag(reader: &mut Reader, table: &Table, key: &str) -> bool {
    let given = table.get(key).and_then(|item| reader.boolean(item, &format!("`{key}`")));
    given.unwrap_or(false)
}
