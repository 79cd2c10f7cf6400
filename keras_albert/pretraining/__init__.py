"""Pretraining from raw text."""
