"""The tables of docs/engine.md: what is written where, of little numbers."""

import pytest

from spotguard.bench import engine_tables, engine_tables_text


def test_tables_come_between_the_markers_and_nothing_else_changes():
    doc = f"# Before\n\n{engine_tables.BEGIN}\nold\n{engine_tables.END}\n\nAfter.\n"
    written = engine_tables.put_into(doc, "| new |")
    assert written == f"# Before\n\n{engine_tables.BEGIN}\n\n| new |\n\n{engine_tables.END}\n\nAfter.\n"
    assert engine_tables.put_into(written, "| new |") == written


def test_a_document_without_markers_is_refused():
    with pytest.raises(ValueError, match="unpack"):
        engine_tables.put_into("# Nothing", "| new |")


def test_prediction_tells_each_horizon_with_its_baselines():
    score = {"auc": 0.8, "brier_skill": 0.1, "calibration_slope": None}
    names = ("shipped", "elsewhere", "learned", "time since flip")
    told = engine_tables_text.predicted(
        [{"region": "eu-west-1", "minutes": 15, "falls": 0.1, **dict.fromkeys(names, score)}]
    )
    assert "| eu-west-1 | 15 | 10 % | shipped | 0.800 | 0.100 |  |" in told
    assert "|  |  |  | time since flip | 0.800 | 0.100 |  |" in told
