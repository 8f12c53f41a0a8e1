# shellcheck shell=bash
# TCP ports: each daemon keeps one while it is free, and gets another when somebody took it.

# Free: nobody listens on it or is connected from it. Connections still closing do not matter.
port_is_free() {
    ! grep -Eqi "^ *[0-9]+: [0-9a-f]+:$(printf '%04X' "$1") [0-9a-f]+:[0-9a-f]+ (01|02|0A) " \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# port_of NAME: prints the port last claimed.
port_of() { cat "$STATE_DIR/$1.port" 2>/dev/null; }

# claim_port NAME: keeps the remembered port or picks a new one, and remembers it. The range lies
# below the usual ephemeral ports, so no outgoing connection takes it while a server restarts.
claim_port() {
    local port
    port=$(port_of "$1") || port=
    if [[ -z $port ]] || ! wait_until 3 port_is_free "$port"; then
        for _ in {1..200}; do
            port=$((20000 + RANDOM % 10000))
            if port_is_free "$port"; then break; fi
        done
    fi
    printf '%s\n' "$port" >"$STATE_DIR/$1.port"
}

# exchange PORT REQUEST PATTERN: sends printf-escaped bytes to the port, matches the first answer.
exchange() {
    local answer="" socket
    { exec {socket}<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
    # shellcheck disable=SC2059 # the request is a format on purpose: it carries \x escapes
    { printf "$2" >&"$socket"; } 2>/dev/null || true
    LC_ALL=C read -r -t 2 -n 4 -u "$socket" answer 2>/dev/null || true
    exec {socket}>&-
    # shellcheck disable=SC2053 # a glob
    [[ $answer == $3 ]]
}
