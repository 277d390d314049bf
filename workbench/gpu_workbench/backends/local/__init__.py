"""This machine as a place for workloads: the same agent, as a subprocess that outlives whoever started it."""
