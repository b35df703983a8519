"""Predicts what a sweep takes: seconds, memory and disk, from a short calibration that keeps nothing."""
