//! From words to questions that rows of one kind can answer: selectors exist, operators fit what they
//! select, values are of its type. And the answers.

use regex::{Regex, RegexBuilder};

use super::parse::{Expr, Match, Operator};
use super::value::{Field, Schema, Selectable, Value};

/// A compiled pattern may take this much, bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// A bound expression.
pub(super) type Bound = Expr<Question>;

/// One comparison that fits its rows.
#[derive(Clone, Debug)]
pub(super) struct Question {
    selector: Vec<String>,
    operator: Operator,
    negated: bool,
    operand: Operand,
}

/// What a value is compared with.
#[derive(Clone, Debug)]
enum Operand {
    None,
    Text(String),
    Number(i128),
    Flag(bool),
    Pattern(Regex),
}

/// Makes an expression fit a schema.
pub(super) fn bind(expression: Expr<Match>, schema: Schema) -> Result<Bound, String> {
    let all = |terms: Vec<Expr<Match>>| {
        terms.into_iter().map(|it| bind(it, schema)).collect::<Result<Vec<Bound>, String>>()
    };
    Ok(match expression {
        Expr::Or(terms) => Expr::Or(all(terms)?),
        Expr::And(terms) => Expr::And(all(terms)?),
        Expr::Not(inner) => Expr::Not(Box::new(bind(*inner, schema)?)),
        Expr::Match(it) => Expr::Match(question(it, schema)?),
    })
}

fn question(asked: Match, schema: Schema) -> Result<Question, String> {
    let field = selected(&asked.selector, schema)?;
    let Match { selector, operator, negated, value } = asked;
    let path = selector.join(".");
    let fits = match operator {
        Operator::Equal => matches!(field, Field::Text | Field::Number | Field::Flag),
        Operator::In => matches!(field, Field::Text | Field::Texts | Field::Map(_)),
        Operator::Empty => matches!(field, Field::Texts | Field::Map(_) | Field::Objects(_)),
        Operator::Matches => matches!(field, Field::Text),
    };
    if !fits {
        let name = operator_name(operator, negated);
        return Err(format!("Invalid match operator \"{name}\" for selector {path:?}"));
    }
    let bad = |why: &str| {
        format!("Failed to coerce value {value:?} for selector {path:?}: strconv.{why}")
    };
    let operand = match (operator, field) {
        (Operator::Empty, _) => Operand::None,
        (Operator::Matches, _) => Operand::Pattern(pattern(&value)?),
        (_, Field::Number) => Operand::Number(
            whole(&value)
                .ok_or_else(|| bad(&format!("ParseInt: parsing {value:?}: invalid syntax")))?,
        ),
        (_, Field::Flag) => Operand::Flag(
            flag(&value)
                .ok_or_else(|| bad(&format!("ParseBool: parsing {value:?}: invalid syntax")))?,
        ),
        _ => Operand::Text(value),
    };
    Ok(Question { selector, operator, negated, operand })
}

fn selected(selector: &[String], schema: Schema) -> Result<Field, String> {
    let unknown = |upto: usize| {
        let path = selector[..upto].join(".");
        Err(format!("Selector {path:?} is not valid"))
    };
    let mut field = Field::Object(schema);
    for (at, name) in selector.iter().enumerate() {
        field = match field {
            Field::Object(fields) | Field::Objects(fields) => {
                match fields.iter().find(|(known, _)| known == name) {
                    Some((_, field)) => *field,
                    None => return unknown(at + 1),
                }
            }
            Field::Map(of) => *of,
            Field::Text | Field::Number | Field::Flag | Field::Texts => return unknown(at + 1),
        };
    }
    Ok(field)
}

fn operator_name(operator: Operator, negated: bool) -> &'static str {
    match (operator, negated) {
        (Operator::Equal, false) => "Equal",
        (Operator::Equal, true) => "Not Equal",
        (Operator::In, false) => "In",
        (Operator::In, true) => "Not In",
        (Operator::Empty, false) => "Is Empty",
        (Operator::Empty, true) => "Is Not Empty",
        (Operator::Matches, false) => "Matches",
        (Operator::Matches, true) => "Not Matches",
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES).build();
    built.map_err(|error| format!("Failed to compile regular expression {text:?}: {error}"))
}

/// Go's `strconv.ParseInt(text, 0, 64)`, without underscores.
fn whole(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from(u64::from_str_radix(digits, radix).ok()?);
    Some(if negative { -number } else { number })
}

/// Go's `strconv.ParseBool`.
fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl Bound {
    /// Whether it holds of a row.
    pub(super) fn holds(&self, row: &dyn Selectable) -> bool {
        match self {
            Expr::Or(terms) => terms.iter().any(|term| term.holds(row)),
            Expr::And(terms) => terms.iter().all(|term| term.holds(row)),
            Expr::Not(inner) => !inner.holds(row),
            Expr::Match(question) => question.holds(&Value::Object(row), &question.selector),
        }
    }
}

impl Question {
    /// Whether it holds of what the path selects; of a list of objects, of any.
    fn holds(&self, value: &Value<'_>, path: &[String]) -> bool {
        let Some((name, rest)) = path.split_first() else {
            return self.is_true(value) != self.negated;
        };
        match value {
            Value::Object(object) => match object.field(name) {
                Some(value) => self.holds(&value, rest),
                None => self.of_nothing(),
            },
            Value::Objects(objects) => {
                objects.iter().any(|object| self.holds(&Value::Object(*object), path))
            }
            Value::TextMap(map) => match map.get(name) {
                Some(text) => self.holds(&Value::Text(text), rest),
                None => self.of_nothing(),
            },
            Value::ObjectMap(map) => match map.get(name.as_str()) {
                Some(object) => self.holds(&Value::Object(*object), rest),
                None => self.of_nothing(),
            },
            Value::Text(_) | Value::Number(_) | Value::Flag(_) | Value::Texts(_) => {
                self.of_nothing()
            }
        }
    }

    /// Of a key that a map does not have.
    fn of_nothing(&self) -> bool {
        (self.operator == Operator::Empty) != self.negated
    }

    fn is_true(&self, value: &Value<'_>) -> bool {
        match (self.operator, value, &self.operand) {
            (Operator::Equal, Value::Text(have), Operand::Text(want)) => have == want,
            (Operator::Equal, Value::Number(have), Operand::Number(want)) => have == want,
            (Operator::Equal, Value::Flag(have), Operand::Flag(want)) => have == want,
            (Operator::In, Value::Text(have), Operand::Text(want)) => have.contains(want.as_str()),
            (Operator::In, Value::Texts(have), Operand::Text(want)) => have.contains(want),
            (Operator::In, Value::TextMap(have), Operand::Text(want)) => have.contains_key(want),
            (Operator::In, Value::ObjectMap(have), Operand::Text(want)) => {
                have.contains_key(want.as_str())
            }
            (Operator::Matches, Value::Text(have), Operand::Pattern(want)) => want.is_match(have),
            (Operator::Empty, Value::Texts(have), _) => have.is_empty(),
            (Operator::Empty, Value::TextMap(have), _) => have.is_empty(),
            (Operator::Empty, Value::ObjectMap(have), _) => have.is_empty(),
            (Operator::Empty, Value::Objects(have), _) => have.is_empty(),
            _ => false,
        }
    }
}
