# shellcheck shell=bash
# Installing what is missing: distribution packages through apt, wheels through pip.

INSTALL_LOG=$SERVICES_DIR/install.log

# as_root COMMAND...: directly when root, else through a sudo that asks nothing.
as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# apt_install PACKAGE...: installs without letting the packages start their own system services.
apt_install() {
    local remedy="install it yourself: apt-get install $*" policy=/usr/sbin/policy-rc.d ours="" status=0
    command -v apt-get >/dev/null || die "missing: $*; no apt-get here, $remedy"
    as_root true 2>/dev/null || die "missing: $*; not root and no password-free sudo, $remedy"
    say "installing $*"
    if [[ ! -e $policy ]]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt_get update || say "apt-get update failed; trying with the package lists at hand"
    apt_get install -y --no-install-recommends "$@" || status=$?
    if [[ -n $ours ]]; then
        as_root rm -f "$policy"
        trap - EXIT
    fi
    if ((status != 0)); then
        tail -n 15 "$INSTALL_LOG" >&2
        die "apt-get failed, see $INSTALL_LOG; $remedy"
    fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        timeout 600 apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$INSTALL_LOG" 2>&1
}

# need COMMAND PACKAGE: makes sure a command exists.
need() {
    command -v "$1" >/dev/null || apt_install "$2"
}

# python_pip ARGUMENT...: pip of the installed Python, or of a private environment when it has none.
python_pip() {
    local python=python3
    need python3 python3
    if ! python3 -m pip --version >/dev/null 2>&1; then
        python=$TOOLS_DIR/python/bin/python
        if [[ ! -x $python ]]; then
            python3 -m venv "$TOOLS_DIR/python" >/dev/null 2>&1 || {
                apt_install python3-venv
                python3 -m venv --clear "$TOOLS_DIR/python" >&2
            }
        fi
    fi
    PIP_DISABLE_PIP_VERSION_CHECK=1 timeout 600 "$python" -m pip "$@" </dev/null >&2
}
