#ifndef CRN_RECORD_FORMAT_H
#define CRN_RECORD_FORMAT_H
/*
 * The raw recording: what the target writes and the launcher reads.
 *
 * One file holds one process's last check.  Everything is little-endian, naturally aligned and
 * of fixed width; addresses are raw, so that the target needs no symbols:
 *
 *     header | process | strings | modules | nodes | coroutines | leaks | links | findings |
 *                objects | samples | live | memory | places    the sections, in the order of the
 * directory
 *
 * Rows refer to each other by index.  A `string` is an offset into the strings section, where
 * each text ends with a NUL; offset 0 is the empty text and stands for "unknown".
 *
 * A file is written beside its final name and renamed when it is whole, so a reader sees all of
 * it or nothing.  It obeys (see crn_record_open):
 *   R1  magic, version and total_bytes are as the header says; checksum covers all that follows it.
 *   R2  every section lies inside the file, after the header and the sections before it, 8-byte
 *       aligned.
 *   R3  every index is inside its section, every string offset is where a text of its section
 *       begins; node parents come before children.
 *   R4  nothing is told twice: chains share no links, arguments and warnings stand in the order of
 *       their texts.  So what a file makes of its reader grows with the file, not with its square.
 */
#include "base/words.h"

#include <stdint.h>

#define CRN_RECORD_MAGIC "CORONER\x1a"
enum { CRN_RECORD_VERSION = 6 };

enum crn_record_section {
    CRN_SECTION_PROCESS,  /* one struct crn_record_process */
    CRN_SECTION_STRINGS,  /* bytes; begins and ends with a NUL */
    CRN_SECTION_ARGV,     /* uint32_t strings, in order */
    CRN_SECTION_WARNINGS, /* uint32_t strings, in order */
    CRN_SECTION_MODULES,  /* struct crn_record_module, ascending by start */
    CRN_SECTION_NODES,    /* struct crn_record_node; row 0 is the root (no frame) */
    CRN_SECTION_COROS,    /* struct crn_record_coro */
    CRN_SECTION_LEAKS,    /* struct crn_record_leak */
    CRN_SECTION_LINKS,    /* struct crn_record_link: the chains of leaks, findings and live rows */
    CRN_SECTION_FINDINGS, /* struct crn_record_finding */
    CRN_SECTION_OBJECTS,  /* struct crn_record_object: every leaked block, if that was asked for;
                           * of a live check all of them or none */
    CRN_SECTION_SAMPLES,  /* struct crn_record_sample: leaked blocks whose stacks were sampled */
    CRN_SECTION_LIVE, /* struct crn_record_live: the heap that is not leaked, if it was asked for */
    CRN_SECTION_MEMORY, /* struct crn_record_memory; none: nobody looked */
    CRN_SECTION_PLACES, /* struct crn_record_place: what holds leaks that are stale */
    CRN_SECTION_COUNT
};

struct crn_record_extent {
    uint64_t offset; /* bytes from the start of the file */
    uint64_t count;  /* rows (bytes, for strings) */
};

struct crn_record_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes; /* sizeof(struct crn_record_header) of the writer */
    uint64_t total_bytes;  /* of the whole file */
    uint64_t checksum;     /* crn_record_checksum() over [32, total_bytes) */
    struct crn_record_extent sections[CRN_SECTION_COUNT];
};

enum crn_process_flags {
    CRN_PROCESS_CHECKED = 1,    /* a check ran: the summary and the leaks are facts */
    CRN_PROCESS_FIRST = 2,      /* the first process of a plain preload, or PROGRAM itself */
    CRN_PROCESS_FORKED = 4,     /* forked without exec: only its own blocks were judged */
    CRN_PROCESS_INCOMPLETE = 8, /* Coroner stood down; the warnings say why */
    CRN_PROCESS_LIVE = 16,      /* the live rows are all that is not leaked; else nobody looked */
};

/* When a check ran, and why. */
enum crn_check_kind {
    CRN_CHECK_END,    /* the process ended */
    CRN_CHECK_LIVE,   /* somebody outside asked, or a signal, a clock, a size: in a snapshot */
    CRN_CHECK_DEMAND, /* the program asked */
    CRN_CHECK_SCOPE,  /* the same, about a scope */
    CRN_CHECK_KIND_COUNT
};

struct crn_record_process {
    uint32_t pid, parent_pid;
    uint32_t exe; /* string */
    uint32_t flags;
    int32_t exit_code;   /* -1: unknown */
    int32_t exit_signal; /* 0: none */
    uint64_t started_unix_ns;
    uint64_t duration_ns;        /* until it ended, or until the check if it goes on */
    uint32_t check_kind;         /* enum crn_check_kind; only CRN_CHECK_END says how it ended */
    uint32_t check_number;       /* of this process's checks, from 1 */
    uint64_t predicted_pause_ns; /* as it was foreseen; UINT64_MAX: it was not */
    uint64_t copied_bytes; /* that the program wrote while a snapshot stood, hence were copied */
    uint64_t live_blocks, live_bytes;
    uint64_t allocations, frees, peak_bytes;
    uint64_t coroutines_seen;
    uint64_t coroutines[CRN_CORO_STATE_COUNT];
    uint64_t coroutines_resurrected;
    uint64_t unseen_threads;
    uint64_t double_frees; /* frees of blocks freed before, or of what is none */
    uint64_t check_pause_ns, check_ns;
    uint64_t check_bytes; /* the most memory of Coroner's own that a check took beside its usual */
    uint64_t sample_bytes; /* mean of Poisson sampling; 0: stacks were not sampled */
    /* Strings: what the program itself answers to __lsan_default_options and _suppressions. */
    uint32_t options, suppressions;
};

/*
 * A mapped module.  An address A of it lies at file address A - bias, which is what the module's
 * own headers and debug information speak of.
 */
struct crn_record_module {
    uint64_t start, end; /* [start, end) of its mapping, addresses */
    uint64_t bias;
    uint32_t path;     /* string */
    uint32_t build_id; /* string, hexadecimal; 0: none */
};

/* A frame in the calling-context tree: the stack of row i is i, parent(i), ... up to row 0. */
struct crn_record_node {
    uint64_t pc;     /* the return address: look up names at pc - 1, unless CRN_NODE_EXACT */
    uint32_t parent; /* the caller's row, smaller than this one */
    uint32_t flags;
};
enum { CRN_NODE_EXACT = 1 }; /* pc itself was executing (a signal frame's, a created coroutine's) */

/* How old things alike are, in ns; UINT64_MAX: unknown. */
struct crn_record_ages {
    uint64_t oldest_ns, median_ns, youngest_ns;
};

struct crn_record_coro {
    uint64_t id;
    uint32_t mechanism; /* enum crn_mechanism */
    uint32_t state;     /* enum crn_coro_state */
    uint64_t entry;     /* its entry function: names it when `name` is 0; 0: unknown */
    uint32_t name;      /* string */
    uint32_t created_node, suspended_node; /* rows; 0: unknown */
    uint32_t count;         /* coroutines alike (same mechanism, state, entry and stacks); 0: the
                             * row only serves a link, and no list shows it */
    uint64_t stack_bytes;    /* of their stacks or coroutine frames, all of them together */
    uint64_t touched_bytes;  /* resident part of those; UINT64_MAX: unknown */
    uint64_t retained_bytes; /* what only they hold beside those; UINT64_MAX: unknown */
    struct crn_record_ages ages; /* since they were made, or first seen */
};

/* One group of blocks that share verdict, confidence, allocation stack and holder. */
struct crn_record_leak {
    uint32_t verdict;    /* enum crn_verdict, never CRN_VERDICT_LIVE */
    uint32_t confidence; /* enum crn_confidence */
    uint32_t why;        /* string: what proves it, or what had to be guessed */
    uint32_t alloc_node;
    uint32_t coro;       /* row + 1; 0: none */
    uint32_t coro_count; /* how many coroutines like it hold blocks of this group */
    uint32_t first_link, link_count; /* its chain, root first; none for `lost` */
    uint64_t blocks, bytes;          /* the direct ones; exact sizes */
    uint64_t indirect_blocks, indirect_bytes;
    uint64_t retained_bytes;
    struct crn_record_ages ages; /* of the direct ones */
    uint64_t example; /* the address of one of the blocks */
    uint32_t place;   /* row + 1, of a dead word that holds it; 0: none */
    uint32_t reserved;
};

/* A slot or register of call frames that their function will not read again. */
struct crn_record_place {
    uint64_t pc;         /* where the frame goes on */
    uint64_t written_at; /* the instruction that writes it next; 0: none does */
    int64_t offset;      /* of a slot, bytes from the frame's CFA */
    int64_t bp_offset;   /* of rbp from the CFA, in one of the frames */
    uint32_t flags;      /* enum crn_place_flags */
    uint32_t reg;        /* its number in machine code, of a register */
};
enum crn_place_flags {
    CRN_PLACE_IS_REGISTER = 1, /* else a slot */
    CRN_PLACE_IS_EXACT = 2,    /* pc was executing; else it is a return address */
};
enum { CRN_PLACE_REGISTERS = 16 };

enum crn_link_kind { CRN_LINK_ROOT, CRN_LINK_BLOCK, CRN_LINK_CORO, CRN_LINK_LEAK };

struct crn_record_link {
    uint32_t kind; /* enum crn_link_kind */
    uint32_t root; /* enum crn_root_kind, of a root */
    uint32_t name; /* string: "thread 17 \"worker\"", "kernel: epoll fd 5", a local; 0: none */
    uint32_t alloc_node; /* of a block or the leak */
    uint32_t coro;       /* row + 1, of a coroutine */
    uint32_t skipped;    /* so many links before this one are left out, of a long list */
    uint64_t address; /* of the word that leads to the next link; symbolise it for a global */
    uint64_t offset;  /* of that word in its block, stack range or coroutine frame, bytes */
    uint64_t bytes;   /* exact size of the block, or of the leaked one */
};

struct crn_record_finding {
    uint32_t kind; /* enum crn_finding_kind */
    uint32_t coro; /* row + 1; 0: none */
    uint32_t scope, why; /* strings */
    uint32_t node;       /* its stack */
    uint32_t first_link, link_count;
    uint32_t count;
    uint64_t object, object_bytes;
    uint64_t object_retained; /* with what it leads to; 0: unknown */
};

/*
 * A leaked block.  Address and birth are its identity as long as the process lives: a block that
 * is made there later has a later birth, and a birth may only become an earlier one
 * (heap/births.h).
 */
struct crn_record_object {
    uint64_t address, bytes;
    uint64_t birth; /* a number that grows with time; 0: unknown */
    uint32_t leak; /* row */
    uint32_t is_indirect;
};

/*
 * Leaked blocks of one size that got a stack while stacks were sampled.  Rows may be alike: they
 * are to be added up.
 */
struct crn_record_sample {
    uint32_t leak;  /* row */
    uint32_t node;  /* their allocation stack */
    uint64_t bytes; /* of each */
    uint32_t blocks;
    uint32_t is_indirect; /* not direct blocks of the leak, but held by those */
};

/* How the live bytes of a stack lie over time: see runtime/check/growth.h. */
enum crn_growth_shape {
    CRN_GROWTH_UNKNOWN, /* too young, or too few blocks, to tell */
    CRN_GROWTH_STARTUP, /* all born early; it does not grow */
    CRN_GROWTH_CHURN,   /* born lately, and soon gone again */
    CRN_GROWTH_STEADY,  /* as many of every age, since a moment: it grows */
    CRN_GROWTH_SHAPE_COUNT
};

enum { CRN_AGE_COUNT = 8 };
struct crn_record_age {
    uint64_t blocks, bytes;
};

/* The seconds up to which the blocks of an age are old; the last has no end. */
static inline uint64_t crn_age_up_to_s(unsigned age)
{
    static const uint64_t up_to_s[CRN_AGE_COUNT] = {1, 10, 60, 600, 3600, 21600, 86400, UINT64_MAX};
    return up_to_s[age];
}

/* Blocks of one allocation stack that are alive and not leaked. */
struct crn_record_live {
    uint32_t alloc_node; /* row; 0: their stacks are not known */
    uint32_t shape;      /* enum crn_growth_shape */
    uint32_t first_link,
        link_count;         /* from a root to one of the older blocks, which it ends with */
    uint64_t blocks, bytes; /* exact: of sampled stacks, only of those that samples fell on */
    uint64_t estimated_blocks, estimated_bytes; /* what samples stand for; 0: not sampled */
    uint64_t retained_bytes;                    /* UINT64_MAX: unknown */
    uint64_t bytes_per_hour;                    /* how fast it grows; UINT64_MAX: unknown */
    uint64_t since_ns; /* how long before the check that began; UINT64_MAX: unknown */
    struct crn_record_age ages[CRN_AGE_COUNT]; /* sums up to blocks and bytes */
};

enum crn_limit_kind {
    CRN_LIMIT_UNKNOWN,
    CRN_LIMIT_CGROUP,  /* of the tightest control group that the process is in */
    CRN_LIMIT_MACHINE, /* what there is */
    CRN_LIMIT_KIND_COUNT
};

/* Resident memory of the process, bytes; UINT64_MAX: unknown. */
struct crn_record_memory {
    uint64_t resident_bytes; /* all of it */
    uint64_t heap_bytes;     /* the allocator's, that of its free blocks included */
    uint64_t stacks_bytes, idle_stacks_bytes; /* of coroutines; idle: nobody is on them */
    uint64_t thread_stacks_bytes;
    uint64_t mappings_bytes;          /* what the program mapped itself, stacks left out */
    uint64_t own_bytes;               /* Coroner's */
    uint64_t limit_bytes, left_bytes; /* where it is killed or refused, and how far off that is */
    uint32_t limit_kind;              /* enum crn_limit_kind */
    uint32_t reserved;
};

enum crn_finding_kind {
    CRN_FINDING_OUTLIVED,
    CRN_FINDING_ZOMBIE,
    CRN_FINDING_SWALLOWED,
    CRN_FINDING_NO_CANCEL_HOOK,
    CRN_FINDING_UNFINISHED_WATCH,
    CRN_FINDING_COUNT
};

/* The bytes of a row of a section. */
static inline uint64_t crn_record_row_bytes(unsigned section)
{
    static const uint64_t row_bytes[CRN_SECTION_COUNT] = {
        [CRN_SECTION_PROCESS] = sizeof(struct crn_record_process),
        [CRN_SECTION_STRINGS] = 1,
        [CRN_SECTION_ARGV] = sizeof(uint32_t),
        [CRN_SECTION_WARNINGS] = sizeof(uint32_t),
        [CRN_SECTION_MODULES] = sizeof(struct crn_record_module),
        [CRN_SECTION_NODES] = sizeof(struct crn_record_node),
        [CRN_SECTION_COROS] = sizeof(struct crn_record_coro),
        [CRN_SECTION_LEAKS] = sizeof(struct crn_record_leak),
        [CRN_SECTION_LINKS] = sizeof(struct crn_record_link),
        [CRN_SECTION_FINDINGS] = sizeof(struct crn_record_finding),
        [CRN_SECTION_OBJECTS] = sizeof(struct crn_record_object),
        [CRN_SECTION_SAMPLES] = sizeof(struct crn_record_sample),
        [CRN_SECTION_LIVE] = sizeof(struct crn_record_live),
        [CRN_SECTION_MEMORY] = sizeof(struct crn_record_memory),
        [CRN_SECTION_PLACES] = sizeof(struct crn_record_place),
    };
    return row_bytes[section];
}

/* FNV-1a over 8-byte words, then the odd bytes; fast enough for a recording of gigabytes. */
static inline uint64_t crn_record_checksum(const void *bytes, uint64_t count)
{
    const unsigned char *p = bytes;
    uint64_t hash = 0xcbf29ce484222325u;
    for (; count >= 8; p += 8, count -= 8) {
        uint64_t word;
        __builtin_memcpy(&word, p, 8);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    for (; count > 0; p++, count--)
        hash = (hash ^ *p) * 0x100000001b3u;
    return hash;
}

#endif
