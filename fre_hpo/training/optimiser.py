"""torch's Adam without torch's compiler.

On their first call some methods of an optimiser load the compiler, 800 modules that take about two
seconds in every process that trains, only to tell it to keep out.  Nothing is compiled here, so these
methods are called without that wrapper; what they compute is untouched.
"""

from collections.abc import Callable
from typing import Any

import torch


def _unwrapped(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method behind torch's wrapper, or the method itself where a torch has no wrapper."""
    found: Callable[..., Any] = getattr(method, "__wrapped__", method)
    return found


class Adam(torch.optim.Adam):
    """Adam (Kingma & Ba, 2015), as torch has it."""

    add_param_group = _unwrapped(torch.optim.Adam.add_param_group)
    state_dict = _unwrapped(torch.optim.Adam.state_dict)
    load_state_dict = _unwrapped(torch.optim.Adam.load_state_dict)
    zero_grad = _unwrapped(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(_unwrapped(torch.optim.Adam.step))
