"""Theory of learning in linear recurrent networks: what the rules do in expectation, computed without simulation."""
