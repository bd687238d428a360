//! Who is let into Consul's pools (spec cluster 3.4).
//!
//! Asked for whole joins and for every single word that somebody is alive: an agent of another
//! datacenter, or a copy of one with another name, must not come in by hearsay either.

use std::collections::BTreeMap;

use crate::gossip::{Admission, Candidate};

/// The pool of a datacenter.
#[derive(Clone, Debug)]
pub struct LanAdmission {
    /// Own name.
    pub name: String,
    /// Own node id.
    pub id: String,
    /// Own datacenter.
    pub datacenter: String,
}

impl Admission for LanAdmission {
    fn admit(&self, candidates: &[Candidate<'_>]) -> Result<(), String> {
        let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
        for candidate in candidates.iter().filter(|candidate| !candidate.left) {
            let (name, tags) = (candidate.name.as_str(), candidate.tags);
            if let Some(id) = tags.get("id").filter(|id| !id.is_empty()) {
                if id == self.id && name != self.name {
                    return Err(format!(
                        "Member '{name}' has conflicting node ID '{id}' with this agent's ID"
                    ));
                }
                if let Some(other) = ids.insert(id, name).filter(|other| *other != name) {
                    return Err(format!(
                        "Member '{name}' has conflicting node ID '{id}' with member '{other}'"
                    ));
                }
            }
            if matches!(tags.get("role"), Some("consul" | "node"))
                && let Some(datacenter) = tags.get("dc")
                && datacenter != self.datacenter
            {
                return Err(format!("Member '{name}' part of wrong datacenter '{datacenter}'"));
            }
        }
        Ok(())
    }
}

/// The pool of all servers.
#[derive(Clone, Copy, Debug)]
pub struct WanAdmission;

impl Admission for WanAdmission {
    fn admit(&self, candidates: &[Candidate<'_>]) -> Result<(), String> {
        let stranger = candidates
            .iter()
            .filter(|candidate| !candidate.left)
            .find(|candidate| candidate.tags.get("role") != Some("consul"));
        match stranger {
            Some(candidate) => Err(format!("Member '{}' is not a server", candidate.name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NodeName;
    use crate::gossip::Tags;

    /// Name, tags, whether it has left.
    type Told<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

    fn lan(members: &[Told<'_>]) -> Result<(), String> {
        let rules = LanAdmission {
            name: "n1".to_owned(),
            id: "id-1".to_owned(),
            datacenter: "dc1".to_owned(),
        };
        let owned: Vec<(NodeName, Tags, bool)> = members
            .iter()
            .map(|(name, tags, left)| {
                let tags = tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()));
                (NodeName::from(*name), Tags(tags.collect()), *left)
            })
            .collect();
        let candidates: Vec<Candidate<'_>> =
            owned.iter().map(|(name, tags, left)| Candidate { name, tags, left: *left }).collect();
        rules.admit(&candidates)
    }

    #[test]
    fn strangers_and_copies_stay_out() {
        let wrong = lan(&[("n2", &[("role", "node"), ("dc", "dc2")], false)]);
        assert_eq!(wrong.unwrap_err(), "Member 'n2' part of wrong datacenter 'dc2'");
        let copy = lan(&[("n2", &[("id", "id-1")], false)]);
        assert!(copy.unwrap_err().ends_with("with this agent's ID"));
        let twins = lan(&[("n2", &[("id", "x")], false), ("n3", &[("id", "x")], false)]);
        assert_eq!(twins.unwrap_err(), "Member 'n3' has conflicting node ID 'x' with member 'n2'");
        assert!(lan(&[("n2", &[("role", "node"), ("dc", "dc2")], true)]).is_ok(), "it has left");
        assert!(lan(&[("n1", &[("id", "id-1")], false)]).is_ok(), "it is this agent");
        assert!(lan(&[("web", &[("role", "serf-only"), ("dc", "dc9")], false)]).is_ok());
    }
}
