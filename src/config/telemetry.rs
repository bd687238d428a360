//! What figures are called, which are kept, and who gets them: `telemetry` (spec api 6.2).
//!
//! Built: the JSON of `/v1/agent/metrics` always, Prometheus with a retention time, statsd over UDP. Other
//! sinks are warned of (`inert`).

use crate::base::Duration;
use crate::base::metrics::{MetricsSettings, PrefixFilter};
use crate::config::error::ConfigError;
use crate::config::settings::Given;

/// What is done with figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// What they are called, unless it is said: `consul`.
    pub metrics_prefix: String,
    /// Names of gauges are without that of the machine. They are in any case while there is no sink.
    pub disable_hostname: bool,
    /// Which are kept.
    pub filter: PrefixFilter,
    /// Prometheus is told what was heard of for so long; zero: it is told nothing.
    pub prometheus_retention_time: Duration,
    /// `host:port` of a statsd server.
    pub statsd_address: Option<String>,
}

impl Telemetry {
    /// For the place where figures are kept, on a machine of this name.
    #[must_use]
    pub fn metrics(&self, host_name: &str) -> MetricsSettings {
        let has_sink = !self.prometheus_retention_time.is_zero() || self.statsd_address.is_some();
        let is_named = has_sink && !self.disable_hostname;
        MetricsSettings {
            prefix: self.metrics_prefix.clone(),
            host_name: if is_named { host_name.to_owned() } else { String::new() },
            filter: self.filter.clone(),
            retention: self.prometheus_retention_time,
            statsd: self.statsd_address.is_some(),
        }
    }
}

/// What one source says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SaidTelemetry {
    metrics_prefix: Option<String>,
    disable_hostname: Option<bool>,
    filter_default: Option<bool>,
    prefix_filter: Vec<String>,
    prometheus_retention_time: Option<Duration>,
    statsd_address: Option<String>,
}

impl SaidTelemetry {
    /// Takes a key; false: it is not one of these.
    pub(super) fn set(&mut self, key: &str, given: &Given<'_>) -> Result<bool, ConfigError> {
        let Some(key) = key.strip_prefix("telemetry.") else { return Ok(false) };
        match key {
            "disable_hostname" => self.disable_hostname = Some(given.bool()?),
            "filter_default" => self.filter_default = Some(given.bool()?),
            "metrics_prefix" => self.metrics_prefix = Some(given.text()?),
            "prefix_filter" => self.prefix_filter = given.texts()?,
            "prometheus_retention_time" => self.prometheus_retention_time = Some(given.span()?),
            "statsd_address" => self.statsd_address = Some(given.text()?),
            // Figures under the names of before 1.9 are not there in any case.
            "disable_compat_1.9" => drop(given.bool()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lays a later source over this one; lists are joined.
    pub(super) fn merge(&mut self, later: SaidTelemetry) {
        self.metrics_prefix = later.metrics_prefix.or(self.metrics_prefix.take());
        self.disable_hostname = later.disable_hostname.or(self.disable_hostname);
        self.filter_default = later.filter_default.or(self.filter_default);
        self.prefix_filter.extend(later.prefix_filter);
        self.prometheus_retention_time =
            later.prometheus_retention_time.or(self.prometheus_retention_time);
        self.statsd_address = later.statsd_address.or(self.statsd_address.take());
    }

    /// What holds then.
    pub(super) fn check(&self, warnings: &mut Vec<String>) -> Telemetry {
        let mut filter = PrefixFilter::new(self.filter_default.unwrap_or(true));
        for rule in &self.prefix_filter {
            match rule.chars().next() {
                Some('+') => filter.add(&rule[1..], true),
                Some('-') => filter.add(&rule[1..], false),
                Some(_) => {
                    let text = "Filter rule must begin with either '+' or '-'";
                    warnings.push(format!("{text}: {rule:?}"));
                }
                None => warnings.push("Cannot have empty filter rule in prefix_filter".to_owned()),
            }
        }
        let prefix = self.metrics_prefix.as_deref().unwrap_or("consul");
        Telemetry {
            metrics_prefix: prefix.to_owned(),
            disable_hostname: self.disable_hostname.unwrap_or(false),
            filter,
            prometheus_retention_time: self.prometheus_retention_time.unwrap_or_default(),
            statsd_address: self.statsd_address.clone().filter(|address| !address.is_empty()),
        }
    }
}
