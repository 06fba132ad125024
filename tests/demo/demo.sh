#!/usr/bin/env bash
# What `./dev demo` shows: an existing program watched, and a planted leak that others miss.
#
# usage: demo.sh BUILD
set -u
build=$(cd "$1" && pwd)
coroner=$build/coroner
server=$build/tests/demo/job-server
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

headline() {
    printf '\n== %s\n' "$1"
}

# Shows a command line as a person would type it, runs it, and shows how it ended; answers that.
show() {
    local status
    local words="$*"
    words=${words//$build\//}
    printf '$ %s\n' "${words//tests\/demo\//./}"
    "$@" 2>&1 | grep -v '^==[0-9]*== *$'
    status=${PIPESTATUS[0]}
    printf '(exit status %d)\n' "$status"
    return "$status"
}

headline "An existing coroutine program, unmodified: qemu-img"
head -c 6000000 /dev/urandom >disk.raw
show "$coroner" run -- qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2 || exit 1
echo "(--coroutines lists them all)"

headline "A planted leak: a job server whose finished jobs wait in a pool"
show "$server"

headline "What Valgrind finds in it"
if command -v valgrind >/dev/null; then
    show valgrind --leak-check=full --show-leak-kinds=definite,indirect,possible "$server"
else
    echo "(valgrind is not installed)"
fi

headline "What LeakSanitizer finds in it"
if [[ -x $server-lsan ]]; then
    show "$server-lsan"
else
    echo "(clang is not installed)"
fi

headline "What Coroner finds in it"
show "$coroner" run -- "$server"
(($? == 23)) || { echo "demo: Coroner did not find the planted leak" >&2; exit 1; }
