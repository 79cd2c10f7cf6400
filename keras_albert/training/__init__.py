"""Schedules, callbacks and the fine-tuning recipe."""
