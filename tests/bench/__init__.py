"""How fast it is, each figure against its baseline in the same run. See ``python -m tests.bench --help``."""
