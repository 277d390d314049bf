"""What every test folder shares: the fixtures of the test cluster, and how Hypothesis is used."""

from hypothesis import settings

pytest_plugins = ["tests.cluster.fixtures"]

# How long one example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
