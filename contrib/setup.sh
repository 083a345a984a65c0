# Sourced by the other scripts: what a fresh Debian 12 lacks, and how it gets it.

# What building takes; and what checking takes beside it.
build_packages="gcc libc6-dev meson ninja-build pkgconf libuv1-dev libssl-dev libc-ares-dev
    libjansson-dev libcurl4-openssl-dev libhttp-parser-dev libsqlite3-dev libsystemd-dev zlib1g-dev
    libcmocka-dev uthash-dev python3 ca-certificates curl"
check_packages="clang libclang-rt-14-dev llvm clang-format gcc-arm-none-eabi
    libnewlib-arm-none-eabi openssl gnutls-bin chromium git openssh-client openssh-server
    zsh fish man-db mandoc"

# install_packages PACKAGE...: by apt-get, as root or with sudo; only what is missing.
install_packages() {
    local package missing=() as_root=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This isn't Debian: the packages needed there are called" "$@"
        return 0
    fi
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Some packages are missing, and this is neither root nor is there sudo. Run as root:" >&2
            echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}"
    # Lists that are there may be old, or not be there at all: asked for anew.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
            -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" >/dev/null
}

# configure FOLDER OPTION...: meson's setup, or its options once more where the folder is set up.
configure() {
    local folder=$1
    shift
    if [ -f "$folder/build.ninja" ]; then
        meson setup --reconfigure "$folder" "$@" >"$folder.log" 2>&1 && return 0
        rm -rf "$folder" # made by another version, or for another compiler
    fi
    mkdir -p "$(dirname "$folder")"
    meson setup "$folder" "$@" >"$folder.log" 2>&1 || {
        cat "$folder.log" >&2
        return 1
    }
}
