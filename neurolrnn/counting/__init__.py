"""The parts of :func:`neurolrnn.demands.demand_of`: what is connected, what is held, what is calculated."""
