"""VILA-M3: our own implementation of the released architecture; README.md beside this file shows each step."""
