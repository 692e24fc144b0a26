"""The house tests itself: every rule over every file, every rule over its own planted breach."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.rules import RULES, Rule

ROOT = Path(__file__).parents[2]

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.sentence)


@each_rule
def test_the_house_keeps_the_rule(rule: Rule):
    files = sorted({path for pattern in rule.holds_in for path in ROOT.glob(pattern)})
    assert files, f"nothing matches {rule.holds_in}"
    complaints = {
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in files
        for complaint in rule.complaints(path.read_text(encoding="utf-8"))
    }
    excused = {c for c in complaints if c in rule.exceptions or c.split(": ")[0] in rule.exceptions}
    assert not sorted(complaints - excused)
    needed = excused | {c.split(": ")[0] for c in excused}
    assert not set(rule.exceptions) - needed, "exceptions that nobody needs any more"


@each_rule
def test_the_rule_can_fail(rule: Rule):
    assert list(rule.complaints(rule.breach))


@each_rule
def test_the_rule_lets_good_work_pass(rule: Rule):
    assert not list(rule.complaints(rule.kept))


def repository_files() -> list[Path]:
    """Everything that is committed or would be."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_lock_that_carries_registry_addresses_is_kept():
    assert not [path for path in repository_files() if path.name in {"uv.lock", "pylock.toml"}]


def naming(neighbours: list[str], text: str) -> list[str]:
    """The paths of this machine that a text names: this checkout, and whatever lies beside it."""
    return [path for path in neighbours if re.search(rf"(?<![\w.-]){re.escape(path)}(?![\w.-])", text)]


def test_no_file_names_the_place_where_it_was_written():
    beside = [str(path) for path in ROOT.parent.iterdir()] if ROOT.parent != Path("/") else []
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in repository_files()
        for name in naming([str(ROOT), *beside], path.read_text(encoding="utf-8", errors="replace"))
    }
    assert not sorted(found)


def test_naming_a_place_is_noticed():
    assert naming(["/home/me/spotguard"], "see /home/me/spotguard/README.md")
    assert not naming(["/home/me/spotguard"], "see /home/me/spotguard-old or /srv/home/me/spotguard")


RESOLVED = re.compile(r'"resolved"\s*:\s*"https?://')


def test_npm_locks_name_no_registry():
    locks = [path for path in repository_files() if path.name == "package-lock.json"]
    assert not [str(path) for path in locks if RESOLVED.search(path.read_text(encoding="utf-8"))]
    assert RESOLVED.search('"resolved": "https://registry.example/a.tgz"')
