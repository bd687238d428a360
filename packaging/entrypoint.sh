#!/bin/sh
# What a container runs: turns the environment that Consul's image knows into the agent's arguments.
# Arguments that begin with a dash are those of the agent; commands of proconsul may be named without it;
# anything else is run as it stands.
set -eu

data=${CONSUL_DATA_DIR:-/consul/data}
config=${CONSUL_CONFIG_DIR:-/consul/config}

# The first address of a network interface.
address_of() {
    found=$(ip -o -4 addr show dev "$1" 2>/dev/null | awk '{ sub("/.*", "", $4); print $4; exit }')
    if [ -z "$found" ]; then
        echo "error: network interface $1 has no IPv4 address" >&2
        exit 1
    fi
    echo "$found"
}

bind='' client=''
if [ -n "${CONSUL_BIND_INTERFACE:-}" ]; then
    bind="-bind=$(address_of "$CONSUL_BIND_INTERFACE")"
fi
if [ -n "${CONSUL_CLIENT_INTERFACE:-}" ]; then
    client="-client=$(address_of "$CONSUL_CLIENT_INTERFACE")"
fi
if [ -n "${CONSUL_LOCAL_CONFIG:-}" ]; then
    printf '%s' "$CONSUL_LOCAL_CONFIG" >"$config/local.json"
fi

case ${1:-} in
-*) set -- agent "$@" ;;
esac
case ${1:-} in
agent)
    shift
    # Flags of the caller come last: the last word on a value counts.
    set -- proconsul agent -data-dir="$data" -config-dir="$config" $bind $client "$@"
    ;;
*)
    if proconsul "${1:-}" -h >/dev/null 2>&1; then
        set -- proconsul "$@"
    fi
    ;;
esac

# Root gives its rights away, except that to ports below 1024 when that is asked for.
if [ "$1" = proconsul ] && [ "$(id -u)" = 0 ] && [ -z "${CONSUL_DISABLE_PERM_MGMT:-}" ]; then
    chown -R consul:consul "$data" "$config"
    if [ -n "${CONSUL_ALLOW_PRIVILEGED_PORTS+set}" ]; then
        setcap cap_net_bind_service=+ep /usr/bin/proconsul
    fi
    set -- su-exec consul:consul "$@"
fi
exec dumb-init -- "$@"
