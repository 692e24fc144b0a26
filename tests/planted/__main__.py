"""`python -m tests.planted [--only NAME] [--seeds N] [--workers W] [--list]`: plants every bug and looks who notices.

The last line is one JSON object; the exit code is 1 when a bug was missed. What was found goes into the record and
into docs/planted-bugs.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from tests.planted import record
from tests.planted.bug import Bug, Hunt
from tests.planted.catalogue import BUGS, SECOND_LINE
from tests.planted.catching import Caught, HuntFailed, try_bug


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments(arguments)
    chosen = [bug for bug in BUGS if not asked.only or bug.name in asked.only]
    unknown = set(asked.only) - {bug.name for bug in BUGS}
    if unknown:
        sys.exit(f"no such bug: {', '.join(sorted(unknown))}")
    if asked.untried:
        chosen = [bug for bug in chosen if not (record.of_bug(record.stored(), bug) or {}).get("caught")]
    if asked.list:
        for bug in chosen:
            by = "simulation" if isinstance(bug.caught_by, Hunt) else bug.caught_by.name
            print(f"{bug.name:44} {by:30} {bug.reference}")
        return 0
    _try_all(chosen, asked.seeds, asked.workers)
    found = record.stored()
    record.TABLE.write_text(record.table(BUGS, found))
    told = record.summary(chosen, found)
    print(json.dumps(told))
    return 1 if told["missed"] else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this bug; may be repeated"
    )
    parser.add_argument("--untried", action="store_true", help="only what the record does not show as caught")
    parser.add_argument(
        "--seeds", type=int, default=200, help="schedules at the most for each bug; 0: tests only"
    )
    parser.add_argument("--workers", type=int, default=1, help="bugs that are tried at the same time")
    parser.add_argument("--list", action="store_true", help="names and who is to notice; nothing is run")
    return parser.parse_args(arguments)


def _try_all(bugs: Sequence[Bug], seeds: int, workers: int) -> None:
    """A bug whose hunt itself went wrong counts as missed, and the others go on."""
    with ThreadPoolExecutor(workers) as pool:
        hunts = {pool.submit(try_bug, bug, seeds, SECOND_LINE.get(bug.name)): bug for bug in bugs}
        for done in as_completed(hunts):
            bug = hunts[done]
            try:
                caught = done.result()
            except HuntFailed as error:
                caught = Caught(bug.name, caught=False, schedules=None, seed=None, what=str(error))
            record.note(bug, caught)
            how = "caught" if caught.caught else "MISSED"
            took = "" if caught.schedules is None else f" after {caught.schedules} schedules"
            print(f"{how} {bug.name}{took}: {caught.what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
