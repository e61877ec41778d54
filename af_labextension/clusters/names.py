"""Names of the Dask part's objects in the tornado settings."""

from __future__ import annotations

CLUSTERS = "af_clusters"
"""`af_labextension.clusters.service.Clusters`."""

EVENTS = "af_cluster_events"
"""`af_labextension.clusters.events.Broadcast`."""

TICKETS = "af_dashboard_tickets"
"""`af_labextension.clusters.dashboards.Tickets`."""
