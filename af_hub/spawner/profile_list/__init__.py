"""KubeSpawner's own ``profile_list`` in the place of a catalogue. Pure."""
