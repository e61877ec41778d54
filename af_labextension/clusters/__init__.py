"""Dask clusters of the facility, as the Lab's panel needs them.

Clusters live behind Dask Gateway, not here: a restart of the Lab does not touch them. Neither dask
nor distributed is imported in the server.
"""
