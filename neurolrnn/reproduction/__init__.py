"""The paper's claims, tried end to end: numbers, verdicts, tables and pictures."""

from neurolrnn.reproduction.claims import Check, Claim, Outcome, verdict_of
from neurolrnn.reproduction.runner import CLAIMS, Reproduction, claims_rows, reproduce

__all__ = ["CLAIMS", "Check", "Claim", "Outcome", "Reproduction", "claims_rows", "reproduce", "verdict_of"]
