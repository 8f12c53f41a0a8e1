# shellcheck shell=bash
# One private RabbitMQ, with a private Erlang port mapper (epmd) that is stopped with it.

# Debian's /usr/sbin/rabbitmq-server insists on its own system account; this is the real script.
rabbitmq_script() {
    local script
    for script in /usr/lib/rabbitmq/bin/rabbitmq-server "$(command -v rabbitmq-server)"; do
        if [[ -x $script ]]; then
            printf '%s\n' "$script"
            return
        fi
    done
    return 1
}

rabbitmq_install() { rabbitmq_script >/dev/null || apt_install rabbitmq-server; }

rabbitmq_start() {
    local dir=$SERVICES_DIR/rabbitmq port
    service_dir "$dir"
    claim_port epmd
    claim_port rabbitmq-distribution
    claim_port rabbitmq
    port=$(port_of rabbitmq)
    printf 'listeners.tcp.1 = 127.0.0.1:%s\n' "$port" | as_service_user tee "$dir/rabbitmq.conf" >/dev/null

    # Started by us rather than by Erlang, so that we know its pid.
    spawn epmd env HOME="$dir" epmd -port "$(port_of epmd)" -address 127.0.0.1
    wait_until 10 epmd_answers || return 0

    # RUNNING_UNDER_SYSTEMD makes the script exec Erlang: the pid we record is the broker's.
    # +sbwt none: idle schedulers must not spin on the cores the tests need.
    spawn rabbitmq env HOME="$dir" RUNNING_UNDER_SYSTEMD=true \
        ERL_EPMD_PORT="$(port_of epmd)" ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_NODENAME="metachat-jobs-$port@localhost" \
        RABBITMQ_DIST_PORT="$(port_of rabbitmq-distribution)" \
        RABBITMQ_MNESIA_BASE="$dir/mnesia" RABBITMQ_LOG_BASE="$dir/log" RABBITMQ_LOGS=- \
        RABBITMQ_CONF_ENV_FILE="$dir/no-env.conf" RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
        RABBITMQ_ADVANCED_CONFIG_FILE="$dir/no-advanced.config" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/no-plugins" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}" \
        "$(rabbitmq_script)"
}

epmd_answers() { { : <>"/dev/tcp/127.0.0.1/$(port_of epmd)"; } 2>/dev/null; }
rabbitmq_answers() { exchange "$(port_of rabbitmq)" 'AMQP\x00\x00\x09\x01' $'\x01*'; }

rabbitmq_stop() {
    stop_process rabbitmq TERM 30
    stop_process epmd TERM 10
}

rabbitmq_url() { printf 'amqp://guest:guest@127.0.0.1:%s/%%2f\n' "$(port_of rabbitmq)"; }
