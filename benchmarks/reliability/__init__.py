"""Measures the cost of crash safety and of a decoder process for each camera."""
