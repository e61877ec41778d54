"""A Rucio server of the facility's own: one process, one SQLite file, the demo data in it.

Rucio 41 pins libraries that do not go together with JupyterHub's, so it lives in a Python
environment of its own (`af_hub.embedded.rucio.environment`). ``server/af_rucio`` is what runs in
there; it imports nothing of this package, and of it only ``settings`` is imported from here.
"""
