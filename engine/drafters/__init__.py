"""Drafters: each proposes tokens and the distributions they were drawn from."""
