#!/usr/bin/python3
"""Checks that a JSON report is what runtime/report/README.md promises, version 1.

check(report) answers a list of sentences, one for each broken promise; empty when all is well.  As a
program it takes report files and prints those sentences, one a line, exit 1 when there are any.

runtime/report/report.schema.json, which is installed, gives each object's keys and the types their
values may have.  New keys may be added to a report, so unknown ones are fine; a missing one never
is.  Then come the sums: the parts of a summary must add up, and the leaks must add up to the
summary.
"""
import json
import pathlib
import re
import sys

NULL = type(None)
SCHEMA = json.loads((pathlib.Path(__file__).resolve().parent.parent / "runtime" / "report" /
                     "report.schema.json").read_text(encoding="utf-8"))
TYPES = {"integer": (int,), "number": (int, float), "string": (str,), "boolean": (bool,),
         "array": (list,), "object": (dict,), "null": (NULL,)}


def resolved(schema):
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def types_of(schema):
    """The types that a value may have, as isinstance takes them."""
    schema = resolved(schema)
    if "anyOf" in schema:
        return tuple(kind for part in schema["anyOf"] for kind in types_of(part))
    if "type" not in schema:
        return tuple({type(value) for value in schema["enum"]})
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return tuple(kind for name in names for kind in TYPES[name])


def table(name, within=None):
    """The keys that an object of the schema must have, with the types of their values."""
    schema = within or SCHEMA["$defs"][name]
    return {key: types_of(schema["properties"][key]) for key in schema["required"]}


def words(name, key):
    return tuple(SCHEMA["$defs"][name]["properties"][key]["enum"])


REPORT = table(None, SCHEMA)
(PROCESS, LIVE, AGE, GROWTH, MEMORY, EXIT, CHECK, LAST, SUMMARY, TALLY, COUNTS, LEAK, BEHIND, FRAME,
 COROUTINE, LISTED, TASK) = map(table, (
     "process", "live", "age", "growth", "memory", "exit", "check", "last_check", "summary",
     "amount", "counts", "leak", "behind", "frame", "coroutine", "listed_coroutine", "task"))
DOUBLED = table(None, SCHEMA["$defs"]["last_check"]["properties"]["doubled"]["items"])
CLASSES, STATES = words("leak", "class"), words("coroutine", "state")
MECHANISMS, ROOTS = words("coroutine", "mechanism"), words("link", "root")
CHECKS, SHAPES, AGES = words("check", "kind"), words("growth", "shape"), words("age", "up_to_s")
LINKS = {kind: {key: types_of(SCHEMA["$defs"]["link"]["properties"][key]) for key in keys}
         for kind, keys in {"root": ("root", "name", "module"),
                            "block": ("bytes", "offset", "allocated_in"),
                            "coroutine": ("name", "local", "offset"), "leak": ("bytes",)}.items()}


def keys(where, value, table):
    """Says which keys of the table `value` lacks, or has with a value of another type."""
    if not isinstance(value, dict):
        yield f"{where} is no object"
        return
    for key, kind in table.items():
        if key not in value:
            yield f"{where} lacks {key}"
        elif not isinstance(value[key], kind) or (isinstance(value[key], bool) and bool not in kind):
            yield f"{where}.{key} is {json.dumps(value[key])[:60]}"


def stack(where, frames):
    for index, frame in enumerate(frames or []):
        yield from keys(f"{where}[{index}]", frame, FRAME)
        offset = isinstance(frame, dict) and frame.get("offset")
        if offset and not re.fullmatch("0x[0-9a-f]+", offset):
            yield f"{where}[{index}].offset is {offset!r}"


def coroutine(where, value, table=COROUTINE):
    broken = list(keys(where, value, table))
    yield from broken
    if broken:
        return
    if value["mechanism"] not in MECHANISMS:
        yield f"{where}.mechanism is {value['mechanism']!r}"
    if value["state"] not in STATES:
        yield f"{where}.state is {value['state']!r}"
    yield from stack(f"{where}.created_stack", value["created_stack"])
    yield from stack(f"{where}.suspended_stack", value["suspended_stack"])


def chain(where, leak):
    links, lost = leak["chain"], leak["class"] == "lost"
    if lost != (links is None):
        yield f"{where} is {'there' if lost else 'null'} for {leak['class']}"
    for index, link in enumerate(links or []):
        kind = isinstance(link, dict) and link.get("kind")
        if kind not in LINKS:
            yield f"{where}[{index}].kind is {kind!r}"
            return
        yield from keys(f"{where}[{index}]", link, LINKS[kind])
        if kind == "root" and link.get("root") not in ROOTS:
            yield f"{where}[{index}].root is {link.get('root')!r}"
    if links is not None:
        kinds = [link["kind"] for link in links] or [None]
        first = ["coroutine"] if leak["class"] == "abandoned" else ["coroutine", "root"]
        if kinds[0] not in first or kinds[-1:] != ["leak"] or kinds.count("leak") != 1:
            yield f"{where} of a {leak['class']} leak is {' > '.join(map(str, kinds))}"


def samples(where, leak, sample_bytes):
    """What must hold of estimates: only where stacks were sampled, and not below what was counted."""
    for noun in ("blocks", "bytes"):
        told = leak[f"estimated_{noun}"]
        if leak["sampled"] != (told is not None) or (leak["sampled"] and sample_bytes is None):
            yield f"{where}.estimated_{noun} is {told} where sampled is {leak['sampled']}"
        elif told is not None and told < leak[noun]:
            yield f"{where}.estimated_{noun} is {told}, fewer than the {leak[noun]} counted"
    if (leak["indirect_stacks"] is None) != (sample_bytes is None):
        yield f"{where}.indirect_stacks does not go with sample_bytes {sample_bytes}"
    for index, behind in enumerate(leak["indirect_stacks"] or []):
        yield from keys(f"{where}.indirect_stacks[{index}]", behind, BEHIND)
        yield from stack(f"{where}.indirect_stacks[{index}].alloc_stack", behind["alloc_stack"])


def occasion(where, process):
    """When the check ran; whoever goes on has not ended."""
    ended, made = process["exit"], process["check"]
    if ended is not None:
        yield from keys(f"{where}.exit", ended, EXIT)
    if (made is None) != (process["summary"] is None):
        yield f"{where}: one of check and summary is null"
    if made is None:
        return
    broken = list(keys(f"{where}.check", made, CHECK))
    yield from broken
    if broken:
        return
    if made["last"] is not None:
        yield from keys(f"{where}.check.last", made["last"], LAST)
        for index, kind in enumerate(made["last"].get("doubled", [])):
            yield from keys(f"{where}.check.last.doubled[{index}]", kind, DOUBLED)
    if made["kind"] not in CHECKS or made["number"] < 1:
        yield f"{where}.check is {json.dumps(made)}"
    if (made["kind"] == "end") != (ended is not None):
        yield f"{where}: a check of kind {made['kind']}, and exit is {json.dumps(ended)}"


def leaks(where, process):
    for index, leak in enumerate(process["leaks"]):
        here = f"{where}.leaks[{index}]"
        broken = list(keys(here, leak, LEAK))
        yield from broken
        if broken:
            continue
        if not re.fullmatch("[0-9a-f]{16}", leak["id"]):
            yield f"{here}.id is {leak['id']!r}"
        if leak["class"] not in CLASSES:
            yield f"{here}.class is {leak['class']!r}"
        if leak["confidence"] not in ("proven", "likely"):
            yield f"{here}.confidence is {leak['confidence']!r}"
        if leak["blocks"] < 1:
            yield f"{here} has no direct block"
        yield from stack(f"{here}.alloc_stack", leak["alloc_stack"])
        yield from samples(here, leak, process.get("sample_bytes"))
        without = leak["class"] == "lost" if leak["class"] != "stale" else leak["coroutine"] is None
        if without != (leak["coroutine"] is None):
            yield f"{here}.coroutine does not go with class {leak['class']}"
        if leak["coroutine"] is not None:
            yield from coroutine(f"{here}.coroutine", leak["coroutine"])
        yield from chain(f"{here}.chain", leak)


def alive(where, process):
    """What is alive, where that was looked at, and what is resident."""
    for index, row in enumerate(process.get("live", [])):
        here = f"{where}.live[{index}]"
        broken = list(keys(here, row, LIVE)) or list(keys(f"{here}.growth", row["growth"], GROWTH))
        yield from broken
        if broken:
            continue
        yield from stack(f"{here}.alloc_stack", row["alloc_stack"])
        if [age.get("up_to_s") for age in row["ages"]] != list(AGES):
            yield f"{here}.ages is {json.dumps(row['ages'])}"
        for noun in ("blocks", "bytes"):
            if sum(age[noun] for age in row["ages"]) != row[noun]:
                yield f"{here}: the {noun} of all ages are not those of the row"
        if row["growth"]["shape"] not in SHAPES:
            yield f"{here}.growth.shape is {row['growth']['shape']!r}"
    if process["memory"] is not None:
        yield from keys(f"{where}.memory", process["memory"], MEMORY)


def tasks(where, process):
    for index, task in enumerate(process.get("tasks", [])):
        yield from keys(f"{where}.tasks[{index}]", task, TASK)


def sums(where, process):
    summary = process["summary"]
    for noun in ("blocks", "bytes"):
        total = sum(summary["by_class"][name][noun] for name in CLASSES)
        if total != summary[f"leaked_{noun}"]:
            yield f"{where}: by_class has {total} {noun}, leaked_{noun} is {summary[f'leaked_{noun}']}"
        for name in CLASSES:
            told = sum(leak[noun] + leak[f"indirect_{noun}"] for leak in process["leaks"]
                       if leak["class"] == name)
            if told != summary["by_class"][name][noun] and not process.get("leaks_left_out"):
                yield (f"{where}: the {name} leaks have {told} {noun}, "
                       f"by_class has {summary['by_class'][name][noun]}")
        likely = sum(leak[noun] + leak[f"indirect_{noun}"] for leak in process["leaks"]
                     if leak["confidence"] == "likely")
        if likely != summary[f"likely_{noun}"] and not process.get("leaks_left_out"):
            yield f"{where}: the likely leaks have {likely} {noun}, likely_{noun} differs"
    counts = summary["coroutines"]
    if sum(counts[state] for state in STATES) != counts["seen"]:
        yield f"{where}: the states of coroutines do not add up to seen: {json.dumps(counts)}"


def check(report):
    """Answers what is wrong with a report, as a list of sentences."""
    broken = list(keys("report", report, REPORT))
    if broken:
        return broken
    if report["schema"] != "coroner-report/1":
        broken.append(f"schema is {report['schema']!r}")
    for index, process in enumerate(report["processes"]):
        where = f"processes[{index}]"
        wrong = list(keys(where, process, PROCESS))
        if not wrong:
            wrong += occasion(where, process)
            wrong += leaks(where, process)
            wrong += alive(where, process)
            wrong += tasks(where, process)
            for at, entry in enumerate(process["coroutines"]):
                wrong += coroutine(f"{where}.coroutines[{at}]", entry, LISTED)
        summary = None if wrong else process["summary"]
        if summary is not None:
            wrong += keys(f"{where}.summary", summary, SUMMARY)
            if not wrong:
                wrong += keys(f"{where}.summary.coroutines", summary["coroutines"], COUNTS)
                for name in CLASSES:
                    wrong += keys(f"{where}.summary.by_class.{name}",
                                  summary["by_class"].get(name), TALLY)
            if not wrong:
                wrong += sums(where, process)
        elif not wrong and process["leaks"]:
            wrong.append(f"{where} has leaks and no summary")
        broken += wrong
    return broken


def main(paths):
    failed = False
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for sentence in check(json.load(file)):
                print(f"{path}: {sentence}")
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
