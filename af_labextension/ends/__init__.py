"""Servers that end by themselves: what counts as activity, who is told, what keeps a server."""
