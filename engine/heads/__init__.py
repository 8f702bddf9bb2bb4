"""Heads and modules that predict several tokens ahead from a frozen target's hidden states."""
