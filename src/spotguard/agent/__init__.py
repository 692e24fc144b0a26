"""The process beside the workload: events in, commands out."""
