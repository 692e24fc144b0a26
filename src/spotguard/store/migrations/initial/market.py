"""Tables of the first revision, frozen: market. Written by scripts/freeze_initial_schema.py."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

instance_types = sa.Table(
    "instance_types",
    frozen,
    sa.Column("instance_type", sa.String(length=32), nullable=False),
    sa.Column("facts", sa.JSON(), nullable=False),
    sa.Column("seen_at", UtcTime(), nullable=False),
    sa.PrimaryKeyConstraint("instance_type", name=sa.schema.conv("pk_instance_types")),
    **MYSQL,
)

ondemand_prices = sa.Table(
    "ondemand_prices",
    frozen,
    sa.Column("region", sa.String(length=32), nullable=False),
    sa.Column("instance_type", sa.String(length=32), nullable=False),
    sa.Column("product", sa.String(length=64), nullable=False),
    sa.Column("source_client_id", sa.String(length=36), nullable=False),
    sa.Column("price", Money(precision=12, scale=6), nullable=False),
    sa.Column("captured_at", UtcTime(), nullable=False),
    sa.CheckConstraint("price > 0", name=sa.schema.conv("ck_price_positive_ondemand_prices")),
    sa.PrimaryKeyConstraint(
        "region", "instance_type", "product", "source_client_id", name=sa.schema.conv("pk_ondemand_prices")
    ),
    **MYSQL,
)

spot_pools = sa.Table(
    "spot_pools",
    frozen,
    sa.Column("id", sa.String(length=128), nullable=False),
    sa.Column("pool_name", sa.String(length=255), nullable=True),
    sa.Column("instance_type", sa.String(length=32), nullable=False),
    sa.Column("region", sa.String(length=32), nullable=False),
    sa.Column("az", sa.String(length=32), nullable=False),
    sa.Column("az_id", sa.String(length=32), nullable=True),
    sa.Column("product", sa.String(length=64), nullable=False),
    sa.Column("created_at", UtcTime(), nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_spot_pools")),
    sa.UniqueConstraint("instance_type", "region", "az", "product", name="unique_pool"),
    sa.Index("idx_type_region", "instance_type", "region"),
    **MYSQL,
)

pool_looks = sa.Table(
    "pool_looks",
    frozen,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("pool_id", sa.String(length=128), nullable=False),
    sa.Column("seen_at", UtcTime(), nullable=False),
    sa.Column("up", sa.Boolean(), nullable=False),
    sa.Column("because", sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_pool_looks_client_id")),
    sa.ForeignKeyConstraint(["pool_id"], ["spot_pools.id"], name=sa.schema.conv("fk_pool_looks_pool_id")),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_pool_looks")),
    sa.Index("idx_look_client_time", "client_id", "seen_at"),
    **MYSQL,
)

pool_quarantines = sa.Table(
    "pool_quarantines",
    frozen,
    sa.Column("pool_id", sa.String(length=128), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("mode", sa.String(length=20), nullable=False),
    sa.Column("strikes", sa.Integer(), nullable=False),
    sa.Column("struck_at", UtcTime(), nullable=False),
    sa.Column("until", UtcTime(), nullable=False),
    sa.Column("because", sa.Text(), nullable=False),
    sa.CheckConstraint("mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_mode_legal_pool_quarantines")),
    sa.ForeignKeyConstraint(
        ["client_id"], ["clients.id"], name=sa.schema.conv("fk_pool_quarantines_client_id")
    ),
    sa.ForeignKeyConstraint(
        ["pool_id"], ["spot_pools.id"], name=sa.schema.conv("fk_pool_quarantines_pool_id")
    ),
    sa.PrimaryKeyConstraint("pool_id", "client_id", "mode", name=sa.schema.conv("pk_pool_quarantines")),
    **MYSQL,
)

spot_price_snapshots = sa.Table(
    "spot_price_snapshots",
    frozen,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
    sa.Column("pool_id", sa.String(length=128), nullable=False),
    sa.Column("price", Money(precision=12, scale=6), nullable=False),
    sa.Column("captured_at", UtcTime(), nullable=False),
    sa.Column("client_id", sa.String(length=36), nullable=True),
    sa.CheckConstraint("price > 0", name=sa.schema.conv("ck_price_positive_spot_price_snapshots")),
    sa.ForeignKeyConstraint(
        ["client_id"], ["clients.id"], name=sa.schema.conv("fk_spot_price_snapshots_client_id")
    ),
    sa.ForeignKeyConstraint(
        ["pool_id"], ["spot_pools.id"], name=sa.schema.conv("fk_spot_price_snapshots_pool_id")
    ),
    sa.PrimaryKeyConstraint("id", name=sa.schema.conv("pk_spot_price_snapshots")),
    sa.Index("idx_captured", "captured_at"),
    sa.Index("idx_pool_source_time", "pool_id", "client_id", "captured_at"),
    sa.Index("idx_pool_time", "pool_id", "captured_at"),
    **MYSQL,
)

vcpu_quotas = sa.Table(
    "vcpu_quotas",
    frozen,
    sa.Column("client_id", sa.String(length=36), nullable=False),
    sa.Column("quota_class", sa.String(length=20), nullable=False),
    sa.Column("mode", sa.String(length=20), nullable=False),
    sa.Column("limit_vcpus", sa.Integer(), nullable=False),
    sa.Column("others_vcpus", sa.Integer(), nullable=False),
    sa.Column("seen_at", UtcTime(), nullable=False),
    sa.CheckConstraint("mode IN ('spot', 'ondemand')", name=sa.schema.conv("ck_mode_legal_vcpu_quotas")),
    sa.CheckConstraint(
        "quota_class IN ('Standard', 'DL', 'F', 'G', 'HighMem', 'HPC', 'Inf', 'Mac', 'P', 'Trn', 'X')",
        name=sa.schema.conv("ck_quota_class_legal_vcpu_quotas"),
    ),
    sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=sa.schema.conv("fk_vcpu_quotas_client_id")),
    sa.PrimaryKeyConstraint("client_id", "quota_class", "mode", name=sa.schema.conv("pk_vcpu_quotas")),
    **MYSQL,
)
