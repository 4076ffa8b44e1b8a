"""Opens nets in LiteRT, the runtime on CPUs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agegender.shared.models.quiet import without_greeting

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

# LiteRT greets with the first net of a process. Later nets, often opened in the middle of the work, need no
# redirection of stderr: lines of other threads would come late and out of order.
_greeted = threading.Event()


def open_net(path: Path, threads: int = 1, input_shape: Sequence[int] | None = None) -> Interpreter:
    """The net in the file at `path`, with memory for its tensors. It serves one thread at a time.

    Args:
        threads: two nets with one thread each do more than one net with two threads.
        input_shape: of the input. None takes the shape in the file.

    Raises:
        ValueError: the file is not a net, or does not read that shape.
    """
    from ai_edge_litert.interpreter import Interpreter

    net = Interpreter(str(path), num_threads=threads)
    if input_shape is not None:
        net.resize_tensor_input(net.get_input_details()[0]["index"], tuple(input_shape))
    with contextlib.nullcontext() if _greeted.is_set() else without_greeting():
        net.allocate_tensors()
    _greeted.set()
    return net
