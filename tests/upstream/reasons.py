"""Why a test of others does not pass, in plain words: by its name, else by what it raised."""

from __future__ import annotations

import re

OF_THEIRS = {
    "test_object_dask_cluster": "the test looks up `env` in the list of containers: it passes only while the operator has "
    "made no worker yet",
    "test_local_tls[True]": "distributed's own helper gives `list.extend` two arguments where a machine has IPv6",
    "test_localcluster_start_exception": "its plugin is pickled by its module's name, which no process of a worker finds "
    "where the tests lie outside of the package",
}
"""Of those that do not pass as they are, without anything of ours."""

OF_OURS = {
    "test_discovery": "finds the cluster by the object's name, which is made of its id: `gwb-…`",
    "test_clusters_with_custom_port_forward": "the dashboard comes through Jupyter's server; no port is opened for it",
    "test_multiple_clusters_simultaneously_same_loop": "each object has an event loop of its own; there is no `loop`",
    "test_additional_worker_groups": "groups are asked for when a cluster starts (`--group`); none is added to a living one",
    "test_cluster_without_operator": "without an operator ours waits and says so, with no limit: there is no "
    "`resource_timeout`",
    "test_cluster_crashloopbackoff": "the DaskCluster is written by ours; there is no `custom_cluster_spec`",
    "test_custom_spec": "the DaskCluster is written by ours; there is no `custom_cluster_spec`",
    "test_dont_select_closed_worker": "distributed's client, when it closes itself with its scheduler, leaves its loop's "
    "thread; it does so with a `LocalCluster` that has no `loop` given, too",
    "test_ipywidgets_loop": "each object has an event loop of its own; there is no `loop`",
    "test_scale_memory_cores": "`scale` takes a number of workers, not `cores` or `memory`",
    "test_repr[None]": "a worker without a memory limit cannot be asked for",
    "test_scale_retires_workers": "the test makes a subclass of `LocalCluster`; the stand-in is a function",
}

BY_ERROR = (
    (
        r"no attribute '(workers|worker_spec)'|'SchedulerView'",
        "looks into a scheduler or workers in its own process",
    ),
    (r"adapt takes no interval", "`adapt` takes no `interval`: how often is looked is the operator's matter"),
    (r"ours takes no (.+)", r"asks for what ours does not take: `\1`"),
    (r"tls-\S+\.pem", "needs certificates that distributed's wheel has not"),
    (r"assert '?(False|tls://)", "wants `inproc` or `tcp`; all connections of ours are TLS"),
    (r"not actioned after 1 seconds", "the operator took more than the second that the test gives it"),
    (
        r"is the Dask Operator running",
        "two handlers of the operator race, and the phase of the DaskCluster stayed `Pending` (dask-kubernetes issue 968)",
    ),
)


def reason(test: str, why: str, *, ours: bool) -> str:
    """Why, or nothing where that is not known.

    Args:
        test: Its name, with its parameters.
        why: What it raised.
        ours: Whether our cluster was in it.
    """
    known = OF_OURS if ours else OF_THEIRS
    for name in (test, test.partition("[")[0]):
        if name in known:
            return known[name]
    for pattern, text in BY_ERROR:
        if found := re.search(pattern, why):
            return found.expand(text)
    return ""
