"""Fits the heads and the calibrations of the packs to labelled faces, and compares the packs."""
