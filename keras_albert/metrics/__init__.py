"""Scores that no library has."""
