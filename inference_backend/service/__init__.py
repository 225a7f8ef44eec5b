"""The HTTP face of the backend: routes, key, limits, turns and their event streams. Never imports torch."""
