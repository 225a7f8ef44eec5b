"""The expert models that VILA-M3 may call: their interface, their registry, one module an expert."""
