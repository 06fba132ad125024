#!/usr/bin/env bash
# Short-lived children, as shells make them; prints how many, and run.sh measures the whole.
#
# usage: children exec | subshells | configure
#
#   exec        500 times a program that ends at once: what make and shell scripts do all day
#   subshells   500 forks of the shell that end at once
#   configure   40 checks as configure scripts make them: a source file written, compiled and
#               removed, and sed, grep and expr in between
set -u

case ${1:?usage: children exec|subshells|configure} in
exec)
    for ((i = 0; i < 500; i++)); do /bin/true; done
    echo "children $i n"
    ;;
subshells)
    for ((i = 0; i < 500; i++)); do (:); done
    echo "children $i n"
    ;;
configure)
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' EXIT
    cd "$directory" || exit 1
    for ((i = 0; i < 40; i++)); do
        name=$(echo "have function_$i" | sed 's/[^a-z0-9]/_/g')
        cat >conftest.c <<END
int $name(void);
int main(void) { return $name != 0; }
END
        grep -q main conftest.c && expr "$name" : 'have_.*' >/dev/null &&
            cc -c conftest.c -o conftest.o && test -s conftest.o || exit 1
        rm -f conftest.c conftest.o
    done
    echo "children $i n"
    ;;
*)
    exit 2
    ;;
esac
