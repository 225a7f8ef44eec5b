"""How long Slicer's event loop does not come round, and whose work keeps it."""

import time

import qt
import slicer

TICK_MS = 5
SLOW_MS = 50


class StallWatch:
    """By what was done meanwhile, in ms: the longest time without a turn of the event loop (``longest``), the
    most that its thread computed between two turns but for drawing the views (``computed``: a busy machine
    does not change it), and the longest piece of work that the module put off to a timer (``ours``).
    """

    def __init__(self):
        self.longest = {}
        self.computed = {}
        self.ours = {}
        self.doing = ""
        self._last = None
        self._computed = 0.0
        self._drawing = _Drawing()
        self._timer = qt.QTimer()
        self._timer.setTimerType(qt.Qt.PreciseTimer)
        self._timer.connect("timeout()", self._tick)
        self._timer.start(TICK_MS)

    def begin(self, doing):
        self.doing = doing
        self._last = None
        self._drawing.watch_views()

    def follow(self, host):
        """Time each piece of work that the module puts off: all that is not a click goes through here."""
        later = host.later

        def timed_later(seconds, action):
            later(seconds, lambda: self._time(action))

        host.later = timed_later

    def _time(self, action):
        doing, start = self.doing, time.perf_counter()
        action()
        taken = 1000 * (time.perf_counter() - start)
        _raise(self.ours, doing, taken)
        if doing and taken > SLOW_MS:
            print(f"SLOW {taken:.0f} ms while {doing}: {action.__qualname__}", flush=True)

    def _tick(self):
        now, computed = time.perf_counter(), time.thread_time() - self._drawing.seconds
        if self._last is not None:
            _raise(self.longest, self.doing, 1000 * (now - self._last))
            _raise(self.computed, self.doing, 1000 * (computed - self._computed))
        self._last, self._computed = now, computed


class _Drawing:
    """The processor seconds of this thread in which the slice views and the 3D view drew themselves."""

    def __init__(self):
        self._observed = []
        self._since = None
        self.seconds = 0.0

    def watch_views(self):
        """Begin with the views that are new."""
        for window in set(_render_windows()) - set(self._observed):
            self._observed.append(window)
            window.AddObserver("StartEvent", self._begin)
            window.AddObserver("EndEvent", self._end)

    def _begin(self, _window, _event):
        self._since = time.thread_time()

    def _end(self, _window, _event):
        if self._since is not None:
            self.seconds += time.thread_time() - self._since
        self._since = None


def _render_windows():
    layout = slicer.app.layoutManager()
    views = [layout.sliceWidget(name).sliceView() for name in layout.sliceViewNames()]
    views += [layout.threeDWidget(number).threeDView() for number in range(layout.threeDViewCount)]
    return [view.renderWindow() for view in views]


def _raise(longest, doing, value):
    if doing:
        longest[doing] = max(longest.get(doing, 0.0), value)
