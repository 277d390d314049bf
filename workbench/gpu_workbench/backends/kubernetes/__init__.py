"""Workloads on a Kubernetes cluster: the cluster's own objects are the only record, and every surface reads them."""
