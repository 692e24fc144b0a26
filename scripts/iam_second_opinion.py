# ruff: noqa: INP001, T201, PLC0415 -- a script, not a package; printing is its job
"""A second judge for the IAM policies: what the tests judge is judged again by cloud-copilot's iam-simulate.

It knows which resources and condition keys each action has (AWS's service authorization reference), and refuses what
does not fit together. It needs Node:

    npm install --prefix FOLDER @cloud-copilot/iam-simulate@0.1.173
    python scripts/iam_second_opinion.py FOLDER

Prints {asked, agreed, differed, not_judged}; exit code 1 if the judges differ.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ("tests/iam/test_policies.py", "tests/iam/test_narrow_roles.py", "tests/iam/test_shapes.py")


def main() -> int:
    sys.path.insert(0, str(ROOT))
    if pytest.main(["-q", "-p", "no:cacheprovider", *(str(ROOT / path) for path in TESTS)]) != 0:
        return 1
    from tests.iam.evaluator import JUDGED

    lines = "\n".join(
        json.dumps(
            {
                "policy": policy,
                "action": request.action,
                "resource": request.resource,
                "context": request.context,
                "allowed": decision.allowed,
            }
        )
        for policy, request, decision in JUDGED
    )
    judge = ["node", str(Path(__file__).with_suffix(".cjs")), str(Path(sys.argv[1]).resolve())]
    answer = subprocess.run(judge, input=lines, capture_output=True, text=True, check=True).stdout
    print(answer.strip())
    return 1 if json.loads(answer)["differed"] else 0


if __name__ == "__main__":
    sys.exit(main())
