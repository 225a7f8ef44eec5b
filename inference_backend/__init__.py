"""The local service behind VILAM3Slicer: VILA-M3, its experts and the HTTP routes in front of them.

It knows neither Slicer nor Qt; the front ends meet it on the wire only.
"""
