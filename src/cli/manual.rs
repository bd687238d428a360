//! The manual page, made of the commands' own help: what the program says and what the page says cannot
//! differ. `packaging/proconsul.1` is this text; a test regenerates and compares it.

use crate::cli::api::{CLIENT_FLAGS, NAMESPACE_FLAGS, SERVER_FLAGS};
use crate::cli::command::{Reach, shown};
use crate::cli::commands;

/// Lines of the page that are not help.
const HEAD: &str = r#".TH PROCONSUL 1 "" "Proconsul" "User Commands"
.SH NAME
proconsul \- service discovery agent that behaves like Consul 1.9.8
.SH SYNOPSIS
.B proconsul
[\fB\-\-version\fR] [\fB\-\-help\fR] \fIcommand\fR [\fIargs\fR]
.SH DESCRIPTION
One program is the agent (\fBproconsul agent\fR) and the commands that talk to agents. Its commands, flags
and output are those of Consul's command line, and its help calls it \fBconsul\fR: it can be installed under
that name.
.PP
Flags begin with one dash or two and stand before the arguments; a value follows after \fB=\fR or as the next
word. \fB\-h\fR after a command prints its help.
"#;

const TAIL: &str = r#".SH ENVIRONMENT
.TP
.B CONSUL_HTTP_ADDR
Where the agent's HTTP API is: host:port, http://host:port or unix:///path.
.TP
.BR CONSUL_HTTP_TOKEN ", " CONSUL_HTTP_TOKEN_FILE
The ACL token, or the file that holds it.
.TP
.B CONSUL_HTTP_AUTH
user:password, sent as basic authentication.
.TP
.B CONSUL_HTTP_SSL
When true, commands refuse to work: there is no TLS yet.
.TP
.B CONSUL_NAMESPACE
A namespace; agents of the community edition refuse it.
.SH EXIT STATUS
0: done. 1: refused or failed. 2: nothing found (\fBmembers\fR), or a command failed on a node (\fBexec\fR).
127: there is no such command.
"#;

/// The page, as roff.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str(".SH COMMANDS\n");
    for command in commands::ALL {
        page.push_str(&format!(".SS {}\n", escaped(command.path)));
        page.push_str(&format!("{}.\n", escaped(command.synopsis.trim_end_matches('.'))));
        page.push_str(match command.reach {
            Reach::Nobody => "",
            Reach::Agent => "Takes the options that say where the agent is, too.\n",
            Reach::Servers => "Takes all options of the HTTP API but the namespace, too.\n",
            Reach::Namespaced => "Takes all options of the HTTP API, too.\n",
            Reach::NamespacedAgent => {
                "Takes the options that say where the agent is, and the namespace, too.\n"
            }
        });
        page.push_str(".PP\n.nf\n");
        push_lines(&mut page, &command.own_help());
        page.push_str(".fi\n");
    }
    page.push_str(".SH OPTIONS OF THE HTTP API\n");
    for (title, flags) in [
        ("Where the agent is", CLIENT_FLAGS),
        ("Who answers", SERVER_FLAGS),
        ("Namespace", NAMESPACE_FLAGS),
    ] {
        page.push_str(&format!(".SS {title}\n.nf\n"));
        push_lines(&mut page, &shown(flags));
        page.push_str(".fi\n");
    }
    page.push_str(TAIL);
    page
}

fn push_lines(page: &mut String, text: &str) {
    let text =
        text.replace("Usage: consul ", "Usage: proconsul ").replace("$ consul ", "$ proconsul ");
    text.lines().for_each(|line| {
        page.push_str(&escaped(line));
        page.push('\n');
    });
}

/// Text that roff prints as it is: no line is a request, and a dash can be searched for.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}
