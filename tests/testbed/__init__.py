"""Real parts as fixtures, one module each."""
