"""The demo model: a VILA-M3 checkpoint small enough for any laptop, built from a package and trained here."""
