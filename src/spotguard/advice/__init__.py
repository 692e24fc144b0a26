"""What SpotGuard would do for one workload, and what it would save, before anything is installed; pure."""
