"""The M3 loop: prompt, trigger, expert, feedback, answer. Knows the model and the experts as Protocols."""
