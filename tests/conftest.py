"""What every test folder shares: the fixtures of the test cluster."""

pytest_plugins = ["tests.cluster.fixtures"]
