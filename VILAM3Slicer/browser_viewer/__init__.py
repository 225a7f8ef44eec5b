"""The viewer as a web page: Slicer Core and the chat panel, shown through trame."""
