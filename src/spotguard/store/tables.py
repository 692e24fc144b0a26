"""Every table; the specification's names first. The schema keeps the promises, the code only asks.

Groups: `tenants` (clients, tokens, limits), `fleet` (agents, instances, replicas, epochs), `work` (commands,
switches, intentions, signals, storage, coordinator leases), `drills` (rehearsals, salvages), `probes`, `market` (pools,
prices, quarantine, quotas), `record` (decisions, ledger, events, foundlings), `models` (learned ones, and their trial).
"""

from __future__ import annotations

from spotguard.store.tables_drills import drills, salvages
from spotguard.store.tables_fleet import (
    agents,
    epoch_grants,
    handover_tickets,
    instance_runs,
    instance_shapes,
    instances,
    replica_instances,
)
from spotguard.store.tables_market import (
    instance_types,
    ondemand_prices,
    pool_looks,
    pool_quarantines,
    spot_pools,
    spot_price_snapshots,
    vcpu_quotas,
)
from spotguard.store.tables_meta import metadata
from spotguard.store.tables_models import model_moves, models, predictions, shadow_decisions
from spotguard.store.tables_probes import probes
from spotguard.store.tables_record import agent_events, decisions, foundlings, ledger_entries
from spotguard.store.tables_tenants import (
    agent_tokens,
    clients,
    cloud_accounts,
    enrolments,
    installations,
    kill_switches,
    sessions,
)
from spotguard.store.tables_work import (
    commands,
    intentions,
    leases,
    spot_interruption_events,
    storage_resources,
    switch_steps,
    switches,
)

__all__ = [
    "agent_events",
    "agent_tokens",
    "agents",
    "clients",
    "cloud_accounts",
    "commands",
    "decisions",
    "drills",
    "enrolments",
    "epoch_grants",
    "foundlings",
    "handover_tickets",
    "installations",
    "instance_runs",
    "instance_shapes",
    "instance_types",
    "instances",
    "intentions",
    "kill_switches",
    "leases",
    "ledger_entries",
    "metadata",
    "model_moves",
    "models",
    "ondemand_prices",
    "pool_looks",
    "pool_quarantines",
    "predictions",
    "probes",
    "replica_instances",
    "salvages",
    "sessions",
    "shadow_decisions",
    "spot_interruption_events",
    "spot_pools",
    "spot_price_snapshots",
    "storage_resources",
    "switch_steps",
    "switches",
    "vcpu_quotas",
]
