"""What front ends and backend say to each other: values, events, errors and their encodings.

Standard library only and no I/O, so that it imports inside Slicer, in a browser viewer and in the service.
"""

PROTOCOL_VERSION = 1
"""Raised with every change that an older peer would misread; told in the handshake (GET /v1/status)."""
