"""Measures the accuracy of the models on labelled faces and fits the calibration of their answers."""
