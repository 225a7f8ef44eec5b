"""The panels inside 3D Slicer, its settings page and its network: the only part that knows Qt (PythonQt)."""
