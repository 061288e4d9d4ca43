"""Number formats, arithmetic and compiled learning rules: this package knows numbers and nothing else."""
