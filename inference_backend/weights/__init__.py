"""Which weights there are, how they come onto this machine, and which of them fit it."""
