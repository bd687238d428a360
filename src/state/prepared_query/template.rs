//! Templates: a definition whose texts hold `${…}`, made for each name that is asked for.
//!
//! ```text
//!   "${match(1)}-${name.suffix}"  ──►  "web-eu"       "$${x}"  ──►  "${x}"
//! ```
//!
//! Of Consul's language for this (HIL) the parts that its documentation shows: the variables
//! `name.full`, `name.prefix`, `name.suffix` and `agent.segment`, the function `match(N)`, and texts and
//! whole numbers as literals. Its arithmetic and conditions are refused when the template is written, by
//! its place in the text. A group that the expression does not have is empty.
//!
//! The regular expression is RE2's in Rust's crate: what Go takes and it does not (`\Q…\E`) is refused.

use regex::RegexBuilder;

use super::{NAME_PREFIX_MATCH, PreparedQuery, ServiceQuery};

/// Of a compiled expression.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// What `${…}` may name.
struct Scope<'a> {
    full: &'a str,
    prefix: &'a str,
    segment: &'a str,
    matches: Vec<String>,
}

/// Whether this template can be rendered.
///
/// # Errors
/// Consul's text.
pub(super) fn check(query: &PreparedQuery) -> Result<(), String> {
    let kind = &query.template.kind;
    if kind != NAME_PREFIX_MATCH {
        return Err(format!("Bad Template.Type '{kind}'"));
    }
    render(query, &query.name, "").map(drop)
}

/// The definition that a template makes for this name.
///
/// # Errors
/// Consul's text.
pub(super) fn render(
    query: &PreparedQuery,
    name: &str,
    segment: &str,
) -> Result<PreparedQuery, String> {
    let mut matches = Vec::new();
    if !query.template.regexp.is_empty() {
        let built =
            RegexBuilder::new(&query.template.regexp).size_limit(COMPILED_BYTES_MAX).build();
        let regexp =
            built.map_err(|why| format!("Bad Regexp: error parsing regexp: {}", one_line(&why)))?;
        if let Some(found) = regexp.captures(name) {
            let text =
                |group: Option<regex::Match<'_>>| group.map_or("", |it| it.as_str()).to_owned();
            matches = found.iter().map(text).collect();
        }
    }
    let scope = Scope { full: name, prefix: &query.name, segment, matches };
    let mut made = query.clone();
    each_text(&mut made.service, |path, text| {
        *text = evaluate(text, &scope)
            .map_err(|why| format!("Bad format '{text}' in Service{path}: {why}"))?;
        Ok(())
    })?;
    if query.template.remove_empty_tags {
        made.service.tags.retain(|tag| !tag.is_empty());
    }
    Ok(made)
}

fn one_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim().to_owned()
}

/// All texts of a service's query, with where they stand.
fn each_text(
    it: &mut ServiceQuery,
    mut visit: impl FnMut(&str, &mut String) -> Result<(), String>,
) -> Result<(), String> {
    visit(".Service", &mut it.service)?;
    for (at, text) in it.failover.datacenters.iter_mut().enumerate() {
        visit(&format!(".Failover.Datacenters[{at}]"), text)?;
    }
    for (at, text) in it.ignore_check_ids.iter_mut().enumerate() {
        visit(&format!(".IgnoreCheckIDs[{at}]"), text)?;
    }
    visit(".Near", &mut it.near)?;
    for (at, text) in it.tags.iter_mut().enumerate() {
        visit(&format!(".Tags[{at}]"), text)?;
    }
    for (key, text) in &mut it.node_meta {
        visit(&format!(".NodeMeta[{key}]"), text)?;
    }
    for (key, text) in &mut it.service_meta {
        visit(&format!(".ServiceMeta[{key}]"), text)?;
    }
    Ok(())
}

fn evaluate(text: &str, scope: &Scope<'_>) -> Result<String, String> {
    let mut made = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        made.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        if rest[..at].ends_with('$') {
            // `$${` is how a text holds `${`.
            made.push('{');
            rest = inside;
            continue;
        }
        let column = text.len() - inside.len() + 1;
        let Some(end) = inside.find('}') else {
            return Err(format!("1:{column}: expected expression but found end of string"));
        };
        let value = evaluate_expression(inside[..end].trim(), scope);
        made.push_str(&value.map_err(|why| format!("1:{column}: {why}"))?);
        rest = &inside[end + 1..];
    }
    made.push_str(rest);
    Ok(made)
}

fn evaluate_expression(text: &str, scope: &Scope<'_>) -> Result<String, String> {
    let literal = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    if let Some(literal) = literal.filter(|it| !it.contains(['"', '\\'])) {
        return Ok(literal.to_owned());
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    if let Some(argument) = text.strip_prefix("match(").and_then(|text| text.strip_suffix(')')) {
        let group: usize = argument
            .trim()
            .parse()
            .map_err(|_| format!("match: argument 1 should be a number, is {argument:?}"))?;
        return Ok(scope.matches.get(group).cloned().unwrap_or_default());
    }
    match text {
        "name.full" => Ok(scope.full.to_owned()),
        "name.prefix" => Ok(scope.prefix.to_owned()),
        "name.suffix" => Ok(scope.full.strip_prefix(scope.prefix).unwrap_or(scope.full).to_owned()),
        "agent.segment" => Ok(scope.segment.to_owned()),
        other => Err(format!("unknown variable accessed: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::QueryTemplate;

    fn template(service: &str, regexp: &str) -> PreparedQuery {
        PreparedQuery {
            name: "geo-".to_owned(),
            template: QueryTemplate {
                kind: NAME_PREFIX_MATCH.to_owned(),
                regexp: regexp.to_owned(),
                remove_empty_tags: true,
            },
            service: ServiceQuery {
                service: service.to_owned(),
                tags: vec!["${match(2)}".to_owned(), "${name.suffix}".to_owned()],
                ..ServiceQuery::default()
            },
            ..PreparedQuery::default()
        }
    }

    #[test]
    fn a_template_is_made_for_each_name() {
        let query =
            template("${match(1)}/${ name.prefix }/$${x}/${agent.segment}", "^geo-(.*)-([^-]*)$");
        let made = render(&query, "geo-web-", "s").expect("renders");
        assert_eq!(made.service.service, "web/geo-/${x}/s");
        assert_eq!(made.service.tags, ["web-"]);
        let made = render(&query, "geo-", "").expect("renders");
        assert_eq!((made.service.service.as_str(), made.service.tags.len()), ("/geo-/${x}/", 0));
    }

    #[test]
    fn what_cannot_be_rendered_is_refused_when_it_is_written() {
        for (service, regexp, why) in [
            (
                "${name.nick}",
                "",
                "Bad format '${name.nick}' in Service.Service: 1:3: unknown variable accessed: name.nick",
            ),
            (
                "a${1 + 1",
                "",
                "Bad format 'a${1 + 1' in Service.Service: 1:4: expected expression but found end of string",
            ),
            ("x", "(", "Bad Regexp: error parsing regexp: error: unclosed group"),
        ] {
            assert_eq!(check(&template(service, regexp)), Err(why.to_owned()));
        }
    }
}
