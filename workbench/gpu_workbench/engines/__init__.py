"""From a spec to the objects of Kubernetes and its platforms, and from those objects to a phase. Pure."""
