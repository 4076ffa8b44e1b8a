"""A window that shows what is analyzed, through Tk: the OpenCV that is installed here has none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2

from agegender.shared.errors import SettingsError
from agegender.shared.images.pictures import Bgr, shrink

if TYPE_CHECKING:
    import tkinter

_MOST_OF_THE_SCREEN = 0.85
_LOOK_EVERY_S = 0.03


class Window:
    """Shows one picture after the other. For one thread.

    Any key or a click goes on to the next still; `q`, Escape and closing the window end the run.

    Raises:
        SettingsError: there is no screen, or Python has no Tk.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError:
            raise SettingsError("--show needs Python's Tk: on Debian, apt install python3-tk") from None
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise SettingsError(
                f"--show needs a screen, and there is none here ({error}); --annotate writes files instead"
            ) from None
        self._tk = tkinter
        self._root.title(title)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._picture: tkinter.PhotoImage | None = None
        self.closed = False
        """Whether the person wants no more."""
        self._go_on = False
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._root.bind("<Key>", self._on_key)
        self._root.bind("<Button>", self._on_click)

    def show(self, picture_bgr: Bgr) -> None:
        """Shows a picture, shrunk where it is larger than the screen, and answers keys."""
        if self.closed:
            return
        room_px = min(self._root.winfo_screenwidth(), self._root.winfo_screenheight()) * _MOST_OF_THE_SCREEN
        ok, data = cv2.imencode(".ppm", shrink(picture_bgr, round(room_px)))
        if ok:
            # Tk keeps no reference of its own: without ours the picture would vanish.
            self._picture = self._tk.PhotoImage(data=data.tobytes(), format="PPM")
            self._label.configure(image=self._picture)
        self._root.update()

    def wait(self, stopped: Callable[[], bool]) -> None:
        """Returns when a key or a button was pressed, the window was closed, or `stopped` says so."""
        self._go_on = False
        while not (self.closed or self._go_on or stopped()):
            self._root.update()
            time.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Closes the window."""
        self._root.destroy()

    def _on_key(self, event: tkinter.Event[tkinter.Misc]) -> None:
        self._go_on = True
        self.closed = self.closed or event.keysym in ("q", "Escape")

    def _on_click(self, _event: tkinter.Event[tkinter.Misc]) -> None:
        self._go_on = True

    def _close(self) -> None:
        self.closed = True
