"""Build the container images of `images/`: same inputs, same tag, and nothing to do the second time."""
