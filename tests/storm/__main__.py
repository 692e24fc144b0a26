"""`python -m tests.storm [--agents 200] [--bystanders 40] [--executor server]`: a zone is taken, and what became of it.

The last line is one JSON object; the exit code is 1 when a workload or a record was lost.
"""

from __future__ import annotations

import argparse
import json
import sys

from spotguard.domain.agents import Executor
from spotguard.telemetry import configure_logging
from tests.storm.storm import Storm


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--bystanders", type=int, default=40)
    parser.add_argument("--executor", choices=list(Executor), default=Executor.SERVER, type=Executor)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    configure_logging("critical")
    storm = Storm(asked.agents, asked.bystanders, asked.executor, asked.seed)
    try:
        aftermath = storm.run()
    finally:
        storm.close()
    print(json.dumps(aftermath.as_json()))
    return 0 if aftermath.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
