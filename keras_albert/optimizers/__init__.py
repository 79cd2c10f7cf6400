"""Optimizers that no library has."""
