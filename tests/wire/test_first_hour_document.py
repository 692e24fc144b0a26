"""docs/enrolment.md shows what scripts/first_hour.py says, but for ids and addresses, which are drawn."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRAWN = re.compile(r"\b(?:i|sg|vol)-[0-9a-f]{17}\b|\b54\.\d+\.\d+\.\d+\b")


def plain(text):
    """Without what is drawn, and as wide as it needs: sentences are folded where their ids end."""
    return " ".join(DRAWN.sub("*", text).split())


def test_a_python_without_the_extra_is_told_how_to_get_it():
    command = [sys.executable, "-I", "-S", str(ROOT / "scripts" / "first_hour.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    install = ".venv/bin/python -m pip install -e '.[wire]'"
    assert install in line
    assert install in (ROOT / "docs" / "enrolment.md").read_text()


@pytest.mark.long
def test_the_document_shows_what_the_script_says():
    script = [sys.executable, str(ROOT / "scripts" / "first_hour.py")]
    said = plain(subprocess.run(script, capture_output=True, text=True, check=True).stdout)
    shown = re.findall(
        r"^```\n(.*?)^```$", (ROOT / "docs" / "enrolment.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(shown) == 4
    for block in shown:
        for piece in block.split("…\n"):
            assert plain(piece) in said, piece
