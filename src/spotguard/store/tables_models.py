"""The registry of learned models, what the one in shadow would have done, and what its predictions came to."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.models import ModelState
from spotguard.store.tables_meta import MYSQL, metadata, pool_id, ref, sentence, uuid, word
from spotguard.store.types import UtcTime, one_of

label = sa.String(64)

models = sa.Table(
    "models",
    metadata,
    # the file is data: it lies in the model folder under its hash, and is read only if it has that hash
    sa.Column("id", uuid, primary_key=True),
    sa.Column("name", sa.String(48), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # 1, 2, … within a name
    sa.Column("file_sha256", sa.String(64), nullable=False),
    sa.Column("card", sa.JSON, nullable=False),  # data, split, scores beside the baselines
    sa.Column("state", word, nullable=False),
    sa.Column("duty", word),  # the state, if only one may be in it: the unique key keeps it to one
    sa.Column("registered_at", UtcTime, nullable=False),
    sa.Column("state_at", UtcTime, nullable=False),
    sa.Column("state_by", sa.String(255), nullable=False),
    sa.UniqueConstraint("name", "version"),
    sa.UniqueConstraint("duty"),
    one_of("state", ModelState),
    sa.CheckConstraint(
        "(state IN ('shadow', 'active') AND duty IS NOT NULL AND duty = state) "
        "OR (state NOT IN ('shadow', 'active') AND duty IS NULL)",
        name="ck_one_on_duty",
    ),
    **MYSQL,
)

model_moves = sa.Table(
    "model_moves",
    metadata,
    # every step of a model's life; coordinators notice by the newest id that the registry has changed
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    ref("model_id", "models.id", uuid),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("moved_by", sa.String(255), nullable=False),
    sa.Column("from_state", word),  # NULL: it was registered
    sa.Column("to_state", word, nullable=False),
    sa.Column("because", sentence, nullable=False),
    sa.Column("forced", sa.Boolean, nullable=False),  # its live outcomes did not speak for it
    **MYSQL,
)

shadow_decisions = sa.Table(
    "shadow_decisions",
    metadata,
    # what the model in shadow would have proposed. A table of its own: nothing that acts reads it
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    ref("client_id", "clients.id", uuid),
    ref("agent_id", "agents.id", uuid),
    ref("model_id", "models.id", uuid),
    sa.Column("decided_at", UtcTime, nullable=False),
    sa.Column("choice", sa.String(160), nullable=False),  # stay, or aim and target
    sa.Column("present", label, nullable=False),  # whose risks decided
    sa.Column("present_choice", sa.String(160), nullable=False),
    sa.Column("differs", sa.Boolean, nullable=False),
    sa.Column("because", sentence, nullable=False),
    sa.Column("expected", sa.JSON, nullable=False),
    sa.Index("idx_shadow_agent_time", "agent_id", "decided_at"),
    sa.Index("idx_shadow_model_client", "model_id", "client_id"),
    **MYSQL,
)

predictions = sa.Table(
    "predictions",
    metadata,
    # probability of an interruption or refusal within an hour, by who decides and by the model in shadow: one for each
    # pool of a tenant and hour of the clock in which it ran there or was about to go there
    ref("model_id", "models.id", uuid),
    ref("client_id", "clients.id", uuid),
    ref("pool_id", "spot_pools.id", pool_id),
    sa.Column("hour", UtcTime, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("present", label, nullable=False),
    sa.Column("present_risk", sa.Double, nullable=False),
    sa.Column("shadow_risk", sa.Double, nullable=False),
    sa.Column("settled_at", UtcTime),  # NULL: its hour is not over
    sa.Column("fell", sa.Boolean),  # NULL when settled: nobody saw
    sa.PrimaryKeyConstraint("model_id", "client_id", "pool_id", "hour"),
    sa.Index("idx_prediction_open", "settled_at", "at"),
    **MYSQL,
)
