"""Reads what a case says about itself: its RUN, ROW, SCENARIO, EXPECT, LIVE, NEEDS and ALONE lines.

README.md beside this file has the grammar.  A case file holds several runs, each with the facts
that follow it; ROW, SCENARIO, LIVE, NEEDS and ALONE belong to the RUN above them.
"""
import dataclasses
import pathlib
import re
import shlex

CASES = pathlib.Path(__file__).resolve().parent / "cases"
SCENARIOS = CASES / "scenarios"
WORDS = "RUN|ROW|SCENARIO|EXPECT|LIVE|NEEDS|ALONE|BUILD|FLAGS"
CLASSES = "stale|completed|cancelled|abandoned|lost"


@dataclasses.dataclass
class Run:
    """One command line, and the facts that must be true of it."""

    command: str
    expects: list = dataclasses.field(default_factory=list)
    live: list = dataclasses.field(default_factory=list)  # facts of a check before the end, if others
    needs: list = dataclasses.field(default_factory=list)
    alone: bool = False
    row: str = ""
    scenario: str = ""

    def expects_leak(self):
        """Whether a line speaks of a leak: such lines begin with its class."""
        return any(re.match(CLASSES, expect) for expect in self.expects)

    def words_after_case(self):
        """The arguments of the program under test."""
        words = shlex.split(self.command)
        return words[words.index("$CASE") + 1:] if "$CASE" in words else []


@dataclasses.dataclass
class Case:
    """A case file: its name, its source, how it is built, and its runs."""

    name: str
    source: pathlib.Path
    once: bool
    header: str  # it is not built where this one is missing
    flags: list
    runs: list


def read(source):
    """Answers the Case in a source file."""
    opening = source.read_text(encoding="utf-8").partition("*/")[0]
    opening = re.sub(r"\\\n \*\s*", "", opening)  # a backslash joins lines
    runs, once, header, flags = [], False, "", []
    for line in opening.splitlines():
        match = re.match(rf" \* ({WORDS}):\s*(.*?)\s*$", line)
        if match is None:
            continue
        word, rest = match.groups()
        if word == "RUN":
            runs.append(Run(rest))
        elif word == "BUILD":
            once = once or rest == "once"
            header = rest[len("with "):] if rest.startswith("with ") else header
        elif word == "ROW":
            runs[-1].row = rest
        elif word == "SCENARIO":
            runs[-1].scenario = rest
        elif word == "FLAGS":
            flags = shlex.split(rest)
        elif word == "EXPECT":
            runs[-1].expects.append(rest)
        elif word == "LIVE":
            runs[-1].live.append(rest)
        elif word == "NEEDS":
            runs[-1].needs.append(rest)
        elif word == "ALONE":
            runs[-1].alone = True
    return Case(re.sub(r"\.(c|cc)$", "", source.name), source, once, header, flags, runs)


def read_all(pattern=""):
    """Answers the cases whose name contains the pattern, in order of name."""
    sources = [path for path in [*sorted(CASES.iterdir()), *sorted(SCENARIOS.glob("scenario_*"))]
               if path.suffix in (".c", ".cc")]
    return [read(path) for path in sources if ".plugin." not in path.name and pattern in path.name]
