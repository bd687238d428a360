# Every key of the configuration, with what it does and its default. Copy what you need: a key that is left
# out has the value that stands here, but for those marked "example".
#
#   consul validate sample.hcl
#   consul agent -config-file=sample.hcl
#
# The same in JSON: sample.json.

# ---- Who this agent is --------------------------------------------------------------------------------

server = true                      # example; default false: a client, which forwards to servers
bootstrap_expect = 3               # example; default 0: so many servers begin the cluster together
bootstrap = false                  # a cluster of this server alone; instead of bootstrap_expect
datacenter = "dc1"
primary_datacenter = ""            # taken, has no effect
data_dir = "/var/lib/consul"       # example; must be given, but with -dev
node_name = "n1"                   # example; default: the host's name
node_id = ""                       # a UUID; default: one is made and kept in data_dir
node_meta { rack = "r7" }          # example; what nodes can be asked for
profile = "modern"                 # whose rules to follow: "modern" (Consul 1.9.8) or "legacy" (0.5.2)
read_replica = false               # servers that never vote are not built: true is refused
disable_host_node_id = true        # the id is never that of the host
enable_local_script_checks = true  # example; default false: scripts of configuration files may run
enable_script_checks = false       # scripts of everybody may run: think of who reaches the HTTP port

# ---- Where it listens and is reached ------------------------------------------------------------------
# Templates are filled in: "{{ GetPrivateIP }}", "{{ GetInterfaceIP \"eth0\" }}".

bind_addr = "10.0.0.1"             # example; default "0.0.0.0"
advertise_addr = "10.0.0.1"        # example; default: bind_addr, or the machine's one private address
advertise_addr_wan = "10.0.0.1"    # example; default: advertise_addr
advertise_addr_ipv4 = "10.0.0.1"   # example; tells the node's address by family, for translation
advertise_addr_ipv6 = ""
advertise_addr_wan_ipv4 = ""
advertise_addr_wan_ipv6 = ""
translate_wan_addrs = false        # WAN addresses are told to other datacenters
client_addr = "127.0.0.1"          # several are separated by spaces
addresses {
  http = ""                        # default: client_addr
  dns = ""                         # likewise
  https = ""                       # nothing listens there
  grpc = ""
  grpc_tls = ""
}
ports {
  http = 8500                      # -1: does not listen
  https = -1                       # must be -1: TLS is not built
  grpc = -1                        # shown in the banner only
  grpc_tls = -1
  dns = 8600
  serf_lan = 8301
  serf_wan = 8302
  server = 8300
  rpc = 8400                       # of 0.x; taken, has no effect
  proxy_min_port = 0               # the mesh's; taken, have no effect
  proxy_max_port = 0
  sidecar_min_port = 21000
  sidecar_max_port = 21255
  expose_min_port = 21500
  expose_max_port = 21755
}
serf_lan = ""                      # default: bind_addr
serf_wan = ""

# ---- Joining, and leaving -----------------------------------------------------------------------------

retry_join = ["10.0.0.2", "10.0.0.3"] # example; host, host:port
retry_interval = "30s"
retry_max = 0                      # attempts; 0: for ever
retry_join_wan = []
retry_interval_wan = "30s"
retry_max_wan = 0
start_join = []                    # one attempt; the agent ends when nobody is reached
start_join_wan = []
rejoin_after_leave = false
leave_on_terminate = false         # default: true on clients
skip_leave_on_interrupt = true     # default: false on clients
reconnect_timeout = "72h"          # failed nodes are forgotten after; 8h or more
reconnect_timeout_wan = "72h"

# ---- Gossip -------------------------------------------------------------------------------------------

encrypt = ""                       # 16, 24 or 32 bytes in base64: consul keygen
encrypt_verify_incoming = true
encrypt_verify_outgoing = true
disable_keyring_file = false
disable_coordinates = false
gossip_lan {
  gossip_interval = "200ms"
  gossip_nodes = 3
  probe_interval = "1s"
  probe_timeout = "500ms"
  retransmit_mult = 4
  suspicion_mult = 4
}
gossip_wan {
  gossip_interval = "500ms"
  gossip_nodes = 3
  probe_interval = "5s"
  probe_timeout = "3s"
  retransmit_mult = 4
  suspicion_mult = 6
}

# ---- Raft and autopilot -------------------------------------------------------------------------------

performance {
  raft_multiplier = 5              # of Raft's timers: 1 for fast machines, up to 10
  rpc_hold_timeout = "7s"          # requests wait so long for a leader
  leave_drain_time = "5s"
}
raft_protocol = 3                  # must be 3
raft_prevote_disabled = true
raft_snapshot_interval = "30s"
raft_snapshot_threshold = 16384    # log entries between snapshots
raft_trailing_logs = 10240
autopilot {
  cleanup_dead_servers = true
  last_contact_threshold = "200ms"
  max_trailing_logs = 250
  min_quorum = 0
  server_stabilization_time = "10s"
  disable_upgrade_migration = false # Enterprise, and so are the next two
  redundancy_zone_tag = ""
  upgrade_version_tag = ""
}

# ---- The HTTP API and its limits ----------------------------------------------------------------------

http_config {
  block_endpoints = []             # prefixes: "/v1/kv/secret"
  response_headers { "X-Served-By" = "n1" } # example
  allow_write_http_from = []       # networks: "127.0.0.0/8"; none: from everywhere
  use_cache = true                 # taken, has no effect
  max_header_bytes = 0             # not adjustable
}
ui_config {
  enabled = false                  # the built-in web UI
  dir = ""                         # a folder whose files are served instead of it
  content_path = ""                # where it is; "": "/ui/"
  metrics_provider = ""            # from here on: taken, has no effect
  metrics_provider_files = []
  metrics_provider_options_json = ""
  metrics_proxy {}
  dashboard_url_templates {}
}
limits {
  http_max_conns_per_client = 200
  kv_max_value_size = 524288       # bytes
  txn_max_req_len = 524288         # bytes
  https_handshake_timeout = "5s"   # from here on: taken, not enforced
  rpc_handshake_timeout = ""
  rpc_client_timeout = ""
  rpc_max_burst = 0
  rpc_max_conns_per_client = 0
  rpc_rate = 0
  request_limits {}
}
default_query_time = "300s"
max_query_time = "600s"
discovery_max_stale = "0s"
session_ttl_min = "10s"

# ---- Services and checks ------------------------------------------------------------------------------
# Blocks of one name add up, in one file and over all files. "services" and "checks" are lists of the same.

check_update_interval = "5m"
check_output_max_size = 4096       # bytes
discard_check_output = false

service {                          # example
  id = "web1"                      # default: the name
  name = "web"
  tags = ["primary"]
  address = "10.0.0.1"             # default: the node's
  port = 80
  meta { version = "3" }
  tagged_addresses {
    wan { address = "198.51.100.7", port = 8080 }
  }
  weights { passing = 1, warning = 1 }
  enable_tag_override = false
  kind = ""
  token = ""
  proxy {}                         # the mesh's, taken and not kept
  connect {}
  check {
    id = "web1-page"
    name = "the page is there"
    notes = "asks for the front page"
    http = "http://10.0.0.1/"
    method = "GET"
    header { Accept = ["text/html"] }
    body = ""
    tls_skip_verify = false
    interval = "10s"
    timeout = "5s"
    status = "critical"            # until it has run
    success_before_passing = 0
    failures_before_critical = 0
    deregister_critical_service_after = "90m"
    output_max_size = 4096
  }
  checks = [
    { tcp = "10.0.0.1:80", interval = "10s" },
    { grpc = "10.0.0.1:9000/health", grpc_use_tls = false, interval = "10s" },
  ]
}
services = [{ name = "queue", port = 5672 }] # example
check {                            # example: of the node, or of a service by service_id
  name = "memory"
  args = ["/usr/local/bin/check_memory", "90"]
  interval = "30s"
  token = ""
}
checks = [                         # example
  { id = "job", name = "nightly job", ttl = "25h", service_id = "web1" },
  { name = "in a container", docker_container_id = "f972c95ebf0e", shell = "/bin/sh", script_args = ["/check"], interval = "1m" },
  { name = "as the web elsewhere", alias_node = "n2", alias_service = "web" },
]

watches = [                        # example
  { type = "key", key = "config/web", args = ["/usr/local/bin/reload_web"] },
  { type = "service", service = "web", handler_type = "http", http_handler_config = { path = "http://10.0.0.1:9000/changed", method = "POST", timeout = "10s" } },
]

# ---- DNS ----------------------------------------------------------------------------------------------

domain = "consul"                  # names end so
alt_domain = ""                    # … or so
recursors = ["10.0.0.53"]          # example; who is asked for other names
recursor = "10.0.0.54"             # example; of old releases: one more
dns_config {
  allow_stale = true               # any server may answer …
  max_stale = "87600h"             # … that heard of the leader so recently
  node_ttl = "0s"
  service_ttl { "*" = "0s" }       # by name, by prefix ("web*"), or for all
  only_passing = false             # instances that warn are left out, too
  enable_truncate = false          # the flag TC tells that something was left out
  udp_answer_limit = 3
  a_record_limit = 0               # 0: all
  disable_compression = false
  enable_additional_node_meta_txt = true
  recursor_strategy = "sequential" # or "random"
  recursor_timeout = "2s"
  use_cache = false
  cache_max_age = "0s"
  prefer_namespace = false         # Enterprise
  soa {
    refresh = 3600
    retry = 600
    expire = 86400
    min_ttl = 0
  }
}

# ---- Logs, and what is told of the agent --------------------------------------------------------------

log_level = "INFO"                 # TRACE, DEBUG, INFO, WARN, ERR
log_json = false                   # one JSON object a line
log_file = ""                      # a file or a folder; default: standard error only
log_rotate_bytes = 0               # a new file after so many; 0: no limit
log_rotate_duration = "24h"        # a new file after so long
log_rotate_max_files = 0           # older ones are removed; 0: none is, -1: all are
enable_syslog = false              # true is refused: not built
syslog_facility = "LOCAL0"
pid_file = ""                      # written while the agent runs
enable_debug = false               # profiles are not served
telemetry {
  prometheus_retention_time = "0s" # figures are at /v1/agent/metrics
  metrics_prefix = "consul"
  disable_hostname = false
  prefix_filter = []
  filter_default = true
  "disable_compat_1.9" = false
  statsd_address = ""
  statsite_address = ""
  dogstatsd_addr = ""
  dogstatsd_tags = []
  circonus_api_app = ""
  circonus_api_token = ""
  circonus_api_url = ""
  circonus_broker_id = ""
  circonus_broker_select_tag = ""
  circonus_check_display_name = ""
  circonus_check_force_metric_activation = ""
  circonus_check_id = ""
  circonus_check_instance_id = ""
  circonus_check_search_tag = ""
  circonus_check_tags = ""
  circonus_submission_interval = ""
  circonus_submission_url = ""
}

# ---- Security that is not built -----------------------------------------------------------------------
# Refused as soon as it is switched on, so that nobody believes to be protected.

acl {
  enabled = false
  default_policy = ""
  down_policy = ""
  disabled_ttl = ""
  policy_ttl = ""
  role_ttl = ""
  token_ttl = ""
  enable_key_list_policy = false
  enable_token_persistence = false
  enable_token_replication = false
  msp_disable_bootstrap = false
  tokens {
    agent = ""
    agent_master = ""
    agent_recovery = ""
    default = ""
    initial_management = ""
    managed_service_provider = []
    master = ""
    replication = ""
  }
}
tls {}
ca_file = ""
ca_path = ""
cert_file = ""
key_file = ""
server_name = ""
tls_cipher_suites = ""
tls_min_version = ""
tls_prefer_server_cipher_suites = false
verify_incoming = false
verify_incoming_https = false
verify_incoming_rpc = false
verify_outgoing = false
verify_server_hostname = false
enable_agent_tls_for_checks = false
serf_lan_allowed_cidrs = []
serf_wan_allowed_cidrs = []
auto_encrypt {
  tls = false
  allow_tls = false
  dns_san = []
  ip_san = []
}
auto_config {
  enabled = false
  authorization {}
  dns_sans = []
  ip_sans = []
  intro_token = ""
  intro_token_file = ""
  server_addresses = []
}

# ---- Taken without effect -----------------------------------------------------------------------------
# Of these the agent warns, where they would do something in Consul.

connect {
  enabled = false
  ca_provider = ""
  ca_config {}
  enable_mesh_gateway_wan_federation = false
}
config_entries {}
enable_central_service_config = true
primary_gateways = []
primary_gateways_interval = ""
peering {}
cache {
  entry_fetch_max_burst = 2
  entry_fetch_rate = 1.5
}
rpc { enable_streaming = true }
use_streaming_backend = true
unix_sockets {
  user = ""
  group = ""
  mode = ""
}
disable_anonymous_signature = false
disable_http_unprintable_char_filter = false
disable_remote_exec = true         # remote execution is not built
disable_update_check = true        # none is ever made
advertise_reconnect_timeout = ""
protocol = 2
server_rejoin_age_max = ""
tagged_addresses {}
segment = ""                       # Enterprise, and so are the next three
segments = []
audit {}
license_path = ""
cloud {}
reporting {}

# ---- Old names ----------------------------------------------------------------------------------------

ui = false                         # ui_config.enabled
ui_content_path = ""               # ui_config.content_path
ui_dir = ""                        # ui_config.dir
http_api_response_headers {}       # http_config.response_headers
non_voting_server = false          # read_replica
statsd_addr = ""                   # telemetry.statsd_address
statsite_addr = ""                 # telemetry.statsite_address
statsite_prefix = ""               # telemetry.metrics_prefix
acl_agent_master_token = ""        # acl.tokens.agent_master, and so on
acl_agent_token = ""
acl_datacenter = ""
acl_default_policy = ""
acl_down_policy = ""
acl_enable_key_list_policy = false
acl_enforce_version_8 = false
acl_master_token = ""
acl_replication_token = ""
acl_token = ""
acl_ttl = ""
enable_acl_replication = false
atlas_acl_token = ""               # Atlas is no more
atlas_infrastructure = ""
atlas_join = false
atlas_token = ""
