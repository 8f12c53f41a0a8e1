# shellcheck shell=bash
# What holds the API against its description: schemathesis, and the packages of the TypeScript client. Both are
# installed from their lists of exact versions, into folders named after what the lists hold: a checkout with other
# versions gets folders of its own, and what is there needs no network.

CLIENTS_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../clients" && pwd)
SCHEMATHESIS_LIST=$CLIENTS_SOURCE/schemathesis/requirements.txt
TYPESCRIPT_DIR=$CLIENTS_SOURCE/typescript
NODE_MAJOR=20

named_after() { cat "$@" | sha256sum | cut -c 1-12; }

SCHEMATHESIS_DIR=$TOOLS_DIR/schemathesis-$(named_after "$SCHEMATHESIS_LIST")
NODE_PACKAGES_DIR=$TOOLS_DIR/typescript-$(named_after "$TYPESCRIPT_DIR/package.json" "$TYPESCRIPT_DIR/package-lock.json")

clients_install() {
    [[ -e $SCHEMATHESIS_DIR/done ]] || schemathesis_install
    [[ -e $NODE_PACKAGES_DIR/done ]] || node_packages_install
}

# three_times NAME COMMAND...: registries are at times out of reach.
three_times() {
    local name=$1 pause
    shift
    for pause in 3 10 0; do
        if "$@" </dev/null >>"$INSTALL_LOG" 2>&1; then return; fi
        sleep "$pause"
    done
    tail -n 15 "$INSTALL_LOG" >&2
    die "$name cannot be installed, see $INSTALL_LOG; try again when its registry answers"
}

schemathesis_install() {
    need python3 python3
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv
    say "installing schemathesis"
    python3 -m venv --clear "$SCHEMATHESIS_DIR" >>"$INSTALL_LOG" 2>&1 || die "no Python environment, see $INSTALL_LOG"
    three_times schemathesis env PIP_DISABLE_PIP_VERSION_CHECK=1 timeout 600 \
        "$SCHEMATHESIS_DIR/bin/python" -m pip install --no-deps --requirement "$SCHEMATHESIS_LIST"
    touch "$SCHEMATHESIS_DIR/done"
}

node_packages_install() {
    local version
    need node nodejs
    need npm npm
    version=$(node -p 'process.versions.node')
    ((${version%%.*} >= NODE_MAJOR)) || die "Node $version is too old; install Node $NODE_MAJOR or newer"
    say "installing the packages of the TypeScript client"
    mkdir -p "$NODE_PACKAGES_DIR"
    cp "$TYPESCRIPT_DIR/package.json" "$TYPESCRIPT_DIR/package-lock.json" "$NODE_PACKAGES_DIR/"
    three_times "the TypeScript client" timeout 600 \
        npm ci --prefix "$NODE_PACKAGES_DIR" --ignore-scripts --no-audit --no-fund
    touch "$NODE_PACKAGES_DIR/done"
}
