"""Where the frozen tables of the first revision are collected."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

frozen = sa.MetaData()

MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
