"""The paper's published values, its experiments, and ours beside them."""
