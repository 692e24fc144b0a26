"""What a stranger may hand over as a model file: every one is refused with one clear line, and nothing of it is run."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.models import model_file, shelf
from spotguard.models.learned import Model
from spotguard.models.model_file import CARD, MODEL
from spotguard.models.shelf import Shelf
from spotguard.store import forecasts
from tests.registry import made


def packed(body: bytes, **card) -> bytes:
    """A file whose card tells the truth about its model."""
    told = {**made.CARD, "model_sha256": hashlib.sha256(body).hexdigest(), **card}
    return zipped({CARD: json.dumps(told).encode(), MODEL: body})


def zipped(parts) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return buffer.getvalue()


def bare_estimators() -> bytes:
    """A classifier that is no pipeline."""
    table = np.zeros((4, 9))
    bare = LogisticRegression().fit(table, [0, 1, 0, 1])
    flat = IsotonicRegression().fit([0.0, 1.0], [0.1, 0.1])
    return made.body(made=[Model(minutes, "logistic", bare, flat) for minutes in (15, 60, 360)])


def card_of(text: bytes) -> bytes:
    return zipped({CARD: text, MODEL: b""})


HOSTILE = {
    "nothing": b"",
    "words": b"not a zip at all",
    "an empty zip": b"PK\x05\x06" + bytes(18),
    "cut short": made.body()[: len(made.body()) // 2],
    "another zip": zipped({"a.txt": b"x"}),
    "a model that is no zip": packed(b"x" * 100),
    "a model that is an empty zip": packed(zipped({})),
    "a schema that is none": packed(zipped({"schema.json": b"[]"})),
    "a schema of nonsense": packed(zipped({"schema.json": b'{"__class__": 1, "protocol": 0}'})),
    "other parts": packed(skops.io.dumps(["a", "b"])),
    "parts that lack something": packed(skops.io.dumps([{"minutes": 15}])),
    "no parts": packed(skops.io.dumps([])),
    "numbers for estimators": packed(
        skops.io.dumps(
            [{"minutes": m, "kind": "x", "classifier": 1, "calibration": 2} for m in (15, 60, 360)]
        )
    ),
    "estimators that are not fitted as ours": bare_estimators(),
    "too few horizons": made.body(made=made.models()[:1]),
    "a deep card": card_of(b"[" * 100_000),
    "a card that is no object": card_of(b"[]"),
    "a card without a number": card_of(b'{"x": NaN}'),
    "a card in no language": card_of(b"\xff\xfe"),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_it_is_refused_with_one_line(tmp_path, body):
    path = tmp_path / "m.model"
    path.write_bytes(body)
    with pytest.raises(InvalidInput) as caught:
        shelf.offered(path)
    assert "m.model" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_boosted_trees_are_opened_too():
    table = np.random.default_rng(0).normal(size=(60, len(made.CARD["features"])))
    trees = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=5)
    boosted = make_pipeline(SimpleImputer(keep_empty_features=True), trees).fit(table, table[:, 0] > 0)
    flat = made.models()[0].calibration
    body = made.body(made=[Model(minutes, "boosted", boosted, flat) for minutes in (15, 60, 360)])
    models, _ = model_file.opened(body, "m")
    assert [model.kind for model in models] == ["boosted"] * 3


def test_every_byte_that_is_changed_is_refused_or_harmless(tmp_path):
    """Dice: whatever is flipped, it is refused, or the model says what it said."""
    body, dice = made.body(), np.random.default_rng(7)
    table = np.zeros((1, len(made.CARD["features"])))
    said = [m.probability(table)[0] for m in model_file.opened(body, "m")[0]]
    for place in dice.integers(0, len(body), size=60).tolist():
        changed = body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]
        try:
            models, _ = model_file.opened(changed, "m")
        except InvalidInput:
            continue
        assert [m.probability(table)[0] for m in models] == said, place


def test_a_file_that_unpacks_to_too_much_is_refused_unread(tmp_path):
    bomb = zipped({CARD: b"{}", MODEL: bytes(model_file.MOST_BYTES + 1)})
    assert len(bomb) < 1 << 20
    nested = packed(zipped({"schema.json": bytes(model_file.MOST_BYTES + 1)}))
    for body in (bomb, nested):
        path = tmp_path / "m.model"
        path.write_bytes(body)
        with pytest.raises(InvalidInput, match="too large"):
            shelf.offered(path)


def test_a_huge_file_is_refused_by_its_size_alone(tmp_path):
    path = tmp_path / "m.model"
    with path.open("wb") as file:
        file.truncate(model_file.MOST_BYTES + 1)
    with pytest.raises(InvalidInput, match="too large"):
        shelf.offered(path)


def test_one_made_for_other_features_or_by_another_library_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="other features"):
        shelf.offered(made.file(tmp_path, features=["price"]))
    with pytest.raises(Refused, match=r"made with scikit-learn 0\.1"):
        shelf.offered(made.file(tmp_path, scikit_learn="0.1"))


def test_the_shelf_opens_a_file_only_under_its_own_hash(tmp_path):
    there = Shelf(tmp_path / "models")
    found = shelf.offered(made.file(tmp_path))
    there.put(found)
    rule = forecasts.rule()
    assert there.hazard("storms@1", found.sha256, rule).name == "storms@1"
    with pytest.raises(NotFound):
        there.hazard("x@1", "0" * 64, rule)
    with pytest.raises(InvalidInput, match="SHA-256"):
        there.hazard("x@1", "../../etc/passwd", rule)
    (tmp_path / "models" / f"{'0' * 64}.model").write_bytes(found.body)
    with pytest.raises(InvalidInput, match="its hash is another"):
        there.hazard("x@1", "0" * 64, rule)


def test_a_process_without_a_folder_has_no_models():
    with pytest.raises(NotFound, match="no folder"):
        Shelf(None).hazard("x@1", "0" * 64, forecasts.rule())


def test_the_command_says_it_in_one_line(shell, tmp_path):
    path = tmp_path / "m.model"
    path.write_bytes(b"not a zip")
    assert "not a model file" in shell.fails("model", "register", str(path))
