"""Files as AWS and its users write them, in a folder of the test."""

import gzip
import json
from datetime import datetime
from pathlib import Path

from spotguard.domain.clock import LATEST
from spotguard.market.price_files import read_price_history
from spotguard.market.rows import BrokenLine, PriceRow

HEADER = "Timestamp,InstanceType,AvailabilityZone,ProductDescription,SpotPrice"
GOOD = "2021-03-02T01:39:04Z,r4.2xlarge,us-east-1e,Linux/UNIX,0.178200"
AWS_ROW = {
    "AvailabilityZone": "us-east-1e",
    "InstanceType": "r4.2xlarge",
    "ProductDescription": "Linux/UNIX",
    "SpotPrice": "0.178200",
    "Timestamp": "2021-03-02T01:39:04+00:00",
}


def written(folder: Path, content: str | bytes, name: str = "prices.csv", *, packed: bool = False) -> Path:
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return path


def csv_file(folder: Path, *lines: str, packed: bool = False) -> Path:
    return written(folder, "\n".join([HEADER, *lines]) + "\n", packed=packed)


def json_file(folder: Path, content: object, *, indent: int | None = None) -> Path:
    return written(folder, json.dumps(content, indent=indent), "prices.json")


def everything(path: Path, not_after: datetime = LATEST) -> tuple[list[PriceRow], list[BrokenLine]]:
    batches = list(read_price_history(path, not_after=not_after))
    return [row for b in batches for row in b.rows], [line for b in batches for line in b.broken]
