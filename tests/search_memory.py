#!/usr/bin/python3
"""Searches the memory of a program that is about to end for what Coroner calls lost.

    search_memory.py [--build DIR] [--all] PROGRAM [ARGS…]

A second opinion that shares nothing with the engine but the list of live blocks: gdb stops the
program when its end begins (for the stack pointer) and again when Coroner has judged and written.
Then every word of the process is read from outside.  Roots are all words of writable memory and of
private file mappings, except Coroner's and jemalloc's own, the stacks of threads below their stack
pointers, and those of threads that have ended.  From there blocks are flooded.  Printed are how many
blocks nothing leads to, beside what Coroner calls lost, and for each group's example block the words
that point into it, with where they stand; with --all also those that are well.

Only the first process is searched.  Needs gdb and a libcoroner.so with debug information.
"""
import bisect
import collections
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = 4096
LEAK_ROW = struct.Struct("<8I6Q")  # struct crn_record_leak
THREAD_ID_OFFSET = 0x2d0           # of tid in glibc's struct pthread, since 2.14
OURS = re.compile(r"/lib(coroner|jemalloc|unwind)[.-]")


def examples_of(recording):
    """Answers (blocks, bytes, example address) for each group of leaks called lost."""
    data = pathlib.Path(recording).read_bytes()
    offset, count = struct.unpack_from("<QQ", data, 32 + 16 * 7)
    for row in range(count):
        fields = LEAK_ROW.unpack_from(data, offset + LEAK_ROW.size * row)
        verdict, (blocks, size, more_blocks, more_size, _, example) = fields[0], fields[8:]
        yield verdict, blocks + more_blocks, size + more_size, example


class Search:
    """The memory of a stopped process: its mappings, its blocks, and the words that point."""

    def __init__(self, gdb, pid, stack_pointers):
        self.gdb, self.stack_pointers = gdb, stack_pointers
        self.memory = open(f"/proc/{pid}/mem", "rb", buffering=0)
        self.base, self.span = self.value("crn_heap.index.base"), self.value("crn_heap.index.span")
        self.maps = list(self.read_maps(pid))
        self.own = sorted((self.value(f"own_ranges[{i}].start"), self.value(f"own_ranges[{i}].end"))
                          for i in range(self.value("sizeof own_ranges / sizeof *own_ranges")))
        self.own = [pair for pair in self.own if pair[0] not in (0, self.base)]
        self.blocks = sorted(self.read_blocks())
        self.starts = [block[0] for block in self.blocks]
        self.pointers = list(self.read_pointers())  # (where, block, may it be a root)

    def value(self, expression):
        return int(self.gdb.parse_and_eval(expression))

    def read(self, start, end):
        try:
            self.memory.seek(start)
            return self.memory.read(end - start)
        except OSError:
            return b""

    def read_maps(self, pid):
        """Answers (start, end, permissions, name); a module's .bss bears the module's name."""
        end_before, module = 0, ""
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            place, permissions, *_, name = line.split(maxsplit=5) if line.count("/") or "[" in line \
                else (*line.split(), "")
            start, end = (int(number, 16) for number in place.split("-"))
            if not name and start == end_before:
                name = module
            end_before, module = end, name if name.startswith("/") else ""
            if permissions.startswith("r") and not name.startswith("[v") and not OURS.search(name):
                yield start, end, permissions, name

    def read_blocks(self):
        """Answers (start, usable bytes, exact size, birth) from the index, page by page."""
        gdb = self.gdb
        classes = [self.value(f"crn_classes[{i}].bytes")
                   for i in range(self.value("sizeof crn_classes / sizeof *crn_classes"))]
        pages, records = (self.value(f"(unsigned long)crn_heap.index.{name}")
                          for name in ("pages", "records"))
        for start, end, *_ in self.maps:
            if not 0 <= start - self.base < self.span:
                continue
            first_page = (start - self.base) // PAGE
            count = (end - start) // PAGE
            words = self.read(pages + 8 * first_page, pages + 8 * (first_page + count))
            for number, (word,) in enumerate(struct.iter_unpack("<Q", words)):
                if not word:
                    continue
                size, phase = classes[(word & 0xff) - 1], (word >> 8 & 0xff) * 16
                slots = 1 if size >= PAGE else (PAGE - phase + size - 1) // size
                record = records + 16 * (word >> 32)
                for slot, (_, meta) in enumerate(
                        struct.iter_unpack("<QQ", self.read(record, record + 16 * slots))):
                    if meta >> 62 & 1:
                        yield (start + number * PAGE + phase + slot * size, size,
                               meta & (1 << 40) - 1, meta >> 40 & (1 << 22) - 1)

    def block_at(self, address):
        """The number of the block that holds an address, or None."""
        number = bisect.bisect_right(self.starts, address) - 1
        if number >= 0 and address < self.starts[number] + self.blocks[number][1]:
            return number
        return None

    def pages_of(self, start, end):
        """Answers (address, content) of the pages that are not ours and not all zero."""
        zero = bytes(PAGE)
        for chunk in range(start, end, 256 * PAGE):
            content = self.read(chunk, min(end, chunk + 256 * PAGE))
            for at in range(0, len(content), PAGE):
                page, address = content[at:at + PAGE], chunk + at
                if page != zero and not any(low <= address < high for low, high in self.own):
                    yield address, page

    def ended_threads(self):
        """Answers the mappings that hold the descriptor of an ended thread, up to its end.

        A descriptor begins with its own address, which stands again 16 bytes on.
        """
        for start, end, permissions, name in self.maps:
            if name or not permissions.startswith("rw") or 0 <= start - self.base < self.span:
                continue
            tail = max(start, end - 16 * PAGE)
            content = self.read(tail, end)
            for at in range(0, len(content) - THREAD_ID_OFFSET - 4, 64):
                if struct.unpack_from("<Q8xQ", content, at) == (tail + at, tail + at) and \
                        struct.unpack_from("<I", content, at + THREAD_ID_OFFSET) == (0,):
                    yield start, tail + at

    def kind_of(self, address, mapping, ended):
        """Says where a word stands, and whether that may be a root."""
        start, end, permissions, name = mapping
        if any(start <= address < pointer < end for pointer in self.stack_pointers):
            return "popped frames of a thread", False
        for low, high in ended:
            if low <= address < high:
                return "the stack of an ended thread", False
        if permissions[1] == "w" or name.startswith("/") and permissions[2] != "x":
            return name or "a mapping", True
        return name or "a mapping", False

    def read_pointers(self):
        low, high = (self.starts[0], self.starts[-1] + self.blocks[-1][1]) if self.blocks else (0, 0)
        ended = list(self.ended_threads())
        for mapping in self.maps:
            in_region = 0 <= mapping[0] - self.base < self.span
            for address, page in self.pages_of(mapping[0], mapping[1]):
                for at, word in enumerate(memoryview(page).cast("Q")):
                    if not low <= word < high:
                        continue
                    block = self.block_at(word)
                    if block is None:
                        continue
                    where = address + 8 * at
                    if in_region:
                        yield where, block, None, "the heap"
                    else:
                        kind, is_root = self.kind_of(where, mapping, ended)
                        yield where, block, is_root, kind

    def flood(self):
        """Answers the set of blocks that something leads to."""
        leads = collections.defaultdict(list)
        work = []
        for where, block, is_root, _ in self.pointers:
            if is_root:
                work.append(block)
            elif is_root is None:
                holder = self.block_at(where)
                if holder is not None:
                    leads[holder].append(block)
        reached = set()
        while work:
            block = work.pop()
            if block not in reached:
                reached.add(block)
                work.extend(leads[block])
        return reached

    def words_into(self, number, reached):
        """Says, in words, where the words stand that point into a block."""
        kinds = collections.Counter()
        for where, block, _, kind in self.pointers:
            if block != number:
                continue
            if kind == "the heap":
                holder = self.block_at(where)
                if holder == number:
                    continue
                kind = "freed memory" if holder is None else \
                    "a live block" if holder in reached else "another lost block"
            kinds[kind] += 1
        return ", ".join(f"{count} in {kind}" for kind, count in kinds.items()) or "none anywhere"


def stop_and_search(gdb):
    """Runs inside gdb."""
    recording = os.environ["SEARCH_DIRECTORY"] + "/recording"
    for words in ("set pagination off", "set confirm off", "set breakpoint pending on",
                  "set follow-fork-mode parent", "handle all nostop noprint pass",
                  "handle SIGINT nostop noprint pass", "tbreak crn_end_begin", "run"):
        gdb.execute(words, to_string=words[0] in "ht")
    stack_pointers = [int(gdb.parse_and_eval("(unsigned long)$rsp"))]
    ended_in = gdb.selected_thread().num
    gdb.execute("break crn_render", to_string=True)
    gdb.execute("continue", to_string=True)
    path = gdb.parse_and_eval("(char *)$rdi").string()
    pathlib.Path(recording).write_bytes(pathlib.Path(path).read_bytes())
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        if thread.num != ended_in:
            stack_pointers.append(int(gdb.parse_and_eval("(unsigned long)$rsp")))
    search = Search(gdb, gdb.selected_inferior().pid, stack_pointers)
    reached = search.flood()
    line = search.value("crn_heap.birth_line")  # what is older is not Coroner's to judge
    left = [block for number, block in enumerate(search.blocks)
            if number not in reached and block[3] >= line]
    groups = []
    for verdict, count, size, example in examples_of(recording):
        number = search.block_at(example)
        groups.append({"verdict": verdict, "blocks": count, "bytes": size, "example": f"{example:x}",
                       "is_reached": number in reached,
                       "words": search.words_into(number, reached)})
    result = {"live": len(search.blocks), "left_blocks": len(left),
              "left_bytes": sum(block[2] for block in left), "groups": groups}
    pathlib.Path(os.environ["SEARCH_DIRECTORY"], "result").write_text(json.dumps(result),
                                                                    encoding="utf-8")
    gdb.execute("kill", to_string=True)


def main():
    arguments, build, show_all = sys.argv[1:], TOP / "build", False
    while arguments and arguments[0].startswith("--"):
        option = arguments.pop(0)
        if option == "--build" and arguments:
            build = pathlib.Path(arguments.pop(0)).resolve()
        elif option == "--all":
            show_all = True
        else:
            sys.exit(__doc__)
    if not arguments:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="coroner-search-") as directory:
        ask = [f"set environment LD_PRELOAD {build}/libcoroner.so",
               "set environment CORONER_OPTIONS error_exitcode=0", "set startup-with-shell off"]
        log = subprocess.run(["gdb", "-nx", "-batch", *(word for line in ask for word in ("-ex", line)),
                              "-x", __file__, "--args", *arguments], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                             errors="replace", env={**os.environ, "SEARCH_DIRECTORY": directory})
        try:
            result = json.loads(pathlib.Path(directory, "result").read_text(encoding="utf-8"))
        except OSError:
            sys.exit(f"the search did not come about:\n{log.stdout[-2000:]}")
    groups = result["groups"]
    print(f"{sum(group['blocks'] for group in groups)} blocks, "
          f"{sum(group['bytes'] for group in groups)} bytes leaked, says Coroner; nothing leads to "
          f"{result['left_blocks']} blocks, {result['left_bytes']} bytes of {result['live']} blocks, "
          f"says the search")
    for group in sorted(groups, key=lambda group: -group["bytes"]):
        if group["is_reached"] or show_all:
            print(f"{'REACHED ' if group['is_reached'] else ''}{group['blocks']:6} blocks "
                  f"{group['bytes']:9} bytes, such as {group['example']}; words into that one: "
                  f"{group['words']}")
    return 1 if any(group["is_reached"] for group in groups) else 0


if __name__ == "__main__":
    if "SEARCH_DIRECTORY" in os.environ:
        import gdb as host  # only gdb has this module
        stop_and_search(host)
    else:
        sys.exit(main())
