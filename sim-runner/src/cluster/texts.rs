//! Names in braces, filled in as of now (language section 2): `{n1}`, `{leader.name}`, `{n2.id}`.

use std::net::SocketAddr;

use serde_json::Value;

use crate::scenario::model::{Profile, Target};
use crate::scenario::{Field, fill};
use crate::trace::event::Host;
use crate::trace::resolve::resolve;

use super::Cluster;

impl Cluster {
    /// Fills in a text.
    ///
    /// # Errors
    /// Which name does not stand for exactly one node now.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut found = |target: &Target, field: Field| {
            let hosts = self.recorder().with_view(|view| resolve(target, view).hosts);
            let [host] = hosts[..] else { return None };
            Some(match field {
                Field::Address => self.ip(host).to_string(),
                Field::Name => self.name(host).to_owned(),
                Field::Id => self.node_id(host),
            })
        };
        fill(self.plan(), text, &mut found)
    }

    /// What a node calls itself in sets of servers: the id in its data folder. 0.5.2 knew addresses alone.
    fn node_id(&self, host: Host) -> String {
        let has_ids = self.plan().cluster.profile == Profile::Modern;
        match self.read_file(host, "node-id") {
            Some(id) if has_ids => String::from_utf8_lossy(&id).trim().to_owned(),
            _ => SocketAddr::new(self.ip(host), 8300).to_string(),
        }
    }

    /// Fills in every text of a configuration.
    pub(super) fn fill_value(&self, value: &mut Value) -> Result<(), String> {
        match value {
            Value::String(text) => *text = self.fill(text)?,
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill_value(item))?,
            Value::Object(fields) => {
                fields.values_mut().try_for_each(|field| self.fill_value(field))?;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Ok(())
    }
}
