"""Where workloads live. All I/O to the outside is here; each backend knows the core and nothing of the others."""
