"""Times the engine's stages, logs acceptance traces, fingerprints the machine.

Knows nothing about prediction: it writes measurements, which the simulator reads.
"""
