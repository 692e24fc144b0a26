"""A prepared statement answers as the same statement executed by SQLAlchemy, on both databases."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

import spotguard.store
from spotguard.store import prices
from spotguard.store import tables as t
from spotguard.store.batches import SIZE, batch_of, batched
from spotguard.store.prepared import Prepared
from tests.store import rows
from tests.store.rows import NOW, POOL_A, POOL_B, POOL_C

_s = t.spot_price_snapshots.c
LATE = NOW + timedelta(hours=1)


@pytest.fixture
def told(database):
    """Three prices, of three pools."""
    rows.pools(database)
    some = [(POOL_A, Decimal("0.0069")), (POOL_B, Decimal("0.5")), (POOL_C, Decimal("1.25"))]
    database.write(lambda tx: prices.record_report(tx, NOW, None, NOW, some))
    return database


def test_rows_have_the_same_values_of_the_same_types(told):
    statement = sa.select(_s.pool_id, _s.price, _s.captured_at, _s.client_id).where(
        _s.price > sa.bindparam("floor", type_=_s.price.type), _s.pool_id != "nothing"
    )
    asked = {"floor": Decimal("0.1")}
    usual = told.read(lambda tx: tx.execute(statement.order_by(_s.price), asked).all())
    found = told.read(lambda tx: Prepared(statement.order_by(_s.price)).rows(tx, asked))
    assert [tuple(row) for row in found] == [tuple(row) for row in usual]
    assert (found[0].pool_id, found[0].price, found[0].captured_at) == (POOL_B, Decimal("0.5"), NOW)
    assert found[0].captured_at.tzinfo is not None


def test_the_first_row_or_none(told):
    cheapest = Prepared(sa.select(_s.price).where(_s.price < sa.bindparam("roof")).order_by(_s.price))
    assert told.read(lambda tx: cheapest.first(tx, {"roof": Decimal(1)})).price == Decimal("0.0069")
    assert told.read(lambda tx: cheapest.first(tx, {"roof": Decimal("0.001")})) is None


def test_a_change_tells_how_many_rows_it_met_and_belongs_to_the_transaction(told):
    advance = Prepared(
        sa.update(t.spot_price_snapshots)
        .where(_s.price >= sa.bindparam("floor"))
        .values(captured_at=sa.bindparam("at"))
    )

    def lost(tx):
        assert advance.change(tx, {"floor": Decimal("0.5"), "at": LATE}) == 2
        raise KeyError("the rest of the transaction fails")

    with pytest.raises(KeyError):
        told.write(lost)
    assert told.read(lambda tx: tx.scalar(sa.select(sa.func.max(_s.captured_at)))) == NOW
    assert told.write(lambda tx: advance.change(tx, {"floor": Decimal("0.5"), "at": LATE})) == 2
    assert told.read(lambda tx: tx.scalar(sa.select(sa.func.max(_s.captured_at)))) == LATE


@pytest.mark.parametrize("known", [1, SIZE - 1, SIZE, SIZE + 1])
def test_a_list_of_any_length_is_asked_for_in_batches_of_one(told, known):
    asked = [POOL_A, *(f"x9.large.ap-south-1{n}" for n in range(known - 1))]
    named = Prepared(sa.select(_s.pool_id).where(_s.pool_id.in_(batch_of(_s.pool_id))))
    assert told.read(lambda tx: [row.pool_id for some in batched(asked) for row in named.rows(tx, some)]) == [
        POOL_A
    ]
    assert list(batched([])) == []


def test_a_value_that_is_forgotten_is_no_null(told):
    """A wall or a condition that compares with NULL meets nothing, and says nothing of it."""
    wanted = Prepared(sa.select(_s.pool_id).where(_s.pool_id == sa.bindparam("wanted")))
    with pytest.raises((KeyError, sa.exc.StatementError), match="wanted"):
        told.read(lambda tx: wanted.rows(tx, {"misspelt": POOL_A}))


def _everywhere():
    """Every prepared statement of the store, by its name."""
    for module in pkgutil.iter_modules(spotguard.store.__path__, "spotguard.store."):
        for name, found in vars(importlib.import_module(module.name)).items():
            several = found.values() if isinstance(found, dict) else [found]
            yield from ((f"{module.name}.{name}", one) for one in several if isinstance(one, Prepared))


def test_no_change_names_a_value_as_a_column_is_named():
    """Where SQLAlchemy itself executes it, such a value would be taken for the column's."""
    statements = list(_everywhere())
    assert len(statements) > 50
    for name, prepared in statements:
        statement = prepared._statement
        if isinstance(statement, sa.Update):
            asked = [bind.key for bind in statement.compile().bind_names if bind.required]
            assert not set(asked) & set(statement.table.c.keys()), name
