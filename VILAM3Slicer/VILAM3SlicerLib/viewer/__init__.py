"""What the front ends share above the conversation and the scene: which scan is talked about and shown how.

Knows ``chat`` and ``scene``; each front end gives it the scene, the application logic and its event loop.
"""
