"""Predictions on either database: told once, settled by a tenant's own looks and instances, counted day by day."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.errors import IllegalMove, Refused
from spotguard.domain.models import ModelName, ModelState
from spotguard.store import models, trials
from spotguard.store import tables as t
from spotguard.store.trials import Choice, Prediction
from tests.store import rows
from tests.store.rows import NEW, NOW, OLD, POOL_A, POOL_B, POOL_C

RULE = "age-hazard-v1"
SHA = "a" * 64


def registered(database, *states, name="storms", sha256=SHA):
    def work(tx):
        row = models.register(tx, NOW, name=name, sha256=sha256, card={"features": []}, by="ada")
        for state in states:
            row = models.move(tx, NOW, row, state, by="ada", because="a test")
        return row

    return database.write(work)


@pytest.fixture
def told(database):
    """Three pools of one tenant, predicted for: one that fell, one where an instance ran on, one that nobody saw."""
    client_id = rows.with_agent(database)
    rows.pools(database)
    model_id = registered(database, ModelState.SHADOW).id
    predicted = [Prediction(client_id, pool, 0.1, 0.3) for pool in (POOL_A, POOL_B, POOL_C)]
    database.write(lambda tx: trials.predict(tx, NOW, model_id, RULE, predicted))
    look = {"client_id": client_id, "pool_id": POOL_A, "up": False, "because": "it refused a launch"}
    rows.add(database, t.pool_looks, **look, seen_at=NOW + timedelta(minutes=59))
    rows.add(database, t.pool_looks, **look | {"pool_id": POOL_C}, seen_at=NOW)  # before the prediction
    machine = {
        "client_id": client_id,
        "agent_id": "agent-1",
        "current_mode": "spot",
        "launched_at": NOW - timedelta(days=1),
        "is_active": True,
        "created_at": NOW,
        "updated_at": NOW,
    }
    rows.add(database, t.instances, id=OLD, current_pool_id=POOL_B, ec2_state="running", **machine)
    gone = {"ec2_state": "terminated", "ended_at": NOW + timedelta(minutes=30)}
    rows.add(database, t.instances, id=NEW, current_pool_id=POOL_C, **machine, **gone)
    return client_id, model_id


def fell(database):
    found = sa.select(t.predictions.c.pool_id, t.predictions.c.fell, t.predictions.c.settled_at)
    return {
        row.pool_id: (row.fell, row.settled_at is not None)
        for row in database.read(lambda tx: tx.execute(found).all())
    }


def test_nothing_is_settled_before_its_hour_and_what_comes_late_is_over(database, told):
    early = NOW + timedelta(minutes=69)
    assert database.write(lambda tx: trials.settle(tx, early)) == 0
    assert database.write(lambda tx: trials.settle(tx, early + timedelta(minutes=1))) == 3
    assert fell(database) == {POOL_A: (True, True), POOL_B: (False, True), POOL_C: (None, True)}
    assert database.write(lambda tx: trials.settle(tx, early + timedelta(hours=1))) == 0


def test_the_first_prediction_of_an_hour_stands(database, told):
    client_id, model_id = told
    again = [Prediction(client_id, POOL_A, 0.9, 0.9)]
    database.write(lambda tx: trials.predict(tx, NOW + timedelta(minutes=5), model_id, RULE, again))
    risks = sa.select(t.predictions.c.present_risk).where(t.predictions.c.pool_id == POOL_A)
    assert database.read(lambda tx: tx.scalars(risks).all()) == [0.1]


def test_scores_are_of_what_is_known_beside_one_judge_and_one_tenant(database, told):
    client_id, model_id = told
    database.write(lambda tx: trials.settle(tx, NOW + timedelta(hours=2)))
    judged = database.read(lambda tx: trials.judged(tx, model_id, RULE, client_id))
    assert (judged.outcomes, judged.falls, judged.days) == (2, 1, 1)
    assert judged.present_brier == pytest.approx((0.81 + 0.01) / 2)
    assert judged.shadow_brier == pytest.approx((0.49 + 0.09) / 2)
    other = rows.client(database, "Other")
    assert database.read(lambda tx: trials.judged(tx, model_id, RULE, other)).outcomes == 0
    assert database.read(lambda tx: trials.judged(tx, model_id, "storms@9")).outcomes == 0


def test_choices_are_counted_and_what_is_old_is_forgotten(database, told):
    client_id, model_id = told
    for choice in ("stay", "save:x"):
        one = Choice(client_id, "agent-1", choice, "stay", "a test", {"gain_usd": 1.0})
        database.write(lambda tx, one=one: trials.record_choice(tx, NOW, model_id, RULE, one))
    assert database.read(lambda tx: trials.choices(tx, model_id)) == trials.Choices(2, 1)
    last = database.read(lambda tx: trials.last_choice(tx, model_id, "agent-1"))
    assert last.choice == "save:x"
    database.write(lambda tx: trials.forget(tx, NOW + trials.REMEMBERED + timedelta(seconds=1)))
    assert database.read(lambda tx: trials.choices(tx, model_id)).stored == 0
    assert fell(database) == {}


def test_a_step_is_taken_only_from_what_was_seen(database):
    row = registered(database)
    database.write(lambda tx: models.move(tx, NOW, row, ModelState.SHADOW, by="ada", because="first"))
    with pytest.raises(IllegalMove, match="somebody else was first"):
        database.write(lambda tx: models.move(tx, NOW, row, ModelState.RETIRED, by="eve", because="second"))
    assert [one.moved_by for one in database.read(models.newest_moves).values()] == ["ada"]


def test_two_cannot_be_active_at_once(database):
    registered(database, ModelState.SHADOW, ModelState.ACTIVE)
    with pytest.raises(sa.exc.IntegrityError):
        registered(database, ModelState.SHADOW, ModelState.ACTIVE, name="other", sha256="b" * 64)


def test_a_version_is_named_or_the_newest_that_fits_is_meant(database):
    registered(database, ModelState.SHADOW)
    registered(database, sha256="b" * 64)
    find = lambda version, wanted: database.read(  # noqa: E731
        lambda tx: models.named(tx, ModelName("storms", version), wanted)
    )
    assert find(None, ModelState.ACTIVE).version == 1
    assert find(None, ModelState.SHADOW).version == 2
    with pytest.raises(Refused, match="storms@2 is registered"):
        find(2, ModelState.ACTIVE)
