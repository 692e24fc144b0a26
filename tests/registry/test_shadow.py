"""A model in shadow decides beside the present one, is compared with what happens, and does nothing."""

import hashlib
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
import sqlalchemy as sa

from spotguard.domain.errors import Refused
from spotguard.domain.ids import InstanceId
from spotguard.domain.models import ModelName, ModelState
from spotguard.engine import features
from spotguard.models.shelf import Offered, Shelf
from spotguard.store import approvals, models, tenants, trials
from spotguard.store.pools import ensure_pools
from spotguard.store.tables import (
    commands,
    decisions,
    model_moves,
    pool_looks,
    predictions,
    shadow_decisions,
    switches,
)
from spotguard.store.tables import models as registry
from tests.cloud.scene import prices as market
from tests.coordinator.scene import A, B, C, Scene
from tests.registry import made

CALM = market((A, -60, "0.040000"), (B, -60, "0.039900"), (C, -60, "0.039800"))
HOUR = 3600


class Story(Scene):
    """With a folder of models, and an operator who registers them."""

    def __init__(self, folder, **more) -> None:
        super().__init__(model_folder=folder, **more)
        self.shelf = Shelf(folder)

    def put(self, body, *states, name="storms"):
        """Registered, and moved on from state to state."""
        found = Offered(body, hashlib.sha256(body).hexdigest(), made.CARD)
        self.shelf.put(found)

        def work(tx):
            row = models.register(tx, self.now, name=name, sha256=found.sha256, card=found.card, by="ada")
            for state in states:
                row = models.move(tx, self.now, row, state, by="ada", because="a story")
            return row

        return self.db.write(work)

    def file_of(self, row):
        return self.shelf.folder / f"{row.file_sha256}.model"

    def move(self, name, state):
        def work(tx):
            row = models.named(tx, ModelName(name, None), state)
            return models.move(tx, self.now, row, state, by="ada", because="a story")

        return self.db.write(work)


SHADOW = (ModelState.SHADOW,)
ACTIVE = (ModelState.SHADOW, ModelState.ACTIVE)


def test_without_a_registered_model_nothing_is_asked_of_the_registry(tmp_path):
    story = Story(tmp_path)
    story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    asked: list[str] = []
    sa.event.listen(story.db.engine, "before_cursor_execute", lambda _c, _cur, sql, *_: asked.append(sql))
    story.run(HOUR)
    assert len(story.rows(decisions)) >= 1
    ours = [sql for sql in asked if any(name in sql for name in ("predictions", "shadow_", " models"))]
    assert ours == []


def test_it_predicts_hour_by_hour_and_what_stood_is_settled(tmp_path):
    story = Story(tmp_path, prices=CALM)
    story.protect(pool=A)
    it_fell_once(story, A)
    row = story.put(made.body(says=0.05), *SHADOW)
    story.run(4 * HOUR)
    told = sorted(story.rows(predictions), key=lambda one: one.at)
    assert {one.pool_id for one in told} == {A.id}
    assert len(told) in (4, 5)  # each hour of the clock once, however many passes there were
    assert {one.present for one in told} == {"age-hazard-v1"}
    assert all(0 < one.present_risk < one.shadow_risk == pytest.approx(0.05) for one in told[:1])
    over = [one for one in told if one.at < story.now - trials.HORIZON - timedelta(minutes=20)]
    assert [one.fell for one in over] == [False] * len(over) != []
    judged = story.db.read(lambda tx: trials.judged(tx, row.id, "age-hazard-v1"))
    assert (judged.outcomes, judged.falls) == (len(over), 0)
    assert judged.present_brier < judged.shadow_brier == pytest.approx(0.0025)
    assert not judged.beats
    assert story.breaches() == []


def test_an_interruption_within_the_hour_is_a_fall(tmp_path):
    story = Story(tmp_path, prices=CALM)
    agent = story.protect(pool=A)
    story.put(made.body(says=0.9), *SHADOW)
    story.run(1800)
    story.ec2.controls.interrupt(InstanceId(story.serving(agent)))
    story.run(2 * HOUR)
    first = min(story.rows(predictions, predictions.c.pool_id == A.id), key=lambda one: one.at)
    assert first.fell is True


def test_what_nobody_saw_stays_unknown(tmp_path):
    story = Story(tmp_path, prices=CALM)
    story.protect(pool=A)
    row = story.put(made.body(), *SHADOW)
    told = [trials.Prediction(story.client_id, B.id, 0.1, 0.2)]
    story.db.write(lambda tx: ensure_pools(tx, story.now, [B]))
    story.db.write(lambda tx: trials.predict(tx, story.now, row.id, "age-hazard-v1", told))
    story.run(2 * HOUR)
    (one,) = story.rows(predictions, predictions.c.pool_id == B.id)
    assert one.settled_at is not None
    assert one.fell is None


@pytest.mark.long
def test_a_frightened_shadow_is_written_down_and_moves_nobody(tmp_path):
    story = Story(tmp_path, prices=CALM)
    agent = story.protect(pool=A, minute_value_usd=Decimal("0.1"))
    row = story.put(made.body(says=0.9999), *SHADOW)
    it_fell_once(story, A)
    story.run(3 * HOUR)
    told = story.rows(shadow_decisions)
    assert [(one.choice, one.present_choice, one.differs) for one in told] == [
        ("escape:ondemand", "stay", True)
    ]
    assert told[0].model_id == row.id
    assert "likely to fall" in told[0].because
    assert (story.rows(commands), story.rows(switches)) == ([], [])
    assert {one.verdict for one in story.rows(decisions)} == {"stay"}
    assert story.agent(agent).current_pool_id == A.id
    story.run(24 * HOUR)
    assert len(story.rows(shadow_decisions)) == 2  # one sample a day


def it_fell_once(story, pool, hours=100.0):
    """The pool was seen to fall and to rise again, long ago, so that it has weather, and little."""
    row = {"client_id": story.client_id, "pool_id": pool.id, "because": "a story"}
    looks = [
        row | {"seen_at": story.now - timedelta(hours=ago), "up": up}
        for ago, up in ((hours + 1, False), (hours, True))
    ]
    story.db.write(lambda tx: ensure_pools(tx, story.now, [pool]))
    story.db.write(lambda tx: tx.execute(sa.insert(pool_looks), looks))


def test_prices_that_go_to_and_fro_make_no_flood_of_choices(tmp_path):
    told = [(A, -60, "0.040000"), (B, -60, "0.040000"), (C, -60, "0.040000")]
    for number in range(18):  # six hours; every twenty minutes another pool is far cheaper
        cheap, dear = (B, C) if number % 2 else (C, B)
        told += [(cheap, 20 * number + 5, "0.010000"), (dear, 20 * number + 5, "0.040000")]
    story = Story(tmp_path, prices=market(*told))
    agent = story.protect(pool=A)
    story.config(agent, autonomy="observe")
    story.put(made.body(says=0.0001), *SHADOW)
    story.run(6 * HOUR)
    choices = story.rows(shadow_decisions)
    assert {one.choice for one in choices} == {"stay", f"save:{B.id}", f"save:{C.id}"}
    assert len(choices) <= 7


def test_an_active_model_judges_and_says_so(tmp_path):
    story = Story(tmp_path)
    story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    for pool in (B, C):
        it_fell_once(story, pool)
    story.put(made.body(says=0.9), *ACTIVE)
    story.run(HOUR)
    told = story.rows(decisions)
    assert {one.inputs["risk_model"] for one in told} == {"storms@1"}
    assert {float(pool["risk_6h"]) > 0.99 for pool in told[0].inputs["pools"] if pool["id"] != A.id} == {True}
    assert story.rows(switches) == []  # the risk limit disposes


def test_an_active_model_whose_file_is_another_stops_voluntary_moves_until_it_is_retired(tmp_path):
    story = Story(tmp_path)
    agent = story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    row = story.put(made.body(), *ACTIVE)
    story.file_of(row).write_bytes(made.body(says=0.5))
    story.run(HOUR)
    (said,) = story.rows(decisions)
    assert said.verdict == "stay"
    assert "storms@1 is not the one that was registered" in said.because
    assert story.rows(switches) == []
    story.move("storms", ModelState.RETIRED)
    story.run(HOUR, until=lambda: story.agent(agent).current_pool_id != A.id)
    newest = max(story.rows(decisions), key=lambda one: one.decided_at)
    assert newest.inputs["risk_model"] == "age-hazard-v1"


def test_a_file_that_comes_late_is_taken_up(tmp_path):
    story = Story(tmp_path)
    story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    row = story.put(made.body(), *ACTIVE)
    body = story.file_of(row).read_bytes()
    story.file_of(row).unlink()
    story.run(1200)
    assert "not in the model folder" in story.rows(decisions)[0].because
    story.file_of(row).write_bytes(body)
    story.run(1200)
    newest = max(story.rows(decisions), key=lambda one: one.decided_at)
    assert newest.inputs["expected"] is not None
    assert "model folder" not in newest.because


def test_a_model_that_grows_stale_decides_no_more(tmp_path):
    story = Story(tmp_path, prices=CALM)
    story.protect(pool=A)
    row = story.put(made.body(), *ACTIVE)
    long_ago = story.now - timedelta(days=91)
    story.db.write(
        lambda tx: tx.execute(
            sa.update(registry).where(registry.c.id == row.id).values(registered_at=long_ago)
        )
    )
    story.run(1200)
    assert "storms@1 is stale: registered 91 days ago" in story.rows(decisions)[0].because


def silent():
    """A model that is fine when it is registered, and says no number of pools that were ever seen."""
    parts = made.models()
    for model in parts:
        steps = model.classifier.named_steps
        steps["standardscaler"].mean_[:] = 0.0
        steps["standardscaler"].scale_[:] = 1.0
        steps["simpleimputer"].statistics_[:] = 0.0
        weights = np.zeros_like(steps["logisticregression"].coef_)
        weights[0, features.NAMES.index("log_drops_6h")] = 1.7e308
        steps["logisticregression"].coef_ = weights
        steps["logisticregression"].intercept_ = np.array([np.inf])  # less infinity is no number
    return made.body(made=parts)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_active_model_that_says_no_number_stops_voluntary_moves(tmp_path):
    story = Story(tmp_path)
    story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    story.put(silent(), *ACTIVE)
    story.run(HOUR)
    assert story.rows(switches) == []
    assert {one.because for one in story.rows(decisions)} == {f"storms@1 says no number for {A.id}"}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_shadow_that_says_no_number_harms_nobody(tmp_path):
    story = Story(tmp_path)
    agent = story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    story.put(silent(), *SHADOW)
    story.run(HOUR, until=lambda: story.agent(agent).current_pool_id != A.id)
    assert story.rows(shadow_decisions) == []


def test_a_shadow_whose_file_is_another_is_rejected(tmp_path):
    story = Story(tmp_path)
    agent = story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    row = story.put(made.body(), *SHADOW)
    story.file_of(row).write_bytes(b"something else")
    story.run(HOUR, until=lambda: story.agent(agent).current_pool_id != A.id)
    assert [one.state for one in story.rows(registry)] == ["rejected"]
    last = max(story.rows(model_moves), key=lambda one: one.id)
    assert (last.from_state, last.moved_by) == ("shadow", "one")
    assert "its hash is another" in last.because


def test_two_coordinators_predict_once(tmp_path):
    story = Story(tmp_path, prices=CALM)
    story.protect(pool=A)
    story.put(made.body(), *SHADOW)
    second = story.new_coordinator("two")
    for _ in range(6):
        story.run(600)
        second.run_pass()
    hours = [(one.pool_id, one.hour) for one in story.rows(predictions)]
    assert len(hours) == len(set(hours)) >= 1


def test_what_another_tenant_saw_settles_nothing(tmp_path):
    story = Story(tmp_path, prices=CALM)
    story.protect(pool=A)
    row = story.put(made.body(), *SHADOW)

    other, _ = story.db.write(lambda tx: tenants.create_client(tx, story.now, "them"))
    told = [trials.Prediction(other, A.id, 0.1, 0.2)]
    story.db.write(lambda tx: trials.predict(tx, story.now, row.id, "age-hazard-v1", told))
    story.run(3 * HOUR)
    (theirs,) = story.rows(predictions, predictions.c.client_id == other)
    assert theirs.fell is None  # ours ran there, theirs did not
    mine = story.db.read(lambda tx: trials.judged(tx, row.id, "age-hazard-v1", story.client_id))
    yours = story.db.read(lambda tx: trials.judged(tx, row.id, "age-hazard-v1", other))
    assert mine.outcomes >= 1
    assert yours.outcomes == 0


def waiting(story, agent):
    """The newest proposal that waits for a person."""
    story.config(agent, autonomy="approve")
    at = decisions.c.verdict == "await_approval"
    story.run(1200, until=lambda: bool(story.rows(decisions, at)))
    return max(story.rows(decisions, at), key=lambda one: one.decided_at)


def approve(story, row):
    return story.db.write(
        lambda tx: approvals.approve(tx, story.now, story.client_id, row.id, story.coordinator.ctx.shelf)
    )


def test_a_person_approves_what_the_active_model_proposes(tmp_path):
    story = Story(tmp_path)
    agent = story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    it_fell_once(story, C, hours=0.5)  # the built-in rule would not go there now
    story.put(made.body(says=0.001), *ACTIVE)
    row = waiting(story, agent)
    assert (row.target_pool_id, row.inputs["risk_model"]) == (C.id, "storms@1")
    approve(story, row)
    story.run(1800, until=lambda: story.agent(agent).current_pool_id == C.id)


def test_nothing_can_be_approved_while_the_active_model_cannot_be_asked(tmp_path):
    story = Story(tmp_path)
    agent = story.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
    model = story.put(made.body(says=0.001), *ACTIVE)
    row = waiting(story, agent)
    long_ago = story.now - timedelta(days=100)
    story.db.write(
        lambda tx: tx.execute(
            sa.update(registry).where(registry.c.id == model.id).values(registered_at=long_ago)
        )
    )
    with pytest.raises(Refused, match="no voluntary move is made: storms@1 is stale"):
        approve(story, row)
