//! The names of Consul's message types, as its `snapshot inspect` shows them (spec cluster 10.1).

const NAMES: [&str; 44] = [
    "Register",
    "Deregister",
    "KVS",
    "Session",
    "ACL",
    "Tombstone",
    "CoordinateBatchUpdate",
    "PreparedQuery",
    "Txn",
    "Autopilot",
    "Area",
    "ACLBootstrap",
    "Intention",
    "ConnectCA",
    "ConnectCAProviderState",
    "ConnectCAConfig",
    "Index",
    "ACLToken",
    "ACLTokenDelete",
    "ACLPolicy",
    "ACLPolicyDelete",
    "ConnectCALeaf",
    "ConfigEntry",
    "ACLRole",
    "ACLRoleDelete",
    "ACLBindingRule",
    "ACLBindingRuleDelete",
    "ACLAuthMethod",
    "ACLAuthMethodDelete",
    "ChunkingState",
    "FederationState",
    "SystemMetadata",
    "ServiceVirtualIP",
    "FreeVirtualIP",
    "KindServiceNames",
    "PeeringWrite",
    "PeeringDelete",
    "PeeringTerminateByID",
    "PeeringTrustBundleWrite",
    "PeeringTrustBundleDelete",
    "PeeringSecretsWrite",
    "RaftLogVerifierCheckpoint",
    "ResourceOperation",
    "UpdateVirtualIP",
];

/// The name of a message type; none for one that no release of Consul has.
#[must_use]
pub fn kind_name(kind: u8) -> Option<&'static str> {
    NAMES.get(usize::from(kind)).copied()
}

#[cfg(test)]
mod tests {
    use super::kind_name;

    #[test]
    fn names_stand_at_their_numbers() {
        let named = [
            (2, "KVS"),
            (5, "Tombstone"),
            (9, "Autopilot"),
            (16, "Index"),
            (22, "ConfigEntry"),
            (29, "ChunkingState"),
            (30, "FederationState"),
            (34, "KindServiceNames"),
            (40, "PeeringSecretsWrite"),
            (43, "UpdateVirtualIP"),
        ];
        for (kind, name) in named {
            assert_eq!(kind_name(kind), Some(name));
        }
        assert_eq!((kind_name(44), kind_name(0x82)), (None, None));
    }
}
