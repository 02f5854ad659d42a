#!/bin/sh
# Installs the library, the header and the file for pkg-config, on Linux:
#
#   ./install.sh PREFIX           builds the library first, with cargo
#   ./install.sh PREFIX FOLDER    takes libdisband_c.so and libdisband_c.a from FOLDER
#
# If DESTDIR is set, the files are written below it, and PREFIX is where they will be in the end.
set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: install.sh PREFIX [FOLDER]" >&2
    exit 2
fi
absolute() {
    case $1 in
        /*) echo "$1" ;;
        *) echo "$PWD/$1" ;;
    esac
}
prefix=$(absolute "$1")
built=${2:+$(absolute "$2")}
cd "$(dirname "$0")"

if [ -z "$built" ]; then
    target=${CARGO_TARGET_DIR:-$PWD/../../target}
    cargo build --locked --release -p disband-c --target-dir "$target"
    built=$target/release
fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
compatible=${version%.*}
root=${DESTDIR:-}$prefix
install -d "$root/include" "$root/lib/pkgconfig"
install -m 644 include/disband.h "$root/include/disband.h"
install -m 644 "$built/libdisband_c.a" "$root/lib/libdisband.a"
install -m 755 "$built/libdisband_c.so" "$root/lib/libdisband.so.$version"
ln -sf "libdisband.so.$version" "$root/lib/libdisband.so.$compatible"
ln -sf "libdisband.so.$compatible" "$root/lib/libdisband.so"
cat > "$root/lib/pkgconfig/disband.pc" <<END
prefix=$prefix
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: disband
Description: Group membership as a state machine
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -ldisband
Libs.private: -lpthread -ldl -lm
END
