"""Draws the pictures of the documents. `python -m tools.pictures` draws the demo and the page."""
