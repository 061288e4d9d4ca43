"""Profiles: many runs of one experiment with some of its settings varied, kept in a store."""
