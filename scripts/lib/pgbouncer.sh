# shellcheck shell=bash
# One private PgBouncer that pools transactions, in front of whichever PostgreSQL the tests use.

pgbouncer_install() {
    PATH=$PATH:/usr/sbin # not on everybody's path
    need pgbouncer pgbouncer
}

pgbouncer_start() {
    local dir=$SERVICES_DIR/pgbouncer url server user password port
    url=$(url_of postgres)
    url=${url#*://}
    server=${url#*@}
    server=${server%%[/?]*}
    user=${url%%@*}
    password=
    if [[ $user == *:* ]]; then password=" password=${user#*:}"; fi
    port=5432
    if [[ $server == *:* ]]; then port=${server##*:}; fi
    service_dir "$dir"
    claim_port pgbouncer
    # What a client asks for when it connects is refused, as by default, but for what sqlx always says.
    # Tests drop their databases: idle connections to those are not kept.
    cat >"$dir/pgbouncer.ini" <<CONFIG
[databases]
* = host=${server%:*} port=$port user=${user%%:*}$password
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $(port_of pgbouncer)
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 10
max_client_conn = 2000
server_idle_timeout = 5
autodb_idle_timeout = 10
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
CONFIG
    if ((EUID == 0)); then chown "$SERVICE_UID:$SERVICE_GID" "$dir/pgbouncer.ini"; fi
    chmod 600 "$dir/pgbouncer.ini"
    spawn pgbouncer "$(command -v pgbouncer)" "$dir/pgbouncer.ini"
}

# It answers a request for TLS with a plain no, whatever becomes of the server behind it.
pgbouncer_answers() { exchange "$(port_of pgbouncer)" '\x00\x00\x00\x08\x04\xd2\x16\x2f' 'N*'; }
pgbouncer_stop() { stop_process pgbouncer TERM 15; }
pgbouncer_url() { printf 'postgres://postgres@127.0.0.1:%s/postgres\n' "$(port_of pgbouncer)"; }
