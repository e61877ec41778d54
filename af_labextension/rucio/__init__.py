"""Rucio as the Lab shows it: search, contents, replicas and the code that reads them."""
