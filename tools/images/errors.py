"""What stops a build, in a sentence for the person who started it."""

from __future__ import annotations


class ImageError(Exception):
    """A build cannot go on; the message is one or two sentences with the next step."""
