# shellcheck shell=bash
# Ground shared by every script: folders, messages, locks, and the account servers run under.

# Everything the services need lives in one folder: unpacked tools, server data, state.
# Root keeps it outside its home, because PostgreSQL must run as another user who has to reach it.
if [[ -n ${METACHAT_JOBS_SERVICES_DIR:-} ]]; then
    SERVICES_DIR=$METACHAT_JOBS_SERVICES_DIR
elif ((EUID == 0)); then
    SERVICES_DIR=/var/tmp/metachat-jobs-services-0
else
    SERVICES_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/metachat-jobs/services
fi
TOOLS_DIR=$SERVICES_DIR/tools
STATE_DIR=$SERVICES_DIR/state
SCRATCH_DIR=$SERVICES_DIR/scratch

# The account servers run under: ourselves, or an unprivileged one when we are root.
if ((EUID == 0)); then SERVICE_USER=nobody; else SERVICE_USER=$(id -un); fi
SERVICE_UID=$(id -u "$SERVICE_USER")
SERVICE_GID=$(id -g "$SERVICE_USER")

say() { printf 'services: %s\n' "$*" >&2; }
die() {
    printf 'services: error: %s\n' "$*" >&2
    exit 1
}

# as_service_user COMMAND...: runs it under the servers' account.
as_service_user() {
    if ((EUID == 0)); then
        setpriv --reuid="$SERVICE_UID" --regid="$SERVICE_GID" --clear-groups -- "$@"
    else
        "$@"
    fi
}

# service_dir PATH [MODE]: makes a folder that belongs to the servers' account.
service_dir() {
    mkdir -p "$1"
    chmod "${2:-700}" "$1"
    if ((EUID == 0)); then chown "$SERVICE_UID:$SERVICE_GID" "$1"; fi
}

# Makes the root folder, and refuses one that another user planted in a shared place.
prepare_services_dir() {
    mkdir -p "$SERVICES_DIR"
    [[ ! -L $SERVICES_DIR && $(stat -c %u "$SERVICES_DIR") == "$EUID" ]] ||
        die "$SERVICES_DIR belongs to another user; remove it or set METACHAT_JOBS_SERVICES_DIR"
    chmod 755 "$SERVICES_DIR"
    mkdir -p "$TOOLS_DIR" "$STATE_DIR"
    service_dir "$SCRATCH_DIR" 755
}

# Serialises everything that changes state; held until this process ends.
take_lock() {
    prepare_services_dir
    exec {LOCK_FD}>"$SERVICES_DIR/lock"
    flock -w 900 "$LOCK_FD" ||
        die "another run has held $SERVICES_DIR/lock for 15 minutes; see who with: fuser $SERVICES_DIR/lock"
}

# wait_until SECONDS COMMAND...: polls the command until it succeeds or time is up.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS >= deadline)); then return 1; fi
        sleep 0.1
    done
}
