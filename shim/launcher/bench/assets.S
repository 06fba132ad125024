/*
 * Files that the command carries in itself: the page of a bench, and the library that draws on it.
 * Their paths come from CMake.
 */
        .section .rodata
        .balign 16
        .globl  crn_bench_page_begin, crn_bench_page_end
        .globl  crn_bench_chart_begin, crn_bench_chart_end
crn_bench_page_begin:
        .incbin CORONER_BENCH_PAGE
crn_bench_page_end:
crn_bench_chart_begin:
        .incbin CORONER_BENCH_CHART
crn_bench_chart_end:
        .section .note.GNU-stack, "", @progbits
