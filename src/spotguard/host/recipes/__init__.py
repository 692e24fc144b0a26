"""Sync commands for workloads that replicate themselves (docs/state-sync.md)."""
