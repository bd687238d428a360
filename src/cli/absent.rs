//! Commands of Consul that Proconsul leaves out on purpose, and how it says so: what they are for is not
//! built (ACLs, the mesh, TLS), or belongs to Consul Enterprise. Exit code 1, a remedy where there is one.

use crate::cli::command::{Command, Reach};

macro_rules! absent {
    ($name:ident, $path:literal, $synopsis:literal, $why:literal) => {
        pub(super) const $name: Command = Command {
            path: $path,
            synopsis: $synopsis,
            usage: concat!("Usage: consul ", $path, " <subcommand> [options] [args]\n\n  ", $why),
            flags: &[],
            reach: Reach::Nobody,
        };
    };
}

absent!(
    ACL,
    "acl",
    "Interact with Consul's ACLs (not supported)",
    "Proconsul has no access control lists yet: every request is allowed. Keep the API on\n  \
     addresses that only trusted clients reach."
);
absent!(
    CONFIG,
    "config",
    "Interact with Consul's Centralized Configurations (not supported)",
    "Centralized configuration is about the service mesh, which Proconsul does not have. What\n  \
     agents are told is in their configuration files."
);
absent!(
    CONNECT,
    "connect",
    "Interact with Consul Connect (not supported)",
    "Proconsul has no service mesh: neither a certificate authority nor proxies."
);
absent!(
    INTENTION,
    "intention",
    "Interact with Connect service intentions (not supported)",
    "Intentions are about the service mesh, which Proconsul does not have."
);
absent!(
    LOGIN,
    "login",
    "Login to Consul using an auth method (not supported)",
    "Logging in creates an ACL token; Proconsul has no access control lists yet."
);
absent!(
    LOGOUT,
    "logout",
    "Destroy a Consul token created with login (not supported)",
    "There are no tokens to destroy: Proconsul has no access control lists yet."
);
absent!(
    TLS,
    "tls",
    "Builtin helpers for creating CAs and certificates (not supported)",
    "Proconsul speaks no TLS yet. Certificates can be made with openssl; gossip is encrypted with\n  \
     the key of \"consul keygen\"."
);

const ALL: [Command; 7] = [ACL, CONFIG, CONNECT, INTENTION, LOGIN, LOGOUT, TLS];

/// Why a command is refused, if it is one of these.
pub(super) fn refusal(words: &str, args: &[String]) -> Option<String> {
    if words == "snapshot" && args.first().is_some_and(|word| word == "agent") {
        let text = "\"consul snapshot agent\" is a command of Consul Enterprise. A timer that calls \
                    \"consul snapshot save\" does the same.";
        return Some(text.to_owned());
    }
    let command = ALL.iter().find(|command| command.path == words)?;
    let (_, why) = command.usage.split_once("\n\n")?;
    let why: Vec<&str> = why.split_whitespace().collect();
    Some(format!("\"consul {words}\" is not supported. {}", why.join(" ")))
}
