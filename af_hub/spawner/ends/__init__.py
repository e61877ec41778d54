"""Servers that end by themselves: when, why, what their Labs say, what users are told."""
