# What the scripts need of the machine, installed from Debian's packages where it is missing. To be sourced.

# install_packages WHY PACKAGE...: as root, through sudo, or not at all with a message that says what to do.
install_packages() {
    local why=$1 as_root=()
    shift
    if ! command -v apt-get >/dev/null; then
        echo "error: $why needs these packages, and there is no apt-get to install them with: $*" >&2
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "error: $why needs packages; install them as root: apt-get install $*" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "installing for $why: $*" >&2
    "${as_root[@]}" apt-get -qq update >/dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" >/dev/null
}

# need_build_tools: cargo must be there already; a C compiler is installed.
need_build_tools() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null; then
        echo "error: there is no cargo; install Rust (rustup.rs) and try again" >&2
        return 1
    fi
    command -v cc >/dev/null || install_packages "building the bridge" gcc libc6-dev
}

# need_python: Python 3 that can make virtual environments.
need_python() {
    if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        install_packages "running Synapse" python3 python3-venv
    fi
}

# need_postgres: the server's programs, in PATH or where Debian puts them.
need_postgres() {
    command -v initdb >/dev/null && return
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
    install_packages "the tests on Postgres" postgresql
}
