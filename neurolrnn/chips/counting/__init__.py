"""The parts of :func:`neurolrnn.chips.demands.demand_of`: what is connected, what is held, what is calculated."""
