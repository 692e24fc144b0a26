"""`GET /`: the fleet at a glance, in one self-contained page; nothing is loaded from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from spotguard.api.problems import ProblemRoute


def _hashes(html: str, tag: str) -> str:
    """CSP level 2 hash sources of the page's inline blocks."""
    blocks = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(block.encode()).digest()).decode() for block in blocks)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def routes(notice: str) -> Iterator[ProblemRoute]:
    """`notice`: what a reader has to know before he believes a figure; empty in production."""
    page = files("spotguard.api").joinpath("page.html").read_text(encoding="utf-8")
    html = page.replace("{notice}", escape(notice))
    policy = (
        f"default-src 'none'; script-src {_hashes(html, 'script')}; style-src {_hashes(html, 'style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    async def fleet(_request: Request) -> Response:
        return Response(html, headers=headers, media_type="text/html; charset=utf-8")

    yield ProblemRoute("/", fleet)
