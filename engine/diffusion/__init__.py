"""Absorbing-state discrete diffusion: the formulas, the network, its weights."""
