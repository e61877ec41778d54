"""Where clusters can run: one module per engine."""
