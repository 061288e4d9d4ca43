"""How synapses fill a core's memory."""

from __future__ import annotations

from neurolrnn_hardware.limits import Limits

CONTAINERS = (8, 16, 32, 64, 128)
"""Widths in which a processor holds numbers."""


def stored_bits(limits: Limits, bits: int, plastic: bool = False) -> int:
    """Return the bits in which a weight of ``bits`` bits is stored.

    The narrowest width the chip offers that holds it, and all bits where it learns; what a chip cannot hold is counted
    at the chip's own width, since it must be narrowed to be stored at all.
    """
    own: int | None = limits.value("weight.bits")
    if own is None:
        return bits
    widths = limits.value("weight.widths")
    fitting = [w for w in widths or () if w >= bits]
    return min(fitting) if fitting and not plastic else own


def list_bits(limits: Limits, synapses: int, weight: int, plastic: bool = False, index: int = 0) -> int:
    """Return the memory of the synapses of one axon in one core, in bits.

    ``ceil_to_word(n * (weight + delay + tag + index) + header)`` for each part of at most ``packing.longest`` synapses;
    the tag only where they learn.

    Parameters
    ----------
    synapses : int
        n.
    weight : int
        Stored bits of each, see :func:`stored_bits`.
    plastic : bool
        Whether they learn.
    index : int
        Index bits of each, where not every neuron of the core is reached.

    Notes
    -----
    The rule is that of Loihi as nengo-loihi counts it (nengo_loihi/block.py, SynapseConfig.bits_per_axon); a chip
    without such a rule has ``word`` 1 and ``header`` 0.
    """
    if synapses <= 0:
        return 0
    packing = limits.chip.packing
    word, header, longest = packing.word.value or 1, packing.header.value or 0, packing.longest.value or synapses
    index_bits = max(index, packing.index_least.value or 0) if index else 0
    index_bits = packing.index.value if index and packing.index.value is not None else index_bits
    each = weight + (packing.delay.value or 0) + ((packing.tag.value or 0) if plastic else 0) + index_bits
    full, rest = divmod(synapses, longest)
    total = full * _to_word(longest * each + header, word)
    return total + (_to_word(rest * each + header, word) if rest else 0)


def container_bits(bits: int) -> int:
    """Return the width in which a processor holds a number of ``bits`` bits."""
    return next((c for c in CONTAINERS if c >= bits), -(-bits // 32) * 32)


def _to_word(bits: int, word: int) -> int:
    return -(-bits // max(word, 1)) * max(word, 1)
