"""The conversation as a toolkit-free presenter: turns folded from events, history, links, report, transcript.

Standard library and the protocol only; scene, network and event loop come in as Protocols.
"""
