//! What the leader asks of a registration before it goes into the log, and what it fills in (spec
//! cluster 10.3, spec api 2.3). Texts are Consul 1.9.8's.

use super::{Deregister, Register, Weights};

impl Register {
    /// Completes it, for this datacenter.
    ///
    /// # Errors
    /// Consul's text, when it cannot be written.
    pub fn admit(&mut self, datacenter: &str) -> Result<(), String> {
        if self.node.node.is_empty() {
            return Err("Must provide node".to_owned());
        }
        if self.node.address.is_empty() && !self.skip_node_update {
            return Err("Must provide address if SkipNodeUpdate is not set".to_owned());
        }
        if !self.node.id.is_empty() {
            refuse_bad_uuid(&self.node.id)?;
        }
        if self.node.datacenter.is_empty() {
            datacenter.clone_into(&mut self.node.datacenter);
        }
        self.admit_service()?;
        for check in &mut self.checks {
            if check.check_id.is_empty() {
                check.check_id.clone_from(&check.name);
            }
            if check.node.is_empty() {
                check.node.clone_from(&self.node.node);
            }
            if check.node.to_lowercase() != self.node.node.to_lowercase() {
                return Err(format!(
                    "Node '{}' for check '{}' doesn't match register request node '{}'",
                    check.node, check.name, self.node.node
                ));
            }
            check.node.clone_from(&self.node.node);
            if check.kind.is_empty() {
                check.definition.kind().clone_into(&mut check.kind);
            }
        }
        Ok(())
    }

    fn admit_service(&mut self) -> Result<(), String> {
        let Some(service) = &mut self.service else { return Ok(()) };
        if service.id.is_empty() {
            service.id.clone_from(&service.service);
        } else if service.service.is_empty() {
            return Err("Must provide service name with ID".to_owned());
        }
        let tagged = service.tagged_addresses.values().map(|it| it.address.as_str());
        let anywhere = |address: &str| matches!(address, "0.0.0.0" | "::" | "[::]");
        if tagged.chain([service.address.as_str()]).any(anywhere) {
            return Err("Invalid service address".to_owned());
        }
        if service.weights == (Weights { passing: 0, warning: 0 }) {
            service.weights = Weights::default();
        }
        Ok(())
    }
}

impl Deregister {
    /// Whether it says what is to go.
    ///
    /// # Errors
    /// Consul's text.
    pub fn admit(&self) -> Result<(), String> {
        if self.node.is_empty() { Err("Must provide node".to_owned()) } else { Ok(()) }
    }
}

/// In the words of Consul's UUID library.
fn refuse_bad_uuid(id: &str) -> Result<(), String> {
    let dashes = [8, 13, 18, 23];
    if id.len() != 36 {
        return Err("Bad node ID: uuid string is wrong length".to_owned());
    }
    let shaped = id.bytes().enumerate().all(|(at, byte)| match dashes.contains(&at) {
        true => byte == b'-',
        false => byte.is_ascii_hexdigit(),
    });
    if shaped { Ok(()) } else { Err("Bad node ID: uuid is improperly formatted".to_owned()) }
}
