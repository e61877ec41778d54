"""Labs as processes of one machine."""
