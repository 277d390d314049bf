"""A real Kubernetes on this machine for the tests, with pretend GPUs: `python -m tests.cluster` runs it by hand.

Tests use it through the fixtures of `fixtures`; `handle` is what they get. Below that `cluster` starts and stops the
programs listed in `components`, which `build` makes with Go and `images` gives something to run. `network` and `down`
leave the machine as it was. Nothing here needs more than Python's standard library, Go and Debian.
"""
