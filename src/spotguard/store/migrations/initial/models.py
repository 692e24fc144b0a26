"""Tables of the first revision, frozen: models. Written by scripts/freeze_initial_schema.py."""
# ruff: noqa: E501 -- frozen SQL is not folded

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import UtcTime

models = sa.Table(
    "models",
    frozen,
    sa.Column("id", sa.String(length=36), nullable=False),
    sa.Column("name", sa.String(length=48), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("file_sha256", sa.String(length=64), nullable=False),
    sa.Column("card", sa.JSON(), nullable=False),
    sa.Column("state", sa.String(length=50), nullable=False),
    sa.Column("duty", sa.String(length=50), nullable=True),
    sa.Column("registered_at", UtcTime(), nullable=False),
    sa.Column("state_at", UtcTime(), nullable=False),
    sa.Column("state_by", sa.String(length=255), nullable=False),
    sa.CheckConstraint(
        "(state IN ('shadow', 'active') AND duty IS NOT NULL AND duty = state) OR (state NOT IN ('shadow', 'active') AND duty IS NULL)",
        name=sa.schema.conv("ck_one_on_duty_models"),
    ),
    sa.CheckConstraint(
        "state IN ('registered', 'shadow', 'active', 'retired', 'rejected')",
        name=sa.schema.conv("ck_state_legal_models"),
    ),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_models")),
    sa.UniqueConstraint("duty", name=sa.schema.conv("uq_models_duty")),
    sa.UniqueConstraint("name", "version", name=sa.schema.conv("uq_models_name_version")),
    **MYSQL,
)

model_moves = sa.Table(
    "model_moves",
    frozen,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("model_id", sa.String(length=36), nullable=False),
    sa.Column("at", UtcTime(), nullable=False),
    sa.Column("moved_by", sa.String(length=255), nullable=False),
    sa.Column("from_state", sa.String(length=50), nullable=True),
    sa.Column("to_state", sa.String(length=50), nullable=False),
    sa.Column("because", sa.Text(), nullable=False),
    sa.Column("forced", sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=sa.schema.conv("fk_model_moves_model_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_model_moves")),
    **MYSQL,
)

predictions = sa.Table(
    "predictions",
    frozen,
    sa.Column("model_id", sa.String(length=36), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("pool_id", sa.String(length=128), nullable=False),
    sa.Column("hour", UtcTime(), nullable=False),
    sa.Column("at", UtcTime(), nullable=False),
    sa.Column("present", sa.String(length=64), nullable=False),
    sa.Column("present_risk", sa.Double(), nullable=False),
    sa.Column("shadow_risk", sa.Double(), nullable=False),
    sa.Column("settled_at", UtcTime(), nullable=True),
    sa.Column("fell", sa.Boolean(), nullable=True),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_predictions_client_id")),
    sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=sa.schema.conv("fk_predictions_model_id")),
    sa.ForeignKeyConstraint(["pool_id"], ["spot_pools.id"], name=sa.schema.conv("fk_predictions_pool_id")),
    sa.PrimaryKeyConstraint(
        "model_id", "client_id", "pool_id", "hour", name=sa.schema.conv("pk_predictions")
    ),
    sa.Index("idx_prediction_open", "settled_at", "at"),
    **MYSQL,
)

shadow_decisions = sa.Table(
    "shadow_decisions",
    frozen,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("agent_id", sa.String(length=36), nullable=False),
    sa.Column("model_id", sa.String(length=36), nullable=False),
    sa.Column("decided_at", UtcTime(), nullable=False),
    sa.Column("choice", sa.String(length=160), nullable=False),
    sa.Column("present", sa.String(length=64), nullable=False),
    sa.Column("present_choice", sa.String(length=160), nullable=False),
    sa.Column("differs", sa.Boolean(), nullable=False),
    sa.Column("because", sa.Text(), nullable=False),
    sa.Column("expected", sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=sa.schema.conv("fk_shadow_decisions_agent_id")),
    sa.ForeignKeyConstraint(
        ["client_id"], ["clients.id"], name=sa.schema.conv("fk_shadow_decisions_client_id")
    ),
    sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=sa.schema.conv("fk_shadow_decisions_model_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_shadow_decisions")),
    sa.Index("idx_shadow_agent_time", "agent_id", "decided_at"),
    sa.Index("idx_shadow_model_client", "model_id", "client_id"),
    **MYSQL,
)
