"""Tokens in the Lab: where they come from, how they stay valid, the bearer-token file."""
