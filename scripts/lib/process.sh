# shellcheck shell=bash
# Daemons: start one, recognise it later beyond doubt, stop it. One state file per process.

# identity PID: prints "pid start-time boot-id"; fails when the process is gone or a zombie.
# A recycled pid has another start time, so we never signal a stranger.
identity() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} != [ZX] ]] || return 1
    printf '%s %s %s\n' "$1" "${fields[19]}" "$(</proc/sys/kernel/random/boot_id)"
}

# recorded_pid FILE: prints the pid recorded in an identity file if that very process still lives.
recorded_pid() {
    local pid rest
    read -r pid rest 2>/dev/null <"$1" || return 1
    [[ $(identity "$pid") == "$pid $rest" ]] || return 1
    printf '%s\n' "$pid"
}

process_pid() { recorded_pid "$STATE_DIR/$1.pid"; }
is_running() { process_pid "$1" >/dev/null; }
is_stopped() { ! is_running "$1"; }
log_file() { printf '%s\n' "$SERVICES_DIR/$1.log"; }

# spawn NAME COMMAND...: starts a daemon in its own session and records who it is.
# Every inherited descriptor is closed: a daemon must hold neither our lock nor a caller's pipe.
spawn() {
    local name=$1 log
    shift
    log=$(log_file "$name")
    (
        cd "$SERVICES_DIR" || exit
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            if ((fd > 2)); then eval "exec $fd>&-"; fi
        done
        if ((EUID == 0)); then
            exec setsid setpriv --reuid="$SERVICE_UID" --regid="$SERVICE_GID" --clear-groups -- "$@"
        fi
        exec setsid "$@"
    ) </dev/null >>"$log" 2>&1 &
    identity "$!" >"$STATE_DIR/$name.pid" || die "$name ended at once; see $log"
}

# stop_process NAME SIGNAL SECONDS: asks politely, then kills.
stop_process() {
    local name=$1 pid
    if pid=$(process_pid "$name"); then
        kill -s "$2" "$pid" 2>/dev/null || true
        if ! wait_until "$3" is_stopped "$name"; then
            say "$name (pid $pid) ignored SIG$2 for $3 s; killing it"
            kill -s KILL "$pid" 2>/dev/null || true
            wait_until 10 is_stopped "$name" || die "$name (pid $pid) does not die; look at: ps -fp $pid"
        fi
    fi
    rm -f "$STATE_DIR/$name.pid"
}
