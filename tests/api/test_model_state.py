"""`/health` tells whose risks decide and how the model on trial does, by the tenant's own outcomes alone."""

import hashlib
from datetime import timedelta

import sqlalchemy as sa

from spotguard.domain.models import ModelState
from spotguard.domain.pools import parse_pool_id
from spotguard.models.shelf import Offered, Shelf
from spotguard.store import models, trials
from spotguard.store.pools import ensure_pools
from spotguard.store.tables import predictions
from tests.api.world import POOL_A, World
from tests.registry import made

BODY = made.body()
SHA = hashlib.sha256(BODY).hexdigest()


def in_state(world, *states, sha256=SHA, name="storms"):
    def work(tx):
        now = world.clock.now()
        row = models.register(tx, now, name=name, sha256=sha256, card={}, by="ada")
        for state in states:
            row = models.move(tx, now, row, state, by="ada", because="a test")
        return row

    return world.write(work)


def with_folder(tmp_path):
    Shelf(tmp_path).put(Offered(BODY, SHA, made.CARD))
    return World(model_folder=tmp_path)


def settled(world, tenant, model_id, *, fell):
    """One hour of one pool, for which the present one said 0.5 and the shadow 0.1."""
    now = world.clock.now()

    def work(tx):
        ensure_pools(tx, now, [parse_pool_id(POOL_A)])
        told = [trials.Prediction(tenant.id, POOL_A, 0.5, 0.1)]
        trials.predict(tx, now, model_id, "age-hazard-v1", told)
        tx.execute(
            sa.update(predictions)
            .where(predictions.c.client_id == tenant.id)
            .values(settled_at=now, fell=fell)
        )

    world.write(work)


def test_a_model_on_trial_is_told_with_this_tenants_outcomes_only(tmp_path):
    world = with_folder(tmp_path)
    acme, other = world.tenant(), world.tenant("Other")
    row = in_state(world, ModelState.SHADOW)
    settled(world, acme, row.id, fell=False)
    told = acme.get("/health")["model"]
    assert (told["risk"], told["active"]) == ("age-hazard-v1", None)
    shadow = told["shadow"]
    assert (shadow["name"], shadow["since"], shadow["flaw"]) == (
        "storms@1",
        "2026-03-01T12:00:00.000000Z",
        None,
    )
    assert (shadow["outcomes"], shadow["falls"], shadow["days"]) == (1, 0, 1)
    assert (shadow["presentBrier"], round(shadow["shadowBrier"], 6)) == (0.25, 0.01)
    assert (shadow["margin"], shadow["beats"]) == (None, False)
    assert "1 of 300 outcomes" in shadow["because"]
    theirs = other.get("/health")["model"]["shadow"]
    assert (theirs["outcomes"], theirs["presentBrier"], theirs["betterBy"]) == (0, None, None)


def test_an_active_model_judges_and_its_age_is_told(tmp_path):
    world = with_folder(tmp_path)
    acme = world.tenant()
    in_state(world, ModelState.SHADOW, ModelState.ACTIVE)
    told = acme.get("/health")["model"]
    assert (told["policy"], told["risk"], told["shadow"]) == ("rules-v1", "storms@1", None)
    assert told["active"] == {
        "name": "storms@1",
        "registeredAt": "2026-03-01T12:00:00.000000Z",
        "since": "2026-03-01T12:00:00.000000Z",
        "flaw": None,
    }
    world.clock.time += timedelta(days=91)
    told = acme.get("/health")["model"]
    assert told["risk"] is None
    assert "stale" in told["active"]["flaw"]


def test_a_flaw_names_no_path_of_the_server(tmp_path):
    world = World(model_folder=tmp_path / "nothing")
    acme = world.tenant()
    in_state(world, ModelState.SHADOW, ModelState.ACTIVE)
    flaw = acme.get("/health")["model"]["active"]["flaw"]
    assert "not in the model folder" in flaw
    assert str(tmp_path) not in flaw
