"""What every front end of VILAM3Slicer shares: the wire, the scene and the conversation."""
