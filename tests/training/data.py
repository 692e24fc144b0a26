"""Where the real data are, if they are: `../shared/data` beside the checkout, or `SPOTGUARD_DATA`."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("SPOTGUARD_DATA", ROOT.parent / "shared" / "data"))

needs_data = pytest.mark.skipif(
    not (DATA / "availability").is_dir(), reason=f"the real data are not there: {DATA} (SPOTGUARD_DATA)"
)
