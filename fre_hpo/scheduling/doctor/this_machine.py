"""The checks of this machine, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fre_hpo.scheduling.doctor.checks import Check
from fre_hpo.scheduling.doctor.folders import judge_folders, look_at_folders
from fre_hpo.scheduling.doctor.gpu_rows import judge_gpus
from fre_hpo.scheduling.doctor.gpus import look_at_gpus
from fre_hpo.scheduling.doctor.hardware import judge_hardware, look_at_hardware
from fre_hpo.scheduling.doctor.ports import judge_ports, look_at_ports
from fre_hpo.scheduling.doctor.software import judge_software, look_at_software
from fre_hpo.scheduling.doctor.storage import judge_storage, look_at_storage
from fre_hpo.settings import Settings

SECONDS = 40
"""Nothing is waited for longer; on a machine in order all takes as long as loading torch."""
_REPEAT = "If it comes again, please report it with this line."


def checks(settings: Settings, token: Path | None) -> Sequence[Check]:
    """Nothing is created by any of them.  token: a cluster's file that was named."""
    home, url = settings.home, settings.storage
    drive = f"Look whether the drive of {home} is there: `df {home}`."
    return [
        Check("software", look_at_software, judge_software, _REPEAT),
        Check("GPU", look_at_gpus, judge_gpus, "Type `nvidia-smi` to see whether it answers."),
        Check("machine", look_at_hardware, judge_hardware, _REPEAT),
        Check(
            "storage", lambda: look_at_storage(url), judge_storage, "Check the URL and the server."
        ),
        Check("home", lambda: look_at_folders(home, token), judge_folders, drive),
        Check("ports", look_at_ports, judge_ports, _REPEAT),
    ]
