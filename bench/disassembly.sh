#!/usr/bin/env bash
# How large the hot functions are: what the compiler made of them, counted in the disassembly.
#
# usage: disassembly.sh BUILD
#
# Counts what stands in line, in whichever order it runs; what the compiler moved to the cold part
# of the library is counted by bytes alone.  Calls: tail calls too.  Atomic: with a lock prefix, or
# xchg with memory.
set -u

# Functions, as they are called in the source.
functions=(malloc free calloc realloc "operator new(unsigned long)" "operator delete(void*)"
    "operator delete(void*, unsigned long)" crn_shim_capture crn_stack_capture)

library=${1:?usage: disassembly.sh BUILD}/libcoroner.so
[[ -r $library ]] || { echo "disassembly: no $library" >&2; exit 2; }

# Prints "address bytes" of a function, in hexadecimal; nothing when there is none of that name.
place() {
    nm --demangle --print-size --defined-only "$library" |
        awk -v name="$1" '{ address = $1; bytes = $2; sub(/^[^ ]+ [^ ]+ [^ ]+ /, "") }
            $0 == name { print address, bytes; exit }'
}

printf '%-40s %6s %12s %6s %7s %10s %6s\n' function bytes instructions calls atomic divisions cold
for function in "${functions[@]}"; do
    read -r address bytes <<<"$(place "$function")"
    [[ $address ]] || { printf '%-40s %6s\n' "$function" inline; continue; }
    read -r _ cold <<<"$(place "$function [clone .cold]") "
    [[ $cold ]] || read -r _ cold <<<"$(place "$function.cold") "
    objdump -d --no-show-raw-insn --start-address="0x$address" \
        --stop-address="$((16#$address + 16#$bytes))" "$library" |
        awk -F'\t' -v name="$function" -v bytes="$((16#$bytes))" -v cold="$((16#${cold:-0}))" '
            /^ +[0-9a-f]+:\t/ {
                instructions++
                calls += $2 ~ /^(bnd |notrack )?(call|jmp +\*)/ ||
                    ($2 ~ /^j[a-z]+ .*<[^+]*>$/ && $2 !~ /cold/)
                atomic += $2 ~ /^lock / || $2 ~ /^xchg.*\(/
                divisions += $2 ~ /^i?div[bwlq]? /
            }
            END {
                printf "%-40s %6d %12d %6d %7d %10d %6d\n", name, bytes, instructions, calls,
                    atomic, divisions, cold
            }'
done
