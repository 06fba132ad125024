/*
 * Asks the kernel for pages.  See pages.h; proc(5), mincore(2), and of the kernel's documentation
 * admin-guide/mm/pagemap.rst.
 */
#include "base/pages.h"
#include "base/held.h"
#include "base/sys.h"
#include "base/vm.h"

#include <errno.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>

typedef void page_visit(uintptr_t start, uintptr_t end, unsigned flags, void *user);

enum { WAY_SCAN, WAY_WORDS, WAY_MINCORE };

static int pagemap_fd = -1, memory_fd = -1;
static unsigned ways_left_out;
static bool leaves_out_inherited;

/* What of PAGEMAP_SCAN this kernel knows. */
static enum { SCAN_WITH_GUARDS, SCAN_PLAIN, SCAN_NOT } scan_support;

/* One at a time: it is opened and closed for each, since nobody says when the last one was. */
static long read_by_file(void *target, uintptr_t source, size_t bytes)
{
    int fd = memory_fd >= 0 ? memory_fd : crn_proc_open("thread-self/mem");
    long count = fd < 0 ? fd : crn_syscall4(SYS_pread64, fd, target, bytes, source);
    if (fd >= 0 && fd != memory_fd)
        crn_syscall1(SYS_close, fd);
    return count;
}

static void pagemap_open(void)
{
    crn_memory_read_otherwise = read_by_file;
    if (pagemap_fd < 0)
        pagemap_fd = crn_proc_open("thread-self/pagemap");
}

/* Whether mincore(2), which knows no swap, tells all there is; asked once after crn_pages_open. */
static enum { SWAP_NOT_ASKED, SWAP_NONE, SWAP_SOME } private_swap;

void crn_pages_open(void)
{
    private_swap = SWAP_NOT_ASKED;
    leaves_out_inherited = false;
    pagemap_open();
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        crn_syscall1(SYS_close, *fd);
    *fd = -1;
}

void crn_pages_close(void)
{
    fd_close(&pagemap_fd);
    fd_close(&memory_fd);
}

void crn_pages_leave_out(unsigned ways)
{
    ways_left_out = ways;
}

static bool is_left_out(unsigned way)
{
    return (ways_left_out >> way & 1) != 0;
}

bool crn_pages_are_known(void)
{
    return pagemap_fd >= 0 && !(is_left_out(WAY_SCAN) && is_left_out(WAY_WORDS));
}

/* Whether private pages of this process are swapped out ("VmSwap: 0 kB": none), as far as is known.
 */
static bool has_private_swap(void)
{
    char text[4096];
    if (!crn_pages_may_be_swapped())
        return false;
    int fd = crn_proc_open("thread-self/status");
    long count = fd < 0 ? 0 : crn_sys_read_all(fd, text, sizeof text - 1);
    crn_proc_close(fd);
    text[count > 0 ? count : 0] = 0;
    const char *amount = strstr(text, "\nVmSwap:");
    if (amount == NULL)
        return true;
    for (amount += strlen("\nVmSwap:"); *amount == ' ' || *amount == '\t' || *amount == '0';
         amount++)
        ;
    return *amount != 'k';
}

static bool mincore_tells_all(void)
{
    if (private_swap == SWAP_NOT_ASKED)
        private_swap = has_private_swap() ? SWAP_SOME : SWAP_NONE;
    return private_swap == SWAP_NONE;
}

bool crn_pages_may_be_swapped(void)
{
    struct sysinfo info;
    return crn_syscall1(SYS_sysinfo, &info) != 0 || info.freeswap < info.totalswap;
}

/* Runs that come in pieces, put together. */
struct runs {
    page_visit *visit;
    void *user;
    uintptr_t from, to; /* where the range begins and ends */
    uintptr_t start, end;
    unsigned flags; /* of the run under way; 0: none */
};

static void runs_end(struct runs *runs)
{
    uintptr_t start = runs->start > runs->from ? runs->start : runs->from;
    uintptr_t end = runs->end < runs->to ? runs->end : runs->to;
    if (runs->flags != 0 && start < end)
        runs->visit(start, end, runs->flags, runs->user);
    runs->flags = 0;
}

static void runs_add(struct runs *runs, uintptr_t start, uintptr_t end, unsigned flags)
{
    if (runs->flags != flags || runs->end != start) {
        runs_end(runs);
        runs->start = start;
    }
    runs->end = end;
    runs->flags = flags;
}

/* <linux/fs.h> of Linux 6.7; GUARD is of 6.15. */
struct scan_region {
    uint64_t start, end, categories;
};
struct scan_request {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
enum {
    SCAN_OF_FILE = 1 << 2,
    SCAN_PRESENT = 1 << 3,
    SCAN_SWAPPED = 1 << 4,
    SCAN_ZERO = 1 << 5,
    SCAN_HUGE = 1 << 6,
    SCAN_GUARD = 1 << 8,
};
static const unsigned long PAGEMAP_SCAN = 0xc0606610; /* _IOWR('f', 16, struct scan_request) */

static unsigned flags_of_categories(uint64_t categories)
{
    if ((categories & (SCAN_ZERO | SCAN_GUARD)) != 0)
        return 0;
    return ((categories & SCAN_PRESENT) != 0 ? CRN_PAGES_PRESENT : 0) |
           ((categories & SCAN_SWAPPED) != 0 ? CRN_PAGES_SWAPPED : 0) |
           ((categories & SCAN_OF_FILE) != 0 ? CRN_PAGES_OF_FILE : 0);
}

static uintptr_t runs_by_words(struct runs *runs, uintptr_t start, uintptr_t end);

/* A run of the scan, which does not tell who else has a page. */
static void runs_add_scanned(struct runs *runs, uintptr_t start, uintptr_t end, unsigned flags)
{
    if (leaves_out_inherited && flags == CRN_PAGES_PRESENT)
        start = runs_by_words(runs, start, end);
    if (start < end)
        runs_add(runs, start, end, flags);
}

/* Answers false when the kernel does not know the call; nothing was visited then. */
static bool runs_by_scan(struct runs *runs, uintptr_t start, uintptr_t end)
{
    struct scan_region regions[64];
    while (start < end && scan_support != SCAN_NOT) {
        struct scan_request request = {
            .size = sizeof request,
            .start = start,
            .end = end,
            .vec = (uint64_t)(uintptr_t)regions,
            .vec_len = CRN_COUNT_OF(regions),
            .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
            .return_mask = SCAN_OF_FILE | SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO |
                           (scan_support == SCAN_WITH_GUARDS ? SCAN_GUARD : 0),
        };
        long count = crn_syscall3(SYS_ioctl, pagemap_fd, PAGEMAP_SCAN, &request);
        if (count < 0) {
            if (count == -EINTR)
                continue;
            scan_support =
                scan_support == SCAN_WITH_GUARDS && count == -EINVAL ? SCAN_PLAIN : SCAN_NOT;
            continue;
        }
        for (long i = 0; i < count; i++)
            runs_add_scanned(runs, regions[i].start, regions[i].end,
                             flags_of_categories(regions[i].categories));
        if (request.walk_end <= start)
            break; /* never seen */
        start = request.walk_end;
    }
    return start >= end;
}

void crn_pages_huge_runs(uintptr_t start, uintptr_t end, page_visit *visit, void *user)
{
    struct runs runs = {.visit = visit, .user = user, .from = start, .to = end};
    struct scan_region regions[64];
    bool must_close = pagemap_fd < 0;
    pagemap_open();
    while (start < end) {
        struct scan_request request = {
            .size = sizeof request,
            .start = start,
            .end = end,
            .vec = (uint64_t)(uintptr_t)regions,
            .vec_len = CRN_COUNT_OF(regions),
            .category_mask = SCAN_HUGE | SCAN_PRESENT,
            .return_mask = SCAN_HUGE,
        };
        long count = pagemap_fd < 0 ? -EBADF
                                    : crn_syscall3(SYS_ioctl, pagemap_fd, PAGEMAP_SCAN, &request);
        if (count < 0 || request.walk_end <= start)
            break;
        for (long i = 0; i < count; i++)
            runs_add(&runs, regions[i].start, regions[i].end, CRN_PAGES_HUGE);
        start = request.walk_end;
    }
    runs_end(&runs);
    if (must_close)
        crn_pages_close();
}

bool crn_pages_skip_quickly(void)
{
    struct runs runs = {.visit = NULL}; /* for a page that is never mapped */
    return pagemap_fd >= 0 && !is_left_out(WAY_SCAN) && runs_by_scan(&runs, 0, CRN_PAGE_BYTES);
}

/* Bits of a pagemap word. */
static const uint64_t WORD_PRESENT = (uint64_t)1 << 63;
static const uint64_t WORD_SWAPPED = (uint64_t)1 << 62;
static const uint64_t WORD_OF_FILE = (uint64_t)1 << 61;
static const uint64_t WORD_GUARD = (uint64_t)1 << 58;
static const uint64_t WORD_EXCLUSIVE = (uint64_t)1 << 56;

/* Of an anonymous page that another process has, too. */
static bool is_inherited(uint64_t word)
{
    return (word & (WORD_PRESENT | WORD_SWAPPED | WORD_OF_FILE | WORD_EXCLUSIVE)) == WORD_PRESENT;
}

static unsigned flags_of_word(uint64_t word)
{
    if ((word & WORD_GUARD) != 0 || (leaves_out_inherited && is_inherited(word)))
        return 0;
    unsigned flags = ((word & WORD_PRESENT) != 0 ? CRN_PAGES_PRESENT : 0) |
                     ((word & WORD_SWAPPED) != 0 ? CRN_PAGES_SWAPPED : 0);
    return flags != 0 && (word & WORD_OF_FILE) != 0 ? flags | CRN_PAGES_OF_FILE : flags;
}

/* How many bytes from `at` on are zero, in whole words: most of what is asked for is not there. */
static size_t zeros_count(const void *bytes, size_t at, size_t count)
{
    size_t from = at;
    uint64_t word;
    for (; at + sizeof word <= count; at += sizeof word) {
        memcpy(&word, (const char *)bytes + at, sizeof word);
        if (word != 0)
            break;
    }
    return at - from;
}

/* Answers where it stopped: `end`, but for what the kernel does not say. */
static uintptr_t runs_by_words(struct runs *runs, uintptr_t start, uintptr_t end)
{
    uint64_t words[512];
    while (start < end) {
        size_t count = (end - start) >> CRN_PAGE_SHIFT;
        count = count < CRN_COUNT_OF(words) ? count : CRN_COUNT_OF(words);
        long got =
            crn_syscall4(SYS_pread64, pagemap_fd, words, count * 8, (start >> CRN_PAGE_SHIFT) * 8);
        if (got < 8)
            break;
        count = (size_t)got / 8;
        for (size_t i = 0, some; i < count; i += some, start += some << CRN_PAGE_SHIFT) {
            size_t empty = zeros_count(words, i * 8, count * 8) / 8;
            some = empty > 0 ? empty : 1;
            runs_add(runs, start, start + (some << CRN_PAGE_SHIFT),
                     empty > 0 ? 0 : flags_of_word(words[i]));
        }
    }
    return start;
}

static uintptr_t runs_by_mincore(struct runs *runs, uintptr_t start, uintptr_t end, unsigned flags)
{
    unsigned char pages[4096];
    while (start < end) {
        size_t count = (end - start) >> CRN_PAGE_SHIFT;
        count = count < CRN_COUNT_OF(pages) ? count : CRN_COUNT_OF(pages);
        if (crn_syscall3(SYS_mincore, start, count << CRN_PAGE_SHIFT, pages) != 0)
            break;
        for (size_t i = 0, some; i < count; i += some, start += some << CRN_PAGE_SHIFT) {
            size_t empty = zeros_count(pages, i, count);
            some = empty > 0 ? empty : 1;
            runs_add(runs, start, start + (some << CRN_PAGE_SHIFT),
                     empty == 0 && (pages[i] & 1) != 0 ? flags : 0);
        }
    }
    return start;
}

static void runs_ask(uintptr_t start, uintptr_t end, page_visit *visit, void *user)
{
    struct runs runs = {.visit = visit, .user = user, .from = start, .to = end};
    bool must_close = pagemap_fd < 0;
    start = crn_align_down(start, CRN_PAGE_BYTES);
    end = crn_align_up(end, CRN_PAGE_BYTES);
    pagemap_open();
    bool is_done = pagemap_fd >= 0 && !is_left_out(WAY_SCAN) && runs_by_scan(&runs, start, end);
    if (!is_done && pagemap_fd >= 0 && !is_left_out(WAY_WORDS))
        start = runs_by_words(&runs, start, end);
    else if (!is_done && !is_left_out(WAY_MINCORE) && mincore_tells_all())
        start = runs_by_mincore(&runs, start, end, CRN_PAGES_PRESENT);
    if (!is_done && start < end)
        runs_add(&runs, start, end, CRN_PAGES_PRESENT);
    runs_end(&runs);
    if (must_close)
        crn_pages_close();
}

/* The runs of the window that was asked for last, while memory stands still. */
enum { WINDOW_BYTES = 1 << 20 };

static struct {
    bool is_used;
    uintptr_t start;
    unsigned count;
    struct {
        uintptr_t start, end;
        unsigned flags;
    } rows[WINDOW_BYTES / CRN_PAGE_BYTES];
} window;

void crn_pages_stand_still(void)
{
    window.is_used = true;
    window.start = 0;
    window.count = 0; /* nothing is mapped there */
}

static void window_note(uintptr_t start, uintptr_t end, unsigned flags, void *unused)
{
    (void)unused;
    window.rows[window.count].start = start;
    window.rows[window.count].end = end;
    window.rows[window.count++].flags = flags;
}

static void window_move(uintptr_t start)
{
    window.start = start;
    window.count = 0;
    runs_ask(start, start + WINDOW_BYTES, window_note, NULL);
}

void crn_pages_runs(uintptr_t start, uintptr_t end, page_visit *visit, void *user)
{
    uintptr_t from = crn_align_down(start, WINDOW_BYTES);
    if (!window.is_used || leaves_out_inherited || end - from > WINDOW_BYTES) {
        runs_ask(start, end, visit, user);
        return;
    }
    if (from != window.start)
        window_move(from);
    for (unsigned i = 0; i < window.count; i++) {
        uintptr_t run_start = window.rows[i].start > start ? window.rows[i].start : start;
        uintptr_t run_end = window.rows[i].end < end ? window.rows[i].end : end;
        if (run_start < run_end)
            visit(run_start, run_end, window.rows[i].flags, user);
    }
}

bool crn_pages_cached(uintptr_t start, uintptr_t end, page_visit *visit, void *user)
{
    struct runs runs = {.visit = visit, .user = user, .from = start, .to = end};
    start = crn_align_down(start, CRN_PAGE_BYTES);
    end = crn_align_up(end, CRN_PAGE_BYTES);
    start = runs_by_mincore(&runs, start, end, CRN_PAGES_CACHED | CRN_PAGES_OF_FILE);
    runs_end(&runs);
    return start >= end;
}

bool crn_pages_leave_out_inherited(bool is_wanted)
{
    leaves_out_inherited = is_wanted && pagemap_fd >= 0 && !is_left_out(WAY_WORDS);
    return leaves_out_inherited;
}

bool crn_pages_is_exclusive(uintptr_t address)
{
    uint64_t word = 0;
    bool must_close = pagemap_fd < 0;
    pagemap_open();
    bool is_told =
        pagemap_fd >= 0 && crn_syscall4(SYS_pread64, pagemap_fd, &word, sizeof word,
                                        (address >> CRN_PAGE_SHIFT) * sizeof word) == sizeof word;
    if (must_close)
        crn_pages_close();
    return is_told && (word & WORD_PRESENT) != 0 && (word & WORD_EXCLUSIVE) != 0;
}

static void there_count(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    if ((flags & CRN_PAGES_PRESENT) != 0)
        *(size_t *)user += end - start;
}

static bool is_there(uintptr_t start, size_t bytes)
{
    size_t there = 0;
    crn_pages_runs(start, start + bytes, there_count, &there);
    return there == bytes;
}

void crn_pages_beware(bool must_ask)
{
    crn_memory_is_there = must_ask ? is_there : NULL;
}

struct readable {
    void (*visit)(uintptr_t start, uintptr_t end, void *user);
    void *user;
    bool only_private_copies;
    uintptr_t start, end; /* the run under way */
};

static void readable_end(struct readable *readable)
{
    if (readable->start < readable->end)
        readable->visit(readable->start, readable->end, readable->user);
    readable->start = readable->end = 0;
}

static void readable_add(struct readable *readable, uintptr_t start, uintptr_t end)
{
    if (readable->end != start) {
        readable_end(readable);
        readable->start = start;
    }
    readable->end = end;
}

static void readable_visit(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct readable *readable = user;
    if (readable->only_private_copies && (flags & CRN_PAGES_OF_FILE) != 0)
        return;
    if ((flags & CRN_PAGES_PRESENT) != 0) {
        readable_add(readable, start, end);
        return;
    }
    /* Older kernels show guard pages as swapped ones, and a broken page is one, too. */
    for (uintptr_t next; start < end; start = next) {
        char byte;
        next = crn_align_down(start, CRN_PAGE_BYTES) + CRN_PAGE_BYTES;
        next = next < end ? next : end;
        if (crn_memory_read(&byte, start, 1))
            readable_add(readable, start, next);
    }
}

void crn_pages_for_each(uintptr_t start, uintptr_t end, bool only_private_copies,
                        void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user)
{
    struct readable readable = {visit, user, only_private_copies, 0, 0};
    bool must_close = pagemap_fd < 0;
    pagemap_open();
    if (!only_private_copies || crn_pages_are_known())
        crn_pages_runs(start, end, readable_visit, &readable);
    readable_end(&readable);
    if (must_close)
        crn_pages_close();
}

long crn_pages_copy(void *target, uintptr_t source, size_t bytes, bool by_force)
{
    struct iovec to = {target, bytes}, from = {(void *)source, bytes};
    long count = crn_syscall6(SYS_process_vm_readv, crn_sys_gettid(), &to, 1, &from, 1, 0);
    bool is_forbidden = count == -EPERM || count == -ENOSYS; /* by a sandbox */
    size_t done = count > 0 ? (size_t)count : 0;
    if (done == bytes || !(by_force || is_forbidden))
        return (long)done;
    if (memory_fd < 0)
        memory_fd = crn_proc_open("thread-self/mem");
    if (memory_fd < 0 && is_forbidden)
        return -EPERM;
    while (done < bytes) {
        count = crn_syscall4(SYS_pread64, memory_fd, (char *)target + done, bytes - done,
                             source + done);
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return (long)done;
}
