//! `event`: fires a user event (spec api 5.9).

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::base::runtime::Runtime;
use crate::cli::api::Api;
use crate::cli::command::{Command, Reach};
use crate::cli::{Terminal, go_regex};
use crate::config::flags::{Flag, Takes};
use crate::http::escape::escape_path;

pub(super) const COMMAND: Command = Command {
    path: "event",
    synopsis: "Fire a new event",
    usage: "Usage: consul event [options] [payload]\n\n  \
        Dispatches a custom user event across a datacenter. An event must provide\n  \
        a name, but a payload is optional. Events support filtering using\n  \
        regular expressions on node name, service, and tag definitions.",
    flags: FLAGS,
    reach: Reach::Servers,
};

const FLAGS: &[Flag] = &[
    Flag { name: "name", takes: Takes::Text, help: "Name of the event." },
    Flag { name: "node", takes: Takes::Text, help: "Regular expression to filter on node names." },
    Flag {
        name: "service",
        takes: Takes::Text,
        help: "Regular expression to filter on service instances.",
    },
    Flag {
        name: "tag",
        takes: Takes::Text,
        help: "Regular expression to filter on service tags. Must be used with -service.",
    },
];

#[derive(Deserialize)]
struct Fired {
    #[serde(rename = "ID")]
    id: String,
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let given = |name| flags.text(name).unwrap_or_default();
    let name = given("name");
    if name.is_empty() {
        return Err(terminal.fail(format!("Event name must be specified\n\n{}", COMMAND.help())));
    }
    let mut params = Vec::new();
    for filter in ["node", "service", "tag"] {
        let expression = given(filter);
        if let Err(error) = go_regex::compile(expression) {
            let text = format!("Failed to compile {filter} filter regexp: {error}");
            return Err(terminal.fail(text));
        }
        if !expression.is_empty() {
            params.push((filter, expression));
        }
    }
    if !given("tag").is_empty() && given("service").is_empty() {
        return Err(terminal.fail("Cannot provide tag filter without service filter."));
    }
    let payload = match flags.rest.as_slice() {
        [] => Bytes::new(),
        [payload] => Bytes::copy_from_slice(payload.as_bytes()),
        _ => {
            return Err(
                terminal.fail(format!("Too many command line arguments.\n\n{}", COMMAND.help()))
            );
        }
    };
    let api = Api::new(runtime, &flags, terminal).await.map_err(|text| terminal.fail(text))?;
    let asked = api.call(Method::GET, "/v1/agent/self", &[], Bytes::new()).await;
    asked.map_err(|why| terminal.fail(format!("Error querying Consul agent: {why}")))?;
    let mut path = "/v1/event/fire/".to_owned();
    escape_path(name, &mut path);
    let fired = api.call(Method::PUT, &path, &params, payload).await;
    let fired = fired.and_then(|answer| {
        serde_json::from_slice::<Fired>(&answer.body).map_err(|error| error.to_string())
    });
    let fired = fired.map_err(|why| terminal.fail(format!("Error firing event: {why}")))?;
    terminal.line(format!("Event ID: {}", fired.id));
    Ok(())
}
