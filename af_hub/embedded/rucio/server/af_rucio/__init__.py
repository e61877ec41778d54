"""What runs in Rucio's own Python environment: the catalogue of the demo data, and the server."""
