#!/usr/bin/env bash
# What Coroner costs: every program under every version, in turn, and one table of medians.
#
# usage: run.sh BUILD [ROUNDS [PROGRAM...]]
#
# A round runs A B C D A B C D …, never A A A B B B, so that what else the machine does strikes all
# alike; round 0 is the warm-up and does not count.  README.md says what each figure means.
set -u

# Programs: what to run, and where its figure comes from: what it prints (alone: without the
# versions, since the engine is linked in), Coroner's report, or the time that the whole took,
# launcher and report included, by the number that it prints (cpu, wall) or by 50 starts of it
# (starts).
programs=(
    "churn                 printed"
    "deep_stack            printed"
    "threads               printed"
    "threads:1             printed"
    "realloc_growth        printed"
    "ten_thousand          printed"
    "empty                 printed"
    "empty:child           starts"
    "children:exec         cpu"
    "children:exec         wall"
    "children:subshells    cpu"
    "children:subshells    wall"
    "children:configure    cpu"
    "children:configure    wall"
    "capture:0             alone"
    "capture:2             alone"
    "capture:10            alone"
    "liveness:first        alone"
    "liveness:again        alone"
    "small_rss             printed"
    "distinct_stacks       printed"
    "four_million:order    check_s"
    "four_million:tree     check_s"
    "four_million:list     check_s"
    "four_million:lost     check_s"
    "random_graph:live     check_s"
    "frames:live           check_s"
    "frames:abandoned      check_s"
    "frames:memory         printed"
    "suspended:ucontext:live       check_s"
    "suspended:ucontext:abandoned  check_s"
    "suspended:switched:live       check_s"
    "probes:switch                 printed"
    "probes:scope:10000000         printed"
    "probes:scope:1000000000       printed"
    "probes:tracked:1000000        printed"
)
# Versions: how to start a program.  `coroner run` leaves to the launcher what happens after the
# program's end, so that a program's own clock sees the program only.
versions=(glibc jemalloc off full)
start() {
    case $1 in
    glibc) "${@:2}" ;;
    jemalloc) LD_PRELOAD=$jemalloc "${@:2}" ;;
    off | full)
        "$build/coroner" run "--stacks=$1" --error-exitcode=0 --format="$format" \
            --output="$work/report.json" -- "${@:2}"
        ;;
    esac
}

default_rounds=7
limit_s=270   # no round starts after this
starts=50     # of a program whose start is the figure
noisy=0.15    # the middle half of a figure's samples spreads over more than this part of the median

build=$(cd "${1:?usage: run.sh BUILD [ROUNDS [PROGRAM...]]}" && pwd) || exit 2
rounds=${2:-$default_rounds}
only=" ${*:3} "
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The very jemalloc that Coroner uses.
jemalloc=$(ldd "$build/libcoroner.so" | awk '/libjemalloc/ { print $3 }')
[[ -r $jemalloc ]] || { echo "bench: no jemalloc found beside $build/libcoroner.so" >&2; exit 1; }

# Starts a program once, or as often as its start is measured.
run_often() {
    local count=1
    [[ $1 == starts ]] && count=$starts && echo "empty $starts n"
    while ((count-- > 0)); do
        start "${@:2}" || return
    done
}

# Prints the figure of one run as "row version value unit".
TIMEFORMAT='%3R %3U %3S'
sample() {
    local program=$1 source=$2 version=$3 value unit format=json
    local words=("$build/bench/${program%%:*}")
    local arguments=${program#"${program%%:*}"}
    words+=(${arguments//:/ })
    [[ $source == cpu || $source == wall || $source == starts ]] && format=text # as users do
    { time run_often "$source" "$version" "${words[@]}" >"$work/printed" 2>"$work/said"; } \
        2>"$work/took" ||
        { echo "bench: $program failed under $version:" >&2; cat "$work/said" >&2; return 1; }
    case $source in
    printed | alone) read -r _ value unit <"$work/printed" && echo "$program $version $value $unit" ;;
    cpu | wall | starts)
        value=$(awk -v source="$source" -v starts="$starts" 'NR == FNR { count = $2; next }
            source == "starts" { count = starts }
            { print 1000 * (source == "cpu" ? $2 + $3 : $1) / count }
            ' "$work/printed" "$work/took")
        echo "$program:$source $version $value ms"
        ;;
    *)
        value=$(grep -oE "\"$source\": *[0-9.e+-]+" "$work/report.json" | grep -oE '[0-9.e+-]+$')
        echo "$program $version $value s"
        ;;
    esac
}

# Every program under every version once; the warm-up, round 0, leaves out the checks.
round() {
    local row program source version
    for row in "${programs[@]}"; do
        read -r program source <<<"$row"
        [[ $only == "  " || $only == *" ${program%%:*} "* ]] || continue
        for version in "${versions[@]}"; do
            [[ $source == alone && $version != glibc ]] && continue
            [[ $source == check_s && ($version != off && $version != full || $1 == 0) ]] && continue
            sample "$program" "$source" "$version" || exit 1
        done
    done
}

# Medians, ratios, and how far to trust them.
table() {
    awk -v noisy="$noisy" -v rounds="$1" '
        function sorted(key,    i, j, held) {
            for (i = 2; i <= count[key]; i++) {
                held = value[key, i]
                for (j = i; j > 1 && value[key, j - 1] > held; j--)
                    value[key, j] = value[key, j - 1]
                value[key, j] = held
            }
        }
        function rank(key, part) { return value[key, int((count[key] - 1) * part + 1.5)] }
        function figure(key,    middle, mark) {
            if (!(key in count))
                return "-"
            middle = rank(key, 0.5)
            figures++
            mark = rank(key, 0.75) - rank(key, 0.25) > noisy * middle ? "~" : ""
            spread += mark == "~"
            if (unit[key] == "ns" && middle >= 10000)
                middle /= 1000
            return mark sprintf(middle < 10 ? "%.3f" : middle < 1000 ? "%.1f" : "%.0f", middle)
        }
        function ratio(above, below) {
            if (!(above in count) || !(below in count))
                return "-"
            return sprintf("%.2f", rank(above, 0.5) / rank(below, 0.5))
        }
        {
            if (!($1 in seen)) { seen[$1] = 1; row[++rows] = $1 }
            key = $1 " " $2
            value[key, ++count[key]] = $3
            unit[key] = unit[$1] = $4
        }
        END {
            for (key in count) sorted(key)
            line = "%-18s %-4s %9s %9s  %9s %7s %9s  %9s %7s %9s\n"
            printf line, "program", "unit", "glibc", "jemalloc", "no stacks", "/glibc", "/jemalloc",
                "stacks", "/glibc", "/jemalloc"
            for (i = 1; i <= rows; i++) {
                r = row[i]; g = r " glibc"; j = r " jemalloc"; o = r " off"; f = r " full"
                u = unit[r] == "ns" && o in count && rank(o, 0.5) >= 10000 ? "us" : unit[r]
                printf line, r, u, figure(g), figure(j), figure(o), ratio(o, g), ratio(o, j),
                    figure(f), ratio(f, g), ratio(f, j)
            }
            printf "\nMedians of %d rounds.", rounds
            if (spread > 0)
                printf " ~ marks %d of %d figures whose samples spread over more than %d %%.",
                    spread, figures, noisy * 100
            printf "\n"
            if (spread > figures / 4)
                print "The machine was too noisy for these figures: run it again."
        }' "$work/samples"
}

round 0 >/dev/null || exit 1
: >"$work/samples"
done_rounds=0
for ((n = 1; n <= rounds && SECONDS < limit_s * n / (n + 1); n++)); do
    round "$n" >>"$work/samples" || exit 1
    ((done_rounds = n))
done
((done_rounds > 0)) || { echo "bench: one round took more than $limit_s s" >&2; exit 1; }
table "$done_rounds"
((done_rounds == rounds)) || echo "Stopped after $done_rounds of $rounds rounds to stay under 5 minutes."
sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | sort | uniq -c | sed 's/^ *\([0-9]*\) /\1 x /'
