"""Weights of other libraries, read and written by their names."""
