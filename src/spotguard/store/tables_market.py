"""The market: pools, spot and on-demand prices, quarantine, quotas."""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.instances import Mode
from spotguard.domain.quotas import QuotaClass
from spotguard.store.tables_meta import MYSQL, created_at, metadata, pool_id, ref, sentence, updated_at, uuid
from spotguard.store.types import Money, UtcTime, one_of

spot_pools = sa.Table(
    "spot_pools",
    metadata,
    sa.Column("id", pool_id, primary_key=True),
    sa.Column("pool_name", sa.String(255)),
    sa.Column("instance_type", sa.String(32), nullable=False),
    sa.Column("region", sa.String(32), nullable=False),
    sa.Column("az", sa.String(32), nullable=False),
    sa.Column("az_id", sa.String(32)),
    sa.Column("product", sa.String(64), nullable=False),
    created_at(),
    updated_at(),
    sa.UniqueConstraint("instance_type", "region", "az", "product", name="unique_pool"),
    sa.Index("idx_type_region", "instance_type", "region"),
    **MYSQL,
)

instance_types = sa.Table(
    "instance_types",
    metadata,
    # what DescribeInstanceTypes tells, of the types that some agent runs on or may
    sa.Column("instance_type", sa.String(32), primary_key=True),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    **MYSQL,
)

spot_price_snapshots = sa.Table(
    "spot_price_snapshots",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    ref("pool_id", "spot_pools.id", pool_id),
    # of a constant run only the first and the newest row are kept (ruling S12)
    sa.Column("price", Money(), nullable=False),
    sa.Column("captured_at", UtcTime, nullable=False),
    # who reported it; NULL for what the server fetched or imported. A reader sees its own and NULL:
    # no tenant steers another
    ref("client_id", "clients.id", uuid, nullable=True),
    sa.Index("idx_pool_time", "pool_id", "captured_at"),
    sa.Index("idx_captured", "captured_at"),
    sa.Index("idx_pool_source_time", "pool_id", "client_id", "captured_at"),  # the newest rows of one source
    sa.CheckConstraint("price > 0", name="ck_price_positive"),
    **MYSQL,
)

ondemand_prices = sa.Table(
    "ondemand_prices",
    metadata,
    sa.Column("region", sa.String(32), nullable=False),
    sa.Column("instance_type", sa.String(32), nullable=False),
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("source_client_id", uuid, nullable=False),  # '*' for what the server fetched or imported
    sa.Column("price", Money(), nullable=False),
    sa.Column("captured_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("region", "instance_type", "product", "source_client_id"),
    sa.CheckConstraint("price > 0", name="ck_price_positive"),
    **MYSQL,
)

pool_quarantines = sa.Table(
    "pool_quarantines",
    metadata,
    ref("pool_id", "spot_pools.id", pool_id),
    ref("client_id", "clients.id", uuid),
    sa.Column(
        "mode", sa.String(20), nullable=False
    ),  # a zone that is dry on demand may have spot, and the reverse
    sa.Column("strikes", sa.Integer, nullable=False),
    sa.Column("struck_at", UtcTime, nullable=False),
    sa.Column("until", UtcTime, nullable=False),
    sa.Column("because", sentence, nullable=False),
    sa.PrimaryKeyConstraint("pool_id", "client_id", "mode"),
    one_of("mode", Mode),
    **MYSQL,
)

pool_looks = sa.Table(
    "pool_looks",
    metadata,
    # what a tenant's own launches and instances showed of a pool: the engine's facts of today, its training data of
    # tomorrow. No other tenant's looks are ever read
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    ref("client_id", "clients.id", uuid),
    ref("pool_id", "spot_pools.id", pool_id),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.Column("up", sa.Boolean(create_constraint=False), nullable=False),
    sa.Column("because", sentence, nullable=False),
    sa.Index("idx_look_client_time", "client_id", "seen_at"),
    **MYSQL,
)

vcpu_quotas = sa.Table(
    "vcpu_quotas",
    metadata,
    # limits of a client's account and region; what others use of them: all that runs there, less this client's own
    ref("client_id", "clients.id", uuid),
    sa.Column("quota_class", sa.String(20), nullable=False),
    sa.Column("mode", sa.String(20), nullable=False),
    sa.Column("limit_vcpus", sa.Integer, nullable=False),
    sa.Column("others_vcpus", sa.Integer, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.PrimaryKeyConstraint("client_id", "quota_class", "mode"),
    one_of("quota_class", QuotaClass),
    one_of("mode", Mode),
    **MYSQL,
)
