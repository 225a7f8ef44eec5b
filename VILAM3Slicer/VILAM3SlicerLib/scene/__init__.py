"""MRML: what is seen becomes a request, a result becomes segments, surfaces, tables and text in the scene.

Standard library, numpy, vtk and Slicer's MRML classes only. Every function takes the scene, the application
logic or a node as an argument, so that the same code serves desktop Slicer, the browser viewer and the tests.
"""
