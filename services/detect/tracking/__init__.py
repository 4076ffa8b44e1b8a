"""Tracks: the faces of one person linked from frame to frame."""
