"""Models on the root: what format they have, whether that may be published, how they get there, and smaller versions."""
