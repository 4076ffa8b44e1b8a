"""Faces of one frame: found, aligned, cut out and measured."""
