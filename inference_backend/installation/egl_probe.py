"""Run as a script in a process of its own: exit code 0 if OpenGL can draw without a screen.

Without a driver VTK does not raise, it crashes: hence a process of its own.
"""

from __future__ import annotations

import ctypes
import os
import sys


def main() -> int:
    """Draw with VTK if it is installed, else only ask EGL whether a driver answers."""
    try:
        from vtkmodules.vtkRenderingOpenGL2 import vtkEGLRenderWindow
    except ImportError:
        return 0 if _egl_initializes() else 1
    window = vtkEGLRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(16, 16)
    window.Render()
    return 0 if window.SupportsOpenGL() else 1


def _egl_initializes() -> bool:
    os.environ.setdefault("EGL_PLATFORM", "surfaceless")
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    egl.eglGetDisplay.restype = ctypes.c_void_p
    egl.eglGetDisplay.argtypes = [ctypes.c_void_p]
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    display = egl.eglGetDisplay(None)
    return bool(display and egl.eglInitialize(display, None, None))


if __name__ == "__main__":
    sys.exit(main())
