"""Chips and their limits."""
