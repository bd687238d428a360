//! Flags of `agent` that say just what a key says: they are read as the key is (spec api 5.3).

use crate::config::error::ConfigError;
use crate::config::flags::Parsed;
use crate::config::located_json::{Located, Member, Value};
use crate::config::settings::Settings;

/// A flag, its key, and whether it may be given many times.
const KEYS: &[(&str, &str, bool)] = &[
    ("allow-write-http-from", "http_config.allow_write_http_from", true),
    ("atlas", "atlas_infrastructure", false),
    ("atlas-endpoint", "atlas_infrastructure", false),
    ("atlas-join", "atlas_join", false),
    ("atlas-token", "atlas_token", false),
    ("check_output_max_size", "check_output_max_size", false),
    ("default-query-time", "default_query_time", false),
    ("grpc-port", "ports.grpc", false),
    ("grpc-tls-port", "ports.grpc_tls", false),
    ("https-port", "ports.https", false),
    ("max-query-time", "max_query_time", false),
    ("pid-file", "pid_file", false),
    ("primary-gateway", "primary_gateways", true),
    ("protocol", "protocol", false),
    ("segment", "segment", false),
    ("serf-lan-allowed-cidrs", "serf_lan_allowed_cidrs", true),
    ("serf-wan-allowed-cidrs", "serf_wan_allowed_cidrs", true),
    ("ui-content-path", "ui_config.content_path", false),
    ("ui-dir", "ui_config.dir", false),
];

impl Settings {
    /// Takes those that are given.
    pub(super) fn take_key_flags(&mut self, flags: &Parsed) -> Result<(), ConfigError> {
        for &(flag, key, many) in KEYS {
            let text = |text: &str| Located { line: 0, value: Value::Text(text.to_owned()) };
            let value = match flags.text(flag) {
                None => continue,
                Some(_) if many => {
                    Located { line: 0, value: Value::List(flags.all(flag).map(text).collect()) }
                }
                Some(last) => text(last),
            };
            let member = Member { line: 0, key: key.to_owned(), value };
            self.set(key, &member)
                .map_err(|error| ConfigError::new(format!("-{flag}: {}", error.text)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AGENT_FLAGS;
    use crate::config::keys::refusal;

    #[test]
    fn every_flag_has_its_key() {
        for (flag, key, _) in KEYS {
            assert!(AGENT_FLAGS.iter().any(|known| known.name == *flag), "{flag}");
            assert_eq!(refusal(key), None, "{flag}");
        }
    }
}
