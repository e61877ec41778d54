"""Clusters inside the user's server: for each of them one process, which is not the Lab server.

The process holds the cluster object of a class that the administrator chose, is started with the
kernel's Python, and outlives the Lab server: a Lab that starts again finds it by its state file
(`folder`), and speaks to it over a UNIX socket (`serve`, `caller`). One process for each cluster,
rather than one for all, so that a class that blocks or a scheduler that is busy costs its own
cluster only, and so that nothing is left to guess when a process is killed.

Everything here needs the standard library only, and dask where it makes the cluster (`held`):
the kernel's Python may be another one than the server's, without this package. ``run.py`` brings it
along.
"""
