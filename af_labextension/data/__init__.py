"""The facility's storage as the Lab shows it: listings and reading code."""
