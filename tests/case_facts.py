"""Compares what a case expects with what was seen.

broken(expects, seen) answers one sentence for each fact that is not so, "expected …, saw …".
What a report says is compared entry by entry: leaks and findings that an EXPECT line selects (by
class, function, confidence, …) are added up, since the report may split a leak into groups, and an
entry that no line selects is a false report.  exceeded(expects, seen) takes the same lines as upper
bounds.
"""
import dataclasses
import json
import pathlib
import re
import shlex

import check_schema

RUNTIME_MODULES = re.compile(
    r"/(libcoroner|libjemalloc|libc|ld-linux[-\w]*|libstdc\+\+|libgcc_s)[-.\d]*so[.\d]*$")
COUNTS = ("blocks", "bytes", "indirect_blocks", "indirect_bytes", "total_blocks", "total_bytes",
          "estimated_blocks", "estimated_bytes", "behind_blocks", "behind_bytes")
FINDING_COUNTS = ("count", "entries")


@dataclasses.dataclass
class Seen:
    """What one run left behind."""

    status: int
    stdout: str
    stderr: str
    directory: pathlib.Path
    names: dict = dataclasses.field(default_factory=dict)  # of functions that the report omits

    def reports(self):
        """The reports in the run's directory: report.json, and those of descendants beside it."""
        reports = [json.loads(path.read_text(encoding="utf-8"))
                   for path in sorted(self.directory.glob("report.json*"))]
        for frame in frames_of(reports):
            if frame["function"] is None:
                frame["function"] = self.names.get((frame["build_id"], frame["offset"]))
        return reports


def names_in(reports):
    """The innermost function at each place that a stack in these reports mentions."""
    names = {}
    for frame in frames_of(reports):
        names.setdefault((frame["build_id"], frame["offset"]), frame["function"])
    return names


def frames_of(value):
    """Every frame of every stack in some reports."""
    if isinstance(value, list):
        for item in value:
            yield from frames_of(item)
    elif isinstance(value, dict):
        if "inlined" in value:
            yield value
        for item in value.values():
            yield from frames_of(item)


def first_function(frames):
    """The innermost function that is neither libc's nor ours."""
    for frame in frames or []:
        if frame["module"] is None or not RUNTIME_MODULES.search(frame["module"]):
            return frame["function"]
    return None


def estimates(leak):
    """What samples say of a leak; nothing where stacks were not sampled."""
    behind = leak["indirect_stacks"]
    return {"sampled": None if behind is None else "yes" if leak["sampled"] else "no",
            "estimated_blocks": leak["estimated_blocks"] or 0,
            "estimated_bytes": leak["estimated_bytes"] or 0,
            "behind_blocks": sum(entry["estimated_blocks"] for entry in behind or []),
            "behind_bytes": sum(entry["estimated_bytes"] for entry in behind or []),
            "behind_in": first_function(behind[0]["alloc_stack"]) if behind else None}


def describe(leak):
    """One leak in the words that EXPECT lines use."""
    return {"class": leak["class"], "confidence": leak["confidence"], "blocks": leak["blocks"],
            "bytes": leak["bytes"], "indirect_blocks": leak["indirect_blocks"],
            "indirect_bytes": leak["indirect_bytes"],
            "total_blocks": leak["blocks"] + leak["indirect_blocks"],
            "total_bytes": leak["bytes"] + leak["indirect_bytes"],
            "allocated_in": first_function(leak["alloc_stack"]),
            **estimates(leak),
            **({"suspended_in": first_function(leak["coroutine"]["suspended_stack"]),
                "created_in": first_function(leak["coroutine"]["created_stack"]),
                "mechanism": leak["coroutine"]["mechanism"],
                "state": leak["coroutine"]["state"],
                "count": leak["coroutine"]["count"],
                "coroutine": leak["coroutine"]["name"]} if leak["coroutine"] else {}),
            "local": next((link["local"] for link in reversed(leak["chain"] or [])
                           if link["kind"] == "coroutine"), None),
            "root": next((link["name"] for link in leak["chain"] or [] if link["kind"] == "root"),
                         None),
            "chain": leak["chain"]}


def describe_finding(finding):
    """One finding in the words that EXPECT lines use."""
    coroutine = finding["coroutine"] or {}
    return {"class": finding["kind"], "count": finding["count"], "entries": 1,
            "coroutine": coroutine.get("name"), "state": coroutine.get("state"),
            "mechanism": coroutine.get("mechanism"), "scope": finding["scope"],
            "object_bytes": (finding["object"] or {}).get("bytes"),
            "object_retained": (finding["object"] or {}).get("retained_bytes"),
            "stack_in": first_function(finding["stack"]), "chain": finding["chain"]}


def in_words(entry):
    words = [f"{key}={value}" for key, value in entry.items()
             if key not in ("class", "chain") and value not in (None, 0)]
    chain = chain_in_words(entry["chain"])
    return f"{entry['class']} {' '.join(words)}" + (f" chain {chain}" if chain else "")


def link_words(link):
    """One link of a chain as it is written in EXPECT lines, in full."""
    if link["kind"] == "root":
        thread = re.fullmatch(r'thread \d+ "(.*)"', link["name"] or "")
        return [link["root"], thread[1] if thread else link["name"] or ""]
    if link["kind"] == "block":
        return ["block", f"{link['allocated_in']}+{link['offset']}"]
    words = [link["kind"], link.get("name") or ""]
    return words + [f"local={link['local']}"] if link.get("local") else words


def chain_in_words(chain):
    """A chain without its end, which is the leak or the object itself."""
    return " > ".join(" ".join(link_words(link)).strip() for link in chain or []
                      if link["kind"] != "leak")


def is_chain(wanted, chain):
    """Whether `root NAME > block FUNCTION > coroutine NAME local=NAME` is what a chain says."""
    parts = []
    for part in wanted.split(" > "):
        if part == "*":
            parts.append(r"(.* > )?")
        else:
            more = r"(\+\d+)?" if part.startswith("block ") and "+" not in part else ""
            parts.append(re.escape(part) + more + " > ")
    return re.fullmatch("".join(parts), chain_in_words(chain) + " > ") is not None


def lookup(value, path):
    for key in path.split("."):
        value = value[key] if isinstance(value, dict) else None
    return value


def same(wanted, value):
    return wanted == ("null" if value is None else str(value))


def split_settings(words):
    return dict(word.split("=", 1) for word in words)


class Processes:
    """The processes of a run's reports; `in=child` and `in=parent` choose among them."""

    def __init__(self, reports):
        self.all = [process for report in reports for process in report["processes"]]
        pids = {process["pid"] for process in self.all}
        self.children = [process for process in self.all if process["parent_pid"] in pids]

    def chosen(self, word):
        if word == "child":
            return self.children
        if word == "parent":
            return [process for process in self.all if process not in self.children]
        return self.all


def text_fact(word, rest, text):
    """`stdout /regex/`, `stdout text`, `stdout-lines N`."""
    if word.endswith("-lines"):
        if len(text.splitlines()) != int(rest):
            yield f"expected {rest} lines of {word.partition('-')[0]}, saw {text!r}"
    elif rest.startswith("/") and rest.endswith("/"):
        if not re.search(rest[1:-1], text, re.MULTILINE):
            yield f"expected {word} to match {rest}, saw {text!r}"
    elif text.strip() != rest:
        yield f"expected {word} {rest!r}, saw {text!r}"


def value_facts(word, settings, processes):
    """`summary key=value …` and `process key=value …`, for the first process chosen."""
    chosen = processes.chosen(settings.pop("in", None))
    if not chosen:
        yield f"expected {word} {settings}, saw no such process"
        return
    value = chosen[0]["summary"] if word == "summary" else chosen[0]
    for key, wanted in settings.items():
        saw = lookup(value, key)
        if not same(wanted, saw):
            yield f"expected {word} {key}={wanted}, saw {saw}"


def coroutine_fact(settings, processes):
    """`coroutines key=value … count=N`: how many of those listed are so."""
    wanted = " ".join(f"{key}={value}" for key, value in settings.items())
    count = int(settings.pop("count"))
    total = 0
    for process in processes.all:
        for entry in process["coroutines"]:
            entry = {**entry, "suspended_in": first_function(entry["suspended_stack"]),
                     "created_in": first_function(entry["created_stack"])}
            if all(same(value, entry.get(key)) for key, value in settings.items()):
                total += entry["count"]
    if total != count:
        yield f"expected coroutines {wanted}, saw {total}"


def live_fact(settings, processes, at_most):
    """`live key=value …`: rows of the heap that is not leaked, their counts added up."""
    wanted = " ".join(f"{key}={value}" for key, value in settings.items())
    counts = {key: settings.pop(key) for key in COUNTS if key in settings}
    rows = [{**row, "allocated_in": first_function(row["alloc_stack"]),
             "shape": row["growth"]["shape"], "steps": len(row["chain"] or []),
             "root": next((link["name"] for link in row["chain"] or [] if link["kind"] == "root"),
                          None)}
            for process in processes.all for row in process.get("live") or []]
    rows = [row for row in rows
            if all(same(value, row.get(key)) for key, value in settings.items())]
    totals = {key: sum(row[key] or 0 for row in rows) for key in counts}
    return [f"expected live {wanted}, saw {key}={totals[key]}" for key, count in counts.items()
            if not is_amount(count, totals[key], at_most)]


def is_amount(wanted, total, at_most):
    """Whether a sum is what `N` or `LEAST..MOST` says."""
    least, _, most = wanted.partition("..")
    return total <= int(most or least) and (at_most or total >= int(least))


def entry_fact(classes, settings, entries, named, at_most, summed=COUNTS):
    """`class key=value …`: the selected leaks or findings, added up.

    Notes their positions in `named`; answers (sentences, those selected).
    """
    counts = {key: settings.pop(key) for key in summed if key in settings}
    selected = []
    for index, entry in enumerate(entries):
        if entry["class"] in classes and all(same(wanted, entry.get(key))
                                             for key, wanted in settings.items()):
            selected.append(entry)
            named.add(index)
    wanted = "|".join(classes) + "".join(f" {key}={value}"
                                         for key, value in {**counts, **settings}.items())
    if not selected and not at_most:
        return [f"expected {wanted}, saw no such entry"], []
    totals = {key: sum(entry[key] for entry in selected) for key in counts}
    return [f"expected {wanted}, saw {key}={totals[key]}" for key, count in counts.items()
            if not is_amount(count, totals[key], at_most)], selected


def chain_fact(wanted, entries):
    """`chain …`: so it stands in each entry that the line above selects."""
    return [f"expected chain {wanted}, saw {in_words(entry)}" for entry in entries
            if not is_chain(wanted, entry["chain"])]


def exceeded(expects, seen):
    """As broken(), for a run in which leaks may be missed: no other leaks, and no more of these."""
    kept = [expect for expect in expects
            if not re.match("summary|exit +status=23$", expect)]
    return broken(kept, seen, at_most=kept)


def broken(expects, seen, at_most=()):
    """Answers one sentence for each fact that is not so; those in `at_most` are upper bounds."""
    try:
        reports = seen.reports()
    except ValueError as error:
        return [f"a report is no JSON: {error}"]
    wrong = [f"the report breaks the contract: {sentence}"
             for report in reports for sentence in check_schema.check(report)]
    if wrong:
        return wrong
    processes = Processes(reports)
    places = (None, "child", "parent")
    leaks = {word: [describe(leak) for process in processes.chosen(word)
                    for leak in process["leaks"]] for word in places}
    findings = {word: [describe_finding(finding) for process in processes.chosen(word)
                       for finding in process["findings"]] for word in places}
    named, named_findings = ({word: set() for word in places} for _ in range(2))
    speaks_of_leaks, selected = False, []
    for expect in expects:
        is_bound = expect in at_most
        word, _, rest = expect.partition(" ")
        rest = rest.strip()
        if word == "exit":
            wanted = split_settings(rest.split())["status"]
            if str(seen.status) not in wanted.split("|"):
                wrong.append(f"expected exit status={wanted}, saw {seen.status}")
        elif word.partition("-")[0] in ("stdout", "stderr"):
            wrong += text_fact(word, rest, getattr(seen, word.partition("-")[0]))
        elif word == "processes":
            if len(processes.all) != int(rest):
                wrong.append(f"expected {rest} processes, saw {len(processes.all)}")
        elif word == "warning":
            warnings = [warning for report in reports for warning in report["warnings"]]
            if not any(re.search(rest.strip("/"), warning) for warning in warnings):
                wrong.append(f"expected a warning like {rest}, saw {warnings}")
        elif word in ("summary", "process"):
            wrong += value_facts(word, split_settings(shlex.split(rest)), processes)
        elif word == "coroutines":
            wrong += coroutine_fact(split_settings(shlex.split(rest)), processes)
        elif word == "live":
            wrong += live_fact(split_settings(shlex.split(rest)), processes, at_most)
        elif word == "none":
            speaks_of_leaks = True
            if not processes.all:
                wrong.append("expected a report without leaks, saw no report")
        elif word == "chain":
            wrong += chain_fact(rest, selected)
        else:
            speaks_of_leaks = True
            is_finding = word == "finding"
            if is_finding:
                word, _, rest = rest.partition(" ")
            settings = split_settings(rest.split())
            where = settings.pop("in", None)
            sentences, selected = (
                entry_fact([word], settings, findings[where], named_findings[where],
                           is_bound, FINDING_COUNTS) if is_finding else
                entry_fact(word.split("|"), settings, leaks[where], named[where], is_bound))
            wrong += sentences
    if speaks_of_leaks:
        for noun, entries, those in (("leak", leaks, named),
                                     ("finding", findings, named_findings)):
            known = [entries[where][index] for where in those for index in those[where]]
            wrong += [f"expected no other {noun}, saw {in_words(entry)}"
                      for entry in entries[None] if entry not in known]
    return wrong
