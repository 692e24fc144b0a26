"""`python -m spotguard.api.openapi [FILE]` writes openapi.json, which is committed; a test holds the two equal."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from spotguard.api.app import client_app
from spotguard.api.context import Api
from spotguard.api.contract import text
from spotguard.api.offload import inline
from spotguard.api.settings import ApiSettings
from spotguard.api.wakeups import NoWakeups
from spotguard.store.database import Database


class Standstill:
    """Nothing is asked while the contract is written."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    api = Api(Database.open("sqlite://"), Standstill(), NoWakeups(), ApiSettings(), inline)
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "openapi.json")
    target.write_text(text(client_app(api)), encoding="utf-8")


if __name__ == "__main__":
    main()
