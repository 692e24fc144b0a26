"""May this instance be moved between spot pools? Facts, rules and what points at it; pure."""
