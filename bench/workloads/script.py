"""What a script does all day: records in and out of JSON, dictionaries, small objects, regular
expressions, sorting.  With PYTHONMALLOC=malloc every object of it is a block."""
import collections
import json
import re
import sys

ROUNDS = 60
RECORDS = 2000
LINE = re.compile(r"(?P<who>\w+)-(?P<number>\d+) (?P<verb>get|put) (?P<path>/\S*)")


class Record:
    def __init__(self, number, dice):
        self.number = number
        self.who = f"user{dice % 97}"
        self.path = f"/{dice % 13}/{dice % 1009}/{number}"
        self.tags = {f"tag{dice >> shift & 7}": shift for shift in range(0, 24, 6)}

    def line(self):
        verb = "put" if self.number % 3 else "get"
        return f"{self.who}-{self.number} {verb} {self.path}"


def records_make(seed):
    records = []
    for number in range(RECORDS):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        records.append(Record(number, seed))
    return records


def lines_count(records):
    """How often each verb met each first part of a path."""
    counts = collections.Counter()
    for record in records:
        match = LINE.match(record.line())
        counts[match["verb"], match["path"].split("/")[1]] += 1
    return counts


def text_pass(records):
    """The records as JSON, read again and sorted."""
    text = json.dumps([vars(record) for record in records], indent=1)
    read = json.loads(text)
    read.sort(key=lambda each: (each["who"], -each["number"]))
    return len(text), read[0]["path"], read[-1]["tags"]


def main():
    rounds = ROUNDS * int(sys.argv[1]) // 100 if len(sys.argv) > 1 else ROUNDS
    kept = []
    for seed in range(rounds):
        records = records_make(seed)
        counts = lines_count(records)
        kept = (kept + [records])[-3:]
        print(seed, text_pass(records), sorted(counts.items())[:3])


main()
