//! What kind of agent: whose rules, server or client, and how its cluster begins (spec cluster 3.6 to 3.8;
//! spec api 5.3).
//!
//! | `-bootstrap` | `-bootstrap-expect` | a server without data |
//! |---|---|---|
//! | given, or expect 1, or `-dev` | | begins a cluster of itself |
//! | | 2 or more | begins one with the others, once so many have found each other |
//! | | | waits to be added by a leader |

use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::raft::Profile;

const TABLE: &str = "https://www.consul.io/docs/internals/consensus.html#deployment-table";

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub profile: Profile,
    pub dev: bool,
    pub server: bool,
    pub bootstrap: bool,
    pub bootstrap_expect: u64,
}

pub(super) fn check(
    said: &Settings,
    dev: bool,
    warnings: &mut Vec<String>,
) -> Result<Mode, ConfigError> {
    let profile = match said.profile.as_deref() {
        None | Some("modern") => Profile::Modern,
        Some("legacy") => Profile::Legacy,
        Some(other) => return refuse(format!("unknown profile {other:?}; use modern or legacy")),
    };
    if let Some(version) = said.raft_protocol.filter(|version| *version != 3) {
        return refuse(format!(
            "raft_protocol version {version} is not supported by this version of Consul"
        ));
    }
    if said.read_replica == Some(true) {
        return refuse("read_replica: servers that never vote are not built; remove it");
    }
    let server = said.server.unwrap_or(dev);
    let bootstrap = said.bootstrap.unwrap_or(false);
    let expect = said.bootstrap_expect.unwrap_or(0);
    let Ok(expect) = u64::try_from(expect) else {
        return refuse(format!(
            "bootstrap_expect cannot be {expect}. Must be greater than or equal to zero"
        ));
    };
    refuse_contradictions(dev, server, bootstrap, expect)?;
    match profile {
        Profile::Modern => warn(bootstrap, expect, warnings),
        Profile::Legacy => warn_as_legacy(bootstrap, expect, warnings),
    }
    Ok(Mode {
        profile,
        dev,
        server,
        bootstrap: dev || bootstrap || expect == 1,
        bootstrap_expect: if expect == 1 { 0 } else { expect },
    })
}

fn refuse_contradictions(
    dev: bool,
    server: bool,
    bootstrap: bool,
    expect: u64,
) -> Result<(), ConfigError> {
    if expect > 0 && dev {
        return refuse("'bootstrap_expect > 0' not allowed in dev mode");
    }
    if expect > 0 && !server {
        return refuse("'bootstrap_expect > 0' requires 'server = true'");
    }
    if bootstrap && !server {
        return refuse("'bootstrap = true' requires 'server = true'");
    }
    if expect > 0 && bootstrap {
        return refuse("'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive");
    }
    Ok(())
}

fn warn(bootstrap: bool, expect: u64, warnings: &mut Vec<String>) {
    match expect {
        0 => {}
        1 => warnings
            .push("BootstrapExpect is set to 1; this is the same as Bootstrap mode.".to_owned()),
        2 => warnings.push(format!(
            "bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. \
             See {TABLE}"
        )),
        _ if expect.is_multiple_of(2) => warnings.push(format!(
            "bootstrap_expect is even number: A cluster with an even number of servers does not \
             achieve optimum fault tolerance. See {TABLE}"
        )),
        _ => {}
    }
    if expect > 1 {
        warnings.push(format!("bootstrap_expect > 0: expecting {expect} servers"));
    }
    if bootstrap {
        warnings.push("bootstrap = true: do not enable unless necessary".to_owned());
    }
}

fn warn_as_legacy(bootstrap: bool, expect: u64, warnings: &mut Vec<String>) {
    match expect {
        0 => {}
        1 => warnings.push(
            "WARNING: BootstrapExpect Mode is specified as 1; this is the same as Bootstrap mode."
                .to_owned(),
        ),
        _ => warnings.push(format!("WARNING: Expect Mode enabled, expecting {expect} servers")),
    }
    if bootstrap {
        warnings.push("WARNING: Bootstrap mode enabled! Do not enable unless necessary".to_owned());
    }
}
