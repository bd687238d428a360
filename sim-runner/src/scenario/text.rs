//! Texts with names in braces (language section 2): `{T}` is a node's address, `{T.name}` its name,
//! `{T.id}` its node id; `{{` is a brace; `{` before anything but a letter stays as it is.
//!
//! Checked when the scenario is read, filled in when the step fires.

use super::model::{Plan, Target};
use super::target::{self, Names, Setting, did_you_mean};
use super::values::Fault;

/// What of a node is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `{T}`.
    Address,
    /// `{T.name}`.
    Name,
    /// `{T.id}`.
    Id,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Plain(String),
    /// To be filled in; and its text, for messages.
    Hole(Target, Field, String),
}

/// Takes a text apart.
///
/// # Errors
/// A brace that is not closed, an unknown name, a target of several nodes.
pub fn pieces(text: &str, names: &Names) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(brace) = text[at..].find('{').map(|found| at + found) {
        plain.push_str(&text[at..brace]);
        let next = text[brace + 1..].chars().next();
        if next == Some('{') {
            plain.push('{');
            at = brace + 2;
        } else if next.is_some_and(char::is_alphabetic) {
            let Some(length) = text[brace..].find('}') else {
                return Err(Fault::new(brace..text.len(), "this brace is not closed")
                    .help("write \"{{\" for a brace that is only a brace"));
            };
            let inside = &text[brace + 1..brace + length];
            let hole = hole(inside, names).map_err(|fault| fault.shifted(brace + 1))?;
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            pieces.push(hole);
            at = brace + length + 1;
        } else {
            plain.push('{');
            at = brace + 1;
        }
    }
    plain.push_str(&text[at..]);
    pieces.push(Piece::Plain(plain));
    Ok(pieces)
}

fn hole(inside: &str, names: &Names) -> Result<Piece, Fault> {
    let (name, field) = match inside.rsplit_once('.') {
        None => (inside, Field::Address),
        Some((name, "name")) => (name, Field::Name),
        Some((name, "id")) => (name, Field::Id),
        Some((name, other)) => {
            let fault = Fault::new(
                name.len() + 1..inside.len(),
                format!(
                    "a node has no {other:?} here: write {{{name}}}, {{{name}.name}} or {{{name}.id}}"
                ),
            );
            return Err(did_you_mean(fault, other, ["name", "id"]));
        }
    };
    let target = target::parse(name, names, Setting::Plain)
        .map_err(|fault| Fault { message: format!("{} in braces", fault.message), ..fault })?;
    if !target::can_be_one(&target) {
        return Err(Fault::new(0..name.len(), format!("{name:?} is not one node"))
            .help("braces take a target of one node: \"{leader}\", \"{n1}\""));
    }
    Ok(Piece::Hole(target, field, inside.to_owned()))
}

/// Fills a text in, when its step fires. `resolve` answers for one node, or nothing when the target
/// is not exactly one node at this moment.
///
/// # Errors
/// A sentence that names the hole which could not be filled.
pub fn fill(
    plan: &Plan,
    text: &str,
    resolve: &mut dyn FnMut(&Target, Field) -> Option<String>,
) -> Result<String, String> {
    if !text.contains('{') {
        return Ok(text.to_owned());
    }
    let mut filled = String::new();
    for piece in pieces(text, &Names::of(plan)).map_err(|fault| fault.message)? {
        match piece {
            Piece::Plain(plain) => filled.push_str(&plain),
            Piece::Hole(target, field, written) => match resolve(&target, field) {
                Some(value) => filled.push_str(&value),
                None => return Err(format!("{{{written}}} is not exactly one node now")),
            },
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            servers: vec!["n1".into(), "n2".into()],
            clients: vec![],
            steps: vec![("cut".into(), "kill".into())],
        }
    }

    fn holes(text: &str) -> Vec<(Target, Field)> {
        let pieces = pieces(text, &names()).unwrap();
        let hole = |piece| match piece {
            Piece::Hole(target, field, _) => Some((target, field)),
            Piece::Plain(_) => None,
        };
        pieces.into_iter().filter_map(hole).collect()
    }

    #[test]
    fn names_in_braces() {
        let n1 = || Target::Node("n1".into());
        assert_eq!(holes("join {n1}"), [(n1(), Field::Address)]);
        assert_eq!(
            holes(r#"[{"id":"{n1.id}","address":"{n1}:8300"}]"#),
            [(n1(), Field::Id), (n1(), Field::Address)]
        );
        assert_eq!(holes("{leader.name}{same-as:cut}").len(), 2);
        assert_eq!(holes("{{n1}} { n1} {1} {"), []);
    }

    #[test]
    fn a_double_brace_is_a_brace() {
        let pieces = pieces("{{n1} {", &names()).unwrap();
        assert_eq!(pieces, [Piece::Plain("{n1} {".into())]);
    }

    #[test]
    fn what_cannot_be_filled() {
        let fault = |text: &str| pieces(text, &names()).unwrap_err();
        assert_eq!(fault("a {n3} b").range, 3..5);
        assert_eq!(fault("a {n1 b").range, 2..7);
        assert!(fault("{n1.adress}").message.contains("adress"));
        assert!(fault("{servers}").message.contains("not one node"));
    }
}
