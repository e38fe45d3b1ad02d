"""A SLURM of two nodes on one machine, in namespaces of its own, with a fake GPU on each node."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from acceptance.processes import gone, wait_for

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "ip", "unshare", "nsenter")
GPUS = "NodeName=n1 Name=gpu File=/dev/null\nNodeName=n2 Name=gpu File=/dev/zero\n"
HOSTS = "127.0.0.1 localhost\n10.78.0.1 n1\n10.78.0.2 n2\n"

# A requeued job waits until its old credentials are void: two minutes by default, here five seconds.
CONFIGURATION = """
ClusterName=fre
SlurmctldHost=n1(10.78.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
MailProg=/bin/true
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SchedulerParameters=sched_interval=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n1 NodeAddr=10.78.0.1 CPUs=4 RealMemory=2000 Gres=gpu:1
NodeName=n2 NodeAddr=10.78.0.2 CPUs=4 RealMemory=2000 Gres=gpu:1
PartitionName=gpu Nodes=n1,n2 Default=YES MaxTime=10:00 State=UP
"""

# The first process of the namespaces.  All others end with it, and it ends with whoever holds its
# standard input.  The second node is a network and a host name of its own, at the end of a cable.
FIRST_PROCESS = """
set -eu
mount --bind hosts /etc/hosts
hostname n1
ip link set lo up
unshare --net --uts sh -c 'hostname n2; echo $$ > n2; exec sleep infinity' &
until [ -s n2 ]; do sleep 0.05; done
on_n2() { nsenter --target "$(cat n2)" --net --uts "$@"; }
ip link add eth0 type veth peer name eth0 netns "$(cat n2)"
ip addr add 10.78.0.1/24 dev eth0
ip link set eth0 up
on_n2 ip link set lo up
on_n2 ip addr add 10.78.0.2/24 dev eth0
on_n2 ip link set eth0 up
munged --foreground --force --key-file="$PWD/munge/key" --socket="$PWD/munge/socket" \
  --pid-file="$PWD/munge/pid" --log-file="$PWD/munge/log" --seed-file="$PWD/munge/seed" &
until [ -S munge/socket ]; do sleep 0.05; done
slurmctld -D &
slurmd -D -N n1 &
on_n2 slurmd -D -N n2 &
read -r _
"""


def missing() -> str:
    """What this machine lacks for it, or nothing."""
    if os.geteuid() != 0:
        return "needs root, for namespaces"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"needs {', '.join(lacking)}: apt-get install slurm-wlm munge iproute2"
    tried = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True)
    return tried.stderr.decode()


class Slurm:
    """Daemons in namespaces of network, processes, mounts and host name: nothing of it is to be seen
    outside, and nothing outlives its first process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "daemons.log"
        for name in ("state", "spool-n1", "spool-n2", "munge"):
            (folder / name).mkdir()
        (folder / "munge" / "key").touch(mode=0o600)
        (folder / "munge" / "key").write_bytes(os.urandom(1024))
        (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder))
        (folder / "gres.conf").write_text(GPUS)
        (folder / "hosts").write_text(HOSTS)
        namespaces = ["--net", "--pid", "--mount", "--uts", "--mount-proc"]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                ["unshare", *namespaces, "--fork", "--kill-child", "bash", "-c", FIRST_PROCESS],
                cwd=folder,
                env=self._environment(os.environ),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._first = wait_for(psutil.Process(self._process.pid).children, str(self.log))[0]

    def wait(self) -> None:
        """Until both nodes take jobs."""

        def ready() -> bool:
            assert self._process.poll() is None, self.log.read_text()
            return self.run("sinfo", "-h", "-t", "idle", "-o", "%D", check=False) == "2"

        wait_for(ready, f"SLURM ({self.log})")

    def run(
        self, *command: str, environ: Mapping[str, str] = os.environ, check: bool = True
    ) -> str:
        """What a command prints on the first node."""
        inside = ["nsenter", f"--target={self._first.pid}", "--all", f"--wd={self.folder}"]
        done = subprocess.run(
            [*inside, *command],
            env=self._environment(environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def job(self, number: str) -> dict[str, str]:
        """What SLURM knows of a job: JobState, ExitCode, Restarts."""
        words = self.run("scontrol", "show", "job", "--oneliner", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def processes(self) -> list[str]:
        """The command lines of all processes, those of the jobs too."""
        return self.run("ps", "-ww", "-eo", "args").splitlines()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        wait_for(lambda: gone(self._first.pid), "the end of SLURM")

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        return {**environ, "SLURM_CONF": str(self.folder / "slurm.conf")}


@contextmanager
def two_nodes() -> Iterator[Slurm]:
    """A SLURM that takes jobs; all of it has ended when the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="fre-slurm-", dir="/tmp"))  # socket paths: 107 bytes
    slurm = Slurm(folder)
    try:
        slurm.wait()
        yield slurm
    finally:
        slurm.close()
        shutil.rmtree(folder, ignore_errors=True)
