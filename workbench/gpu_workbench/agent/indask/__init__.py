"""What runs inside Dask's own processes, as preloads of its scheduler and workers. Each file stands for itself.

These are read by Dask from a file, in whatever image: they import Dask, the standard library, and nothing of ours.
"""
