"""The tests of others, run against this machine's test cluster and against our Dask clusters.

    python -m tests.upstream

No line of theirs is here: those of dask-kubernetes lie in its wheel, which is installed, and distributed's `ClusterTest` in
the last wheel that had it. What is here are the fixtures that they ask for, stand-ins that give our cluster the shape of
`KubeCluster` and `LocalCluster`, and the table that comes of it.
"""
