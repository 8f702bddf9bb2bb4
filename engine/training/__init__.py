"""Recipes that train the embedded models; see ``speculens train --help``."""
