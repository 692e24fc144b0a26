"""The shipped coefficients: their script makes the very file again, and looks at no day of validation."""

import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from spotguard.domain.errors import InvalidInput
from spotguard.training import age_hazard, examples, traces
from tests.training.data import DATA, needs_data

T0 = datetime(2026, 1, 5, tzinfo=UTC)


def written(folder: Path, name, ups, step_seconds=180):
    """A file of one pool with a look every so many seconds."""
    lines = ["Timestamp,AvailabilityZone,InstanceType,Available"]
    lines += [
        f"{T0 + timedelta(seconds=n * step_seconds):%Y-%m-%dT%H:%M:%SZ},eu-west-1a,c5.large,{int(up)}"
        for n, up in enumerate(ups)
    ]
    path = folder / f"{name}.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    return path


@pytest.mark.long
@needs_data
def test_the_script_makes_the_shipped_file_again():
    shipped = files("spotguard.engine").joinpath("age_hazard.json").read_bytes()
    again = age_hazard.text_of(age_hazard.fit(DATA)).encode()
    assert hashlib.sha256(again).hexdigest() == hashlib.sha256(shipped).hexdigest()


def test_what_comes_after_the_training_share_changes_nothing(tmp_path):
    """No leak: the labels of training end with it, too."""
    dice = np.random.default_rng(0)
    ups = dice.random(2000) < 0.95
    one = examples.of_trace(traces.read(written(tmp_path, "one", ups)), last=0.6)
    shuffled = np.concatenate([ups[:1200], dice.permutation(ups[1200:])])
    other = examples.of_trace(traces.read(written(tmp_path, "other", shuffled)), last=0.6)
    assert len(one.table) > 500
    for name in ("table", "fell_after", "watched"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_fall_is_told_as_late_as_it_came(tmp_path):
    ups = [True] * 600
    ups[550] = False
    found = examples.of_trace(traces.read(written(tmp_path, "x", ups)))
    # looks from 24 h on, 480 × 3 minutes; the pool itself is not up at look 550
    assert len(found.table) == 599 - 480 - 1
    assert found.fell_after[0] == pytest.approx(70 * 180 / 3600)
    assert np.isinf(found.fell_after[-1])
    fell, told = found.within(15)
    assert fell.sum() == 5  # 15, 12, 9, 6 and 3 minutes before
    assert told.sum() == len(told) - 5 + 1  # the last four looks come less than 15 minutes before the end


@pytest.mark.parametrize("cell", ["2", "", "yes"])
def test_a_broken_line_is_named(tmp_path, cell):
    path = tmp_path / "x.csv"
    path.write_text(
        f"Timestamp,AvailabilityZone,InstanceType,Available\n2026-01-05T00:00:00Z,eu-west-1a,c5.large,{cell}\n"
    )
    with pytest.raises(InvalidInput, match=r"x\.csv, line 2"):
        traces.read(path)
