"""Tracking: links the faces of a person from frame to frame, and selects those worth classifying. Pure."""
