# shellcheck shell=bash
# One private Redis, in memory only.

redis_install() { need redis-server redis-server; }

redis_start() {
    local dir=$SERVICES_DIR/redis
    service_dir "$dir"
    claim_port redis
    spawn redis redis-server --bind 127.0.0.1 --port "$(port_of redis)" --dir "$dir" \
        --save '' --appendonly no --daemonize no
}

redis_answers() { exchange "$(port_of redis)" 'PING\r\n' '+PON'; }
redis_stop() { stop_process redis TERM 15; }
redis_url() { printf 'redis://127.0.0.1:%s\n' "$(port_of redis)"; }
