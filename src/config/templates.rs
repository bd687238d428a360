//! Addresses that the machine fills in: `{{ GetPrivateIP }}`, as go-sockaddr writes them (spec api 5.3).
//!
//! | template | stands for |
//! |---|---|
//! | `{{ GetPrivateIP }}`, `{{ GetPrivateIPs }}` | the first private IPv4 address, all of them |
//! | `{{ GetPublicIP }}`, `{{ GetPublicIPs }}` | the same of public ones |
//! | `{{ GetInterfaceIP "eth0" }}`, `{{ GetInterfaceIPs "eth0" }}` | those of an interface |
//!
//! Several are joined by spaces. Text around templates stays. Pipelines (`GetAllInterfaces | …`) are not
//! built, and refused.

use std::net::IpAddr;

use crate::config::error::ConfigError;
use crate::config::interfaces::Interfaces;
use crate::config::settings::Settings;

const KNOWN: &str = "GetPrivateIP, GetPrivateIPs, GetPublicIP, GetPublicIPs, GetInterfaceIP \"NAME\" \
                     and GetInterfaceIPs \"NAME\" are known";

impl Settings {
    /// Fills in all addresses that may hold templates.
    pub(super) fn fill_in(&mut self, machine: &Interfaces) -> Result<(), ConfigError> {
        for (key, text) in [
            ("advertise_addr", &mut self.advertise_addr),
            ("advertise_addr_wan", &mut self.advertise_addr_wan),
            ("bind_addr", &mut self.bind_addr),
            ("client_addr", &mut self.client_addr),
            ("serf_lan", &mut self.serf_lan),
            ("serf_wan", &mut self.serf_wan),
        ]
        .into_iter()
        .chain(self.addresses.texts())
        {
            if let Some(text) = text {
                *text = expand(key, text, machine)?;
            }
        }
        for (key, list) in [
            ("retry_join", &mut self.retry_join),
            ("retry_join_wan", &mut self.retry_join_wan),
            ("start_join", &mut self.start_join),
            ("start_join_wan", &mut self.start_join_wan),
        ] {
            let mut filled = Vec::new();
            for text in list.drain(..) {
                match text.contains("{{") {
                    false => filled.push(text),
                    true => {
                        let text = expand(key, &text, machine)?;
                        filled.extend(text.split_whitespace().map(str::to_owned));
                    }
                }
            }
            *list = filled;
        }
        Ok(())
    }
}

/// A text with its templates filled in.
pub(super) fn expand(key: &str, text: &str, machine: &Interfaces) -> Result<String, ConfigError> {
    let wrong = |why: &str| ConfigError::new(format!("{key}: error parsing {text:?}: {why}"));
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, template)) = rest.split_once("{{") {
        let Some((inner, after)) = template.split_once("}}") else {
            return Err(wrong("\"}}\" is missing"));
        };
        filled.push_str(before);
        let inner = inner.trim().trim_matches('-').trim();
        let found = addresses(inner, machine).ok_or_else(|| wrong(KNOWN))?;
        if found.is_empty() {
            return Err(wrong("this machine has no such address"));
        }
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        filled.push_str(&texts.join(" "));
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// None: no such function.
fn addresses(template: &str, machine: &Interfaces) -> Option<Vec<IpAddr>> {
    let (function, argument) = match template.split_once(char::is_whitespace) {
        Some((function, argument)) => (function, Some(argument.trim())),
        None => (template, None),
    };
    let name = argument.map(|it| it.strip_prefix('"')?.strip_suffix('"'));
    let mut all = match (function, name) {
        ("GetPrivateIP" | "GetPrivateIPs", None) => machine.private(),
        ("GetPublicIP" | "GetPublicIPs", None) => machine.public(),
        ("GetInterfaceIP" | "GetInterfaceIPs", Some(Some(name))) => machine.of(name),
        _ => return None,
    };
    if !function.ends_with('s') {
        all.truncate(1);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::interfaces::tests::machine;

    #[test]
    fn templates_are_filled_in() {
        let filled = |text: &str| expand("bind_addr", text, &machine());
        for (text, wanted) in [
            ("10.0.0.1", "10.0.0.1"),
            ("{{ GetPrivateIP }}", "10.0.1.7"),
            ("{{GetPrivateIPs}} 127.0.0.1", "10.0.1.7 172.17.0.1 127.0.0.1"),
            ("{{ GetInterfaceIP \"docker0\" }}", "172.17.0.1"),
            ("{{- GetPublicIP -}}", "2001:db8::7"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(wanted));
        }
        for (text, why) in [
            ("{{ GetPrivateIP", "\"}}\" is missing"),
            ("{{ GetInterfaceIP \"eth7\" }}", "this machine has no such address"),
            ("{{ GetInterfaceIP eth0 }}", KNOWN),
            ("{{ GetAllInterfaces | join \"address\" \" \" }}", KNOWN),
            ("{{}}", KNOWN),
        ] {
            let error = filled(text).expect_err(text).to_string();
            assert_eq!(error, format!("bind_addr: error parsing {text:?}: {why}"));
        }
    }
}
