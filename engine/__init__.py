"""The real decoding engine: models, caches, drafters, acceptance rules, decode loops.

Runs on CPU and CUDA with torch and transformers. Knows nothing about the
simulator: the two are independent accounts of the same algorithms, and their
agreement is the evidence (docs/model.md).
"""
