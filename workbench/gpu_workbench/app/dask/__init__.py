"""Dask clusters: started, found again, and in the user's hands as one of Dask's own cluster objects."""
