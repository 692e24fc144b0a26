"""`spotguard train` and `spotguard model show`: the same bytes again, and no file that was changed is read."""

import gzip
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
import skops.io
from typer.testing import CliRunner

from spotguard.cli.main import app
from spotguard.domain.errors import InvalidInput
from spotguard.models import model_file
from spotguard.models.model_file import CARD, MODEL
from spotguard.training import traces
from spotguard.training.train import train
from tests.training.test_age_hazard import written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve days of one pool that falls for half an hour, after some hours each time."""
    dice = np.random.default_rng(1)
    ups: list[bool] = []
    while len(ups) < 5800:
        ups += [True] * int(dice.exponential(150) + 1) + [False] * 10
    made = tmp_path_factory.mktemp("data")
    written(made, "one", ups[:5800])
    return made


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    body, _ = train(folder, seed=3)
    path = tmp_path_factory.mktemp("model") / "m.spotguard"
    path.write_bytes(body)
    return path


def repacked(path, target, **parts):
    with zipfile.ZipFile(path) as file:
        old = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(target, "w") as file:
        for name, data in {**old, **parts}.items():
            file.writestr(name, data)
    return target


@pytest.mark.long
def test_the_same_data_and_seed_give_the_same_bytes(folder, made):
    again, _ = train(folder, seed=3)
    assert hashlib.sha256(again).hexdigest() == hashlib.sha256(made.read_bytes()).hexdigest()


def test_a_model_is_read_back_as_it_was(folder, made):
    models, card = model_file.load(made)
    assert [m.minutes for m in models] == [15, 60, 360]
    table = np.zeros((2, len(card["features"])))
    for model in models:
        assert ((model.probability(table) > 0) & (model.probability(table) < 1)).all()
    assert card["validation"]["eu-west-1"]["60"]["age-hazard-v1"]["auc"] is not None
    assert card["split"] == {
        "learned_until": 0.45, "calibrated_until": 0.6, "validated_until": 1.0, "by": "time",
    }  # fmt: skip


def test_a_changed_model_is_refused(made, tmp_path):
    with zipfile.ZipFile(made) as file:
        body = file.read(MODEL)
    changed = repacked(made, tmp_path / "x", **{MODEL: body[:-1] + bytes([body[-1] ^ 1])})
    with pytest.raises(InvalidInput, match="corrupt"):
        model_file.load(changed)


@dataclass
class Stranger:
    """A type that no model of ours has."""

    x: int = 1


def test_a_type_beyond_the_allow_list_is_refused_before_it_is_made(made, tmp_path):
    body = skops.io.dumps([Stranger()])
    card = {**model_file.read_card(made), "model_sha256": hashlib.sha256(body).hexdigest()}
    strange = repacked(made, tmp_path / "x", **{MODEL: body, CARD: json.dumps(card).encode()})
    with pytest.raises(InvalidInput, match="Stranger"):
        model_file.load(strange)


@pytest.mark.parametrize("body", [b"", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_model_file_is_refused(tmp_path, body):
    path = tmp_path / "x"
    path.write_bytes(body)
    with pytest.raises(InvalidInput, match="not a model file"):
        model_file.load(path)


def test_a_folder_without_availability_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no availability files"):
        train(tmp_path, seed=0)


def test_too_little_data_is_refused(tmp_path):
    written(tmp_path, "short", [True] * 600)
    with pytest.raises(InvalidInput, match="too little"):
        train(tmp_path, seed=0)


def test_a_market_in_which_nothing_falls_teaches_nothing(tmp_path):
    written(tmp_path, "calm", [True] * 3000)
    with pytest.raises(InvalidInput, match="nothing to learn from"):
        train(tmp_path, seed=0)


def test_the_card_is_shown(made):
    told = CliRunner().invoke(app, ["model", "show", str(made), "--json"])
    assert told.exit_code == 0, told.output
    card = json.loads(told.stdout)
    assert card["seed"] == 3
    people = CliRunner().invoke(app, ["model", "show", str(made)])
    assert "validation in eu-west-1" in people.stdout


def test_a_zip_of_ours_has_no_times():
    with zipfile.ZipFile(io.BytesIO(model_file.packed([], {}))) as file:
        assert {info.date_time[0] for info in file.infolist()} == {1980}


@pytest.mark.long
def test_it_says_what_it_does_where_it_wrote_what_it_left_out_and_what_comes_next(folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (data / path.name).write_bytes(path.read_bytes())
    (data / "lifetimes.csv").write_text("pool,seconds\n")
    (data / "notes.md").write_text("mine")
    out = tmp_path / "m.spotguard"
    said = CliRunner().invoke(app, ["train", "--data", str(data), "--out", str(out), "--json"])
    assert said.exit_code == 0, said.output
    beats = json.loads(said.stdout)["beats_the_present_rule"]
    lines = said.stderr.splitlines()
    assert lines[0].endswith(": lifetimes.csv, notes.md")
    assert next(line for line in lines if line.startswith("fitting ")) == "fitting logistic for 15 minutes …"
    assert lines[-2] == f"written: {out}"
    assert f"spotguard model register {out}" in lines[-1]
    assert lines[-1].startswith("It beats" if beats else "It does not beat")


def test_a_folder_that_is_not_there_is_told_before_the_work(folder, tmp_path):
    said = CliRunner().invoke(app, ["train", "--data", str(folder), "--out", str(tmp_path / "no" / "m")])
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert said.stderr.startswith("spotguard: --out: the folder ")


def test_a_file_that_is_not_what_its_name_says_is_named(folder, tmp_path):
    (tmp_path / "odd.csv.gz").write_text("no gzip")
    said = CliRunner().invoke(app, ["train", "--data", str(tmp_path), "--out", str(tmp_path / "m")])
    assert (said.exit_code, "left out" in said.stderr, "odd.csv.gz" in said.stderr) == (1, True, True)


HEADER = b"Timestamp,AvailabilityZone,InstanceType,Available\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(HEADER + b"x" * 200_000, mtime=0), r"a\.csv\.gz, line 2: the line is too long"),
        (
            gzip.compress(HEADER + b"2026-01-01T00:00:00Z,us-east-1a,m5.large,1\n" * 9, mtime=0)[:-20],
            "break off",
        ),
        (HEADER + b"2026-01-01T00:00:00Z,us-east-1a,m5.large,\xe0\n", "Available is 0 or 1"),
        (HEADER + b'2026-01-01T00:00:00Z,us-east-1a,"m5.large,1\n', "line 2: not a CSV line"),
        (HEADER + b"2026-01-01T00:00:00Z\n", "too few columns"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, content, told):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=told):
        traces.read(path)
