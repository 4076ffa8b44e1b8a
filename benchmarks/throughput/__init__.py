"""Measures how much work each stage, the pipeline, the store and several workers do in a second."""
