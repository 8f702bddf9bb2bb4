"""One module per command; each parses nothing and computes nothing itself."""
