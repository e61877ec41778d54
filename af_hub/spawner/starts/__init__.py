"""Many starts at once, of which the hub does one piece in each round of its loop."""
