//! Regular expressions that users give, refused in the words of Go's library, which scripts and people
//! know: ``error parsing regexp: missing closing ]: `[` ``.
//!
//! The languages are the same but for rare escapes; what has no counterpart keeps the words of ours.

use regex::{Error, Regex};

/// Compiles an expression.
pub(super) fn compile(expression: &str) -> Result<Regex, String> {
    Regex::new(expression).map_err(|error| match error {
        Error::Syntax(text) => match in_gos_words(expression, &text) {
            Some(text) => format!("error parsing regexp: {text}"),
            None => last_line(&text).to_owned(),
        },
        other => other.to_string(),
    })
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

/// What Go says, from the place that our library marks (`^`) and what it says of it.
fn in_gos_words(expression: &str, text: &str) -> Option<String> {
    let marks = text.lines().find(|line| line.trim_start().starts_with('^'))?;
    let at = marks.find('^')?.checked_sub(4)?;
    let marked: usize = marks.matches('^').count();
    let chars = || expression.chars();
    let from = || chars().skip(at).collect::<String>();
    let of = |count| chars().skip(at).take(count).collect::<String>();
    let what = last_line(text);
    Some(if what.starts_with("unclosed character class") {
        format!("missing closing ]: `{}`", from())
    } else if what.starts_with("unclosed group") {
        format!("missing closing ): `{expression}`")
    } else if what.starts_with("unopened group") {
        format!("unexpected ): `{expression}`")
    } else if what.starts_with("repetition operator missing expression") {
        format!("missing argument to repetition operator: `{}`", of(1))
    } else if what.starts_with("incomplete escape sequence") {
        "trailing backslash at end of expression: ``".to_owned()
    } else if what.starts_with("unrecognized escape sequence") {
        format!("invalid escape sequence: `{}`", of(marked))
    } else if what.starts_with("invalid character class range") {
        format!("invalid character class range: `{}`", of(marked))
    } else {
        return None;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_gos() {
        for (expression, text) in [
            ("[", "missing closing ]: `[`"),
            ("a[bc", "missing closing ]: `[bc`"),
            ("a(b", "missing closing ): `a(b`"),
            ("a)b", "unexpected ): `a)b`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a\\", "trailing backslash at end of expression: ``"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("\\q", "invalid escape sequence: `\\q`"),
        ] {
            let refused = compile(expression).expect_err(expression);
            assert_eq!(refused, format!("error parsing regexp: {text}"));
        }
        assert!(compile("^n[0-9]+$").expect("valid").is_match("n1"));
        assert!(!compile("a{2,1}").expect_err("refused").contains('\n'));
    }
}
