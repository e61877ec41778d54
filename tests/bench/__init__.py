"""Measure the figures the project promises, beside their targets and peers: ``make bench``."""
