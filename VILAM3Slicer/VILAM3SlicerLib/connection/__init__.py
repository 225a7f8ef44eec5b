"""How a front end reaches a backend: addresses, consent, requests, diagnosis; installing and starting one.

Knows no toolkit: what sends bytes, runs programs and keeps settings is brought in by the front end.
"""
