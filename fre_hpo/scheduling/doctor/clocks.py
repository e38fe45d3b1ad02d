"""Clocks of several machines."""

from __future__ import annotations

from fre_hpo.scheduling.doctor.checks import Row

SKEW_SECONDS = 2.0
"""By more than that, times in tables and logs contradict one another."""


def clock_row(check: str, ahead: float, unsure: float, where: str) -> Row:
    """ahead: seconds, known to ``unsure``.  where: whose clock is to be set."""
    if abs(ahead) <= unsure or abs(ahead) < 0.001:
        value = f"as here, to {max(unsure, 0.001):.3f} s"
    else:
        value = f"{abs(ahead):.3f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if abs(ahead) - unsure <= SKEW_SECONDS:
        return Row(check, value)
    hint = f"Set the clocks by the network, on {where}: `sudo timedatectl set-ntp true`."
    return Row(check, value, hint)
