# For the RUN lines of sanitized.c: `compare COMPILER…` builds the program with that, runs it without
# Coroner, under `coroner run` and under a plain preload, and prints how they differ.
compare() {
    "$@" -g -w -pthread "$SOURCE" -o prog || return
    ./prog faulty >plain.out 2>plain.err
    status=$?
    coroner run ./prog faulty >run.out 2>run.err
    echo "run: status $(($? - status)) from plain"
    (LD_PRELOAD=$SHIM exec ./prog faulty) >preload.out 2>preload.err
    echo "preload: status $(($? - status)) from plain"
    sed -Ei 's/0x[0-9a-f]+|[0-9]{2,}//g' ./*.err # addresses and process ids
    for way in run preload; do
        cmp plain.out $way.out
        sed -n '1s/^[^:]*: [^:]*: //p' $way.err
        tail -n +2 $way.err | diff plain.err -
    done
}
