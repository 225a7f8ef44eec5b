"""How the demo model was trained: data, training and measurement. Not needed to build or run it."""
