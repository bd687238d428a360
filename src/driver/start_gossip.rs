//! A node's gossip pools: sockets, keys, what was known before, and what the cores are told.

use std::sync::Arc;

use crate::agent::{Identity, LanAdmission, MembersConfig, PoolId, Role, WanAdmission};
use crate::base::NodeName;
use crate::base::runtime::Runtime;
use crate::config::{self, GossipTiming};
use crate::gossip::{Admission, PoolConfig, Tags};
use crate::raft::Profile;
use crate::wire::gossip::{CODEC, EncryptionVersion, Keyring};

use super::gossip::{
    GossipPort, KeyKeeper, Secrets, Sockets, keep_snapshots, previous, read_keyring, snapshot_path,
    write_keyring,
};
use super::mailbox::Handle;
use super::node::named_port_of;

/// One pool's sockets and keys, before anything is heard.
pub(super) struct BoundPool<R: Runtime> {
    id: PoolId,
    sockets: Sockets<R>,
    secrets: Arc<Secrets>,
    encrypted: bool,
}

impl<R: Runtime> BoundPool<R> {
    /// Takes a pool's port, both ways, and reads its keys.
    pub async fn bind(
        runtime: &R,
        config: &config::AgentConfig,
        id: PoolId,
        pool: &config::Pool,
    ) -> Result<Self, String> {
        let keyring = keyring(runtime, config, id).await?;
        let encrypted = !keyring.is_empty();
        let datagrams = runtime.bind_datagrams(pool.bind).await;
        let key = match id {
            PoolId::Lan => "ports.serf_lan",
            PoolId::Wan => "ports.serf_wan",
        };
        let datagrams = datagrams.map_err(named_port_of(key))?;
        let listener = runtime.listen(pool.bind).await.map_err(named_port_of(key))?;
        let gossip = &config.gossip;
        let secrets = Secrets::new(keyring, gossip.verify_incoming, gossip.verify_outgoing);
        let sockets = Sockets { datagrams, listener };
        Ok(Self { id, sockets, secrets: Arc::new(secrets), encrypted })
    }

    /// Begins to serve it.
    pub fn serve(
        self,
        runtime: &R,
        config: &config::AgentConfig,
        handle: &Handle,
    ) -> GossipPort<R> {
        let snapshots = config
            .data_dir
            .as_ref()
            .map(|folder| keep_snapshots(runtime, runtime.disk(folder), self.id));
        let Self { id, sockets, secrets, .. } = self;
        let keeper = key_keeper(runtime, config, id);
        GossipPort::serve(runtime.clone(), keeper, sockets, secrets, snapshots, handle.clone())
    }
}

/// The keys: those of the keyring file, else the configured one, which then begins the file.
async fn keyring<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    id: PoolId,
) -> Result<Keyring, String> {
    let disk = keyring_disk(runtime, config);
    if let Some(disk) = &disk
        && let Some(keyring) = read_keyring(disk, id).await?
    {
        return Ok(keyring);
    }
    let mut keyring = Keyring::new();
    let Some(key) = &config.gossip.key else { return Ok(keyring) };
    keyring.add(key).map_err(|error| error.to_string())?;
    if let Some(disk) = disk {
        let written = write_keyring(&disk, id, &keyring).await;
        written.map_err(|error| format!("cannot write the keyring file: {error}"))?;
    }
    Ok(keyring)
}

/// Where keyring files are; none when they are not kept.
fn keyring_disk<R: Runtime>(runtime: &R, config: &config::AgentConfig) -> Option<R::Disk> {
    let folder = config.data_dir.as_ref().filter(|_| config.gossip.keyring_file);
    folder.map(|folder| runtime.disk(folder))
}

/// What the member of a pool needs to answer for its keys.
fn key_keeper<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    pool: PoolId,
) -> KeyKeeper<R::Disk> {
    let node = match pool {
        PoolId::Lan => NodeName::from(config.node_name.as_str()),
        PoolId::Wan => wan_name(&config.node_name, &config.datacenter),
    };
    let logger = match (config.profile, config.server, pool) {
        (Profile::Legacy, ..) => "serf",
        (_, true, PoolId::Lan) => "agent.server.serf.lan",
        (_, true, PoolId::Wan) => "agent.server.serf.wan",
        (_, false, _) => "agent.client.serf.lan",
    };
    KeyKeeper { node, pool, disk: keyring_disk(runtime, config), logger }
}

fn wan_name(node: &str, datacenter: &str) -> NodeName {
    NodeName::from(format!("{node}.{datacenter}"))
}

/// Who this agent is to the others.
pub(super) fn identity(config: &config::AgentConfig) -> Identity {
    let role = match config.server {
        true => Role::Server {
            port: config.ports.server,
            wan_port: config.ports.serf_wan,
            expect: config.bootstrap_expect,
            bootstrap: config.bootstrap && !config.dev,
        },
        false => Role::Client,
    };
    Identity {
        name: config.node_name.clone(),
        id: config.node_id.clone().unwrap_or_default(),
        datacenter: config.datacenter.clone(),
        role,
        legacy: config.profile == Profile::Legacy,
    }
}

/// What the cores of the pools are told; `wan` for servers.
pub(super) async fn members_config<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    lan: &BoundPool<R>,
    wan: Option<&BoundPool<R>>,
) -> MembersConfig {
    let identity = identity(config);
    let disk = config.data_dir.as_ref().map(|folder| runtime.disk(folder));
    let mut known = Vec::new();
    for id in [PoolId::Lan, PoolId::Wan] {
        known.push(match &disk {
            Some(disk) => previous(disk, snapshot_path(id), config.rejoin_after_leave).await,
            None => crate::gossip::serf::Previous::default(),
        });
    }
    let wan_previous = known.pop().unwrap_or_default();
    let lan_previous = known.pop().unwrap_or_default();
    let admission = Box::new(LanAdmission {
        name: identity.name.clone(),
        id: identity.id.clone(),
        datacenter: identity.datacenter.clone(),
    });
    let name = NodeName::from(identity.name.as_str());
    let tags = identity.lan_tags();
    let lan = pool_config(config, &config.gossip.lan, (name, tags, admission), lan);
    let wan = wan.zip(config.gossip.wan.as_ref()).map(|(bound, pool)| {
        let name = wan_name(&identity.name, &identity.datacenter);
        let who: Who = (name, identity.wan_tags(), Box::new(WanAdmission));
        (pool_config(config, pool, who, bound), wan_previous)
    });
    MembersConfig { identity, lan, lan_previous, wan }
}

type Who = (NodeName, Tags, Box<dyn Admission>);

fn pool_config<R: Runtime>(
    config: &config::AgentConfig,
    pool: &config::Pool,
    (name, tags, admission): Who,
    bound: &BoundPool<R>,
) -> PoolConfig {
    let mut told = match bound.id {
        PoolId::Lan => PoolConfig::lan(&name, pool.advertise, tags, CODEC, admission),
        PoolId::Wan => PoolConfig::wan(&name, pool.advertise, tags, CODEC, admission),
    };
    let GossipTiming {
        gossip_interval,
        gossip_nodes,
        probe_interval,
        probe_timeout,
        retransmit_mult,
        suspicion_mult,
    } = pool.timing;
    told.swim.gossip_interval = gossip_interval;
    told.swim.gossip_nodes = gossip_nodes as usize;
    told.swim.probe_interval = probe_interval;
    told.swim.probe_timeout = probe_timeout;
    told.swim.retransmit_mult = retransmit_mult;
    told.swim.suspicion_mult = suspicion_mult;
    told.encrypted = bound.encrypted;
    if bound.encrypted {
        told.swim.overhead_bytes = EncryptionVersion::Plain.overhead();
    }
    told.serf.reconnect_timeout = pool.reconnect_timeout;
    told.serf.coordinates = config.gossip.coordinates;
    told.serf.snapshot = config.data_dir.is_some();
    if config.profile == Profile::Legacy {
        // Its Serf is gone as soon as its goodbye has been sent: two servers part in 1.4 s.
        told.serf.leave_propagate_delay = crate::base::Duration::ZERO;
    }
    told
}
