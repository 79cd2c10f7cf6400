"""Readers of labelled text files."""
