"""The rules of the house that no linter knows: each takes one file's text and tells what is wrong with it.

Every rule carries a planted breach, so that the test can prove that the rule is able to fail.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Complaints = Iterator[str]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Rule:
    """A sentence, where it holds, what it finds, a text that breaks it and one that keeps it."""

    sentence: str
    holds_in: tuple[str, ...]
    find: Callable[[str], Complaints]
    breach: str
    kept: str
    # "path" or "path: what was found" -> why it may stay; one that nobody needs any more is itself a breach
    exceptions: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""  # a pattern without which no text breaks it: such a text is not parsed

    def complaints(self, text: str) -> Complaints:
        if re.search(self.needs, text):
            yield from self.find(text)


def calls(text: str) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def too_long(text: str) -> Complaints:
    if (lines := len(text.splitlines())) > MAX_FILE_LINES:
        yield f"{lines} lines: what would each be called if it were two?"


def long_functions(text: str) -> Complaints:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function) and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES:
            yield node.name


def undescribed(text: str) -> Complaints:
    if text.strip() and not ast.get_docstring(ast.parse(text)):
        yield "does not open by saying what it holds"


def unfinished(text: str) -> Complaints:
    yield from re.findall(r"\b(?:TODO|FIXME|XXX)\b", text)


def broad_excepts(text: str) -> Complaints:
    broad = [
        (line, caught)
        for line, caught in catchers(text)
        if not caught or re.search(r"\b(Base)?Exception\b", caught)
    ]
    comments = comments_by_line(text) if broad else {}
    for line, caught in broad:
        # Ruff wants no code where the handler raises again or logs the traceback; the reason is owed anyway.
        reason = re.sub(r"noqa:\s*[A-Z0-9, ]*[0-9]", "", comments.get(line, ""))
        if len(re.findall(r"\w+", reason)) < 3:
            yield f"line {line}: catches {caught or 'everything'} without the reason beside it"


def catchers(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            yield node.lineno, ast.unparse(node.type) if node.type else ""
    for call, name in calls(text):
        if name.endswith("suppress"):
            yield call.lineno, ", ".join(map(ast.unparse, call.args)) or "nothing"


def comments_by_line(text: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def naive_times(text: str) -> Complaints:
    for call, name in calls(text):
        bare = not call.args and not call.keywords
        if name.endswith((".utcnow", ".utcfromtimestamp", "date.today")) or (
            bare and name.endswith("datetime.now")
        ):
            yield f"line {call.lineno}: {name}"


def sleeps(text: str) -> Complaints:
    for call, name in calls(text):
        if name == "time.sleep":
            yield f"line {call.lineno}: {name}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"line {node.lineno}: sleep" for alias in node.names if alias.name == "sleep")


def patches(text: str) -> Complaints:
    """Environment variables and the working folder may be lent; attributes, items and modules may not."""
    for node in ast.walk(ast.parse(text)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        if any("mock" in name.split(".") for name in [*names, *module.split(".")]):
            yield f"line {node.lineno}: imports mock"
    for call, name in calls(text):
        if name.endswith((".setattr", ".delattr", ".setitem", ".delitem")):
            yield f"line {call.lineno}: {name}"


def unhashed(text: str) -> Complaints:
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        if not requirement.startswith("#") and not re.match(
            r"[\w.-]+==\S+.*--hash=sha256:", requirement, re.DOTALL
        ):
            yield requirement.splitlines()[0]


def addresses(text: str) -> Complaints:
    yield from re.findall(r".*://.*|.* @ .*|--(?:extra-)?index-url.*|--find-links.*", text)


PYTHON = ("src/**/*.py", "tests/**/*.py")
SOURCES = ("src/**/*.py",)
TESTS = ("tests/**/*.py",)
LOCKS = ("requirements/*.txt",)
LINE = "x = 1\n"

RULES = (
    Rule(
        f"no file is longer than {MAX_FILE_LINES} lines",
        PYTHON,
        too_long,
        breach=LINE * (MAX_FILE_LINES + 1),
        kept=LINE * MAX_FILE_LINES,
    ),
    Rule(
        f"no function is longer than {MAX_FUNCTION_LINES} lines, a screen, without a reason",
        SOURCES,
        long_functions,
        breach="def f():\n" + f"    {LINE}" * MAX_FUNCTION_LINES,
        kept="async def f():\n" + f"    {LINE}" * (MAX_FUNCTION_LINES - 1),
    ),
    Rule(
        "every module opens by saying what it holds", PYTHON, undescribed, breach=LINE, kept='"""Tells."""\n'
    ),
    Rule(
        "nothing is left for later in a comment",
        PYTHON,
        unfinished,
        breach="x = 1  # TODO: mend\n",
        kept="mastodon = 1\n",
        exceptions={"tests/house/rules.py": "names what it forbids"},
    ),
    Rule(
        "whoever catches everything says why",
        PYTHON,
        broad_excepts,
        breach="try:\n    f()\nexcept (ValueError, Exception):  # noqa: BLE001\n    pass\n",
        kept="try:\n    f()\nexcept Exception:  # noqa: BLE001 - one row never stops the others\n    pass\n",
        needs="except|suppress",
    ),
    Rule(
        "every time knows its zone",
        SOURCES,
        naive_times,
        breach="from datetime import datetime\nnow = datetime.now()\n",
        kept="from datetime import UTC, datetime\nnow = datetime.now(UTC)\n",
        needs="now|utcfromtimestamp|today",
    ),
    Rule(
        "nobody sleeps: waiting is the clock's, and can be woken",
        SOURCES,
        sleeps,
        breach="import time\ntime.sleep(1)\n",
        kept="clock.sleep(1)\n",
        needs="sleep",
    ),
    Rule(
        "no test patches: where one would have to, a port is missing",
        TESTS,
        patches,
        breach="def test(monkeypatch):\n    monkeypatch.setattr(store, 'save', None)\n",
        kept="def test(monkeypatch):\n    monkeypatch.setenv('SPOTGUARD_SEED', '1')\n",
        needs="mock|setattr|delattr|setitem|delitem",
    ),
    Rule(
        "every locked requirement is exact and hashed",
        LOCKS,
        unhashed,
        breach="a==1 \\\n    --hash=sha256:00\nb==1\n",
        kept="# by make lock\na==1 ; python_version < '3.13' \\\n    --hash=sha256:00\n",
    ),
    Rule(
        "no lock names an address",
        LOCKS,
        addresses,
        breach="--extra-index-url somewhere\na==1\n",
        kept="a==1 \\\n    --hash=sha256:00\n",
    ),
)
