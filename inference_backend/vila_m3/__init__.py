"""VILA-M3: our own implementation of the released architecture. README.md shows each step."""
