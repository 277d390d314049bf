"""The images of the test cluster, made on this machine without docker and without a registry.

`system` holds what the cluster itself needs, `workers` the images that tests run cells in, `operator` what only the
tests with Dask's operator need. All names lie under the made-up registry `tb.local`, so nothing is ever pulled.
"""

from __future__ import annotations

PAUSE = "tb.local/pause:1"
COREDNS = "tb.local/coredns:1"

WORKER = "tb.local/worker:1"
"""Debian, Python 3, ipykernel, numpy, pandas, tqdm, ipywidgets, Dask and the NVML double."""

NO_CLOUDPICKLE = "tb.local/no-cloudpickle:1"
"""The same without cloudpickle, which Dask needs: a session must not, the agent brings its own."""

NO_IPYKERNEL = "tb.local/no-ipykernel:1"
"""The same Debian and Python with no package at all."""

NO_PYTHON = "tb.local/no-python:1"
"""The same Debian: a shell and the usual commands."""

ROOT_ONLY = "tb.local/root-only:1"
"""The worker image as root alone can use it: it starts in root's home, which is closed to others and has a Python, too."""

OTHER_ARCHITECTURE = "tb.local/other-architecture:1"
"""Its shells and its Python are programs for another processor."""

DASK_OPERATOR = "tb.local/dask-operator:1"
"""Debian, Python 3 and dask-kubernetes, which is the operator."""
