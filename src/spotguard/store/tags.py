"""The tags on everything that SpotGuard makes, set in the call that makes it (invariant 6)."""

MANAGED_TAG = "spotguard:managed"
CLIENT_TAG = "spotguard:client"
AGENT_TAG = "spotguard:agent"
SWITCH_TAG = "spotguard:switch"
REPLICA_TAG = "spotguard:replica"
PURPOSE_TAG = "spotguard:purpose"
