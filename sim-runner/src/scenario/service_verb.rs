//! The verbs that act on services (language section 6): `register`, `deregister`, `service-down`,
//! `service-up`.
//!
//! `service` is a table as in the API where something is registered, and an id elsewhere. A step's own
//! `id` names the step; a `deregister` without `service` means the service of that id.

use serde_json::Value;

use super::model::{Action, Target};
use super::reader::Reader;
use super::target::Setting;
use super::tree::{Kind, Table};
use super::verb::{required, target};

/// Reads one of them.
pub fn service(reader: &mut Reader, table: &Table, verb: &str) -> Option<Action> {
    match verb {
        "register" => {
            let whom = target(reader, table, verb);
            let service = definition(reader, table);
            Some(Action::Register { target: whom?, service: service? })
        }
        "deregister" => {
            let whom = target(reader, table, verb);
            let id = match (table.get("service"), table.get("id")) {
                (None, Some(item)) => reader.template(item, "`id`"),
                _ => id(reader, table, verb),
            };
            Some(Action::Deregister { target: whom?, id: id? })
        }
        _ => {
            let whom: Option<Option<Target>> =
                table.get("target").map(|item| reader.target(item, "`target`", Setting::Plain));
            let id = id(reader, table, verb);
            let (target, id) = (whom.map_or(Some(None), |whom| whom.map(Some))?, id?);
            Some(match verb {
                "service-down" => Action::ServiceDown { target, id },
                _ => Action::ServiceUp { target, id },
            })
        }
    }
}

fn definition(reader: &mut Reader, table: &Table) -> Option<Value> {
    let example = "service = { Name = \"web\", Port = 80 }";
    let item = required(reader, table, "service", "\"register\"", example)?;
    let service = reader.table(item, "`service`")?;
    let value = reader.json_object(service, "`service`");
    if name_of(&value).is_none() {
        reader.advise(item.place, "this service has no Name", format!("for example {example}"));
        return None;
    }
    Some(value)
}

/// A field of a service's definition, spelled as in the API or as in configuration files.
#[must_use]
pub fn field<'v>(service: &'v Value, name: &str) -> Option<&'v Value> {
    let of_name = |key: &str| key.replace('_', "").eq_ignore_ascii_case(name);
    service.as_object()?.iter().find(|(key, _)| of_name(key)).map(|(_, value)| value)
}

fn name_of(service: &Value) -> Option<&str> {
    field(service, "name").and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// The id of a service: its own, or its name.
#[must_use]
pub fn id_of(service: &Value) -> Option<&str> {
    let own = field(service, "id").and_then(Value::as_str).filter(|id| !id.is_empty());
    own.or_else(|| name_of(service))
}

fn id(reader: &mut Reader, table: &Table, verb: &str) -> Option<String> {
    let example = "service = \"web\"";
    let item = required(reader, table, "service", &format!("{verb:?}"), example)?;
    if let Kind::Table(service) = &item.kind {
        let value = reader.json_object(service, "`service`");
        if let Some(id) = id_of(&value) {
            return Some(id.to_owned());
        }
    }
    reader.template(item, "`service`")
}
