"""Whether the files that an operator copies are right: their form, and what they call and name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import deploying
from deploying import REPOSITORY
from needs import require_or_skip

YAMLLINT = REPOSITORY / "deploy" / ".yamllint.yaml"


def linter(name: str) -> str:
    found = deploying.tool(name)
    require_or_skip(found, f"needs {name}, of the test extra")
    assert found is not None
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files, to be broken."""
    shutil.copytree(REPOSITORY / "deploy", tmp_path / "deploy")
    for name in deploying.TOP:
        shutil.copy(REPOSITORY / name, tmp_path)
    return tmp_path


def break_(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def compose_schema(root: Path) -> str:
    check = [linter("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    return deploying.complaint([*check, root / "docker-compose.yml"], root)


def hadolint(root: Path) -> str:
    return deploying.complaint([linter("hadolint"), root / "deploy" / "Dockerfile"], root)


def shellcheck(root: Path) -> str:
    scripts = [path for path in (root / "deploy").rglob("*") if path.suffix in (".sh", ".sbatch")]
    assert scripts
    return deploying.complaint([linter("shellcheck"), *sorted(scripts)], root)


def yamllint(root: Path) -> str:
    places: list[str | Path] = [root / "docker-compose.yml", root / "deploy"]
    return deploying.complaint([linter("yamllint"), "--strict", "-c", YAMLLINT, *places], root)


def kubernetes(root: Path) -> str:
    """The resources of Kubernetes itself, unknown fields refused."""
    plain = sorted(
        {
            path
            for path, document in deploying.manifests(root)
            if not document["apiVersion"].startswith(("ray.io/", "kustomize."))
        }
    )
    return deploying.complaint([linter("kubernetes-validate"), "--strict", *plain], root)


def ray_cluster(root: Path) -> list[str]:
    definition = REPOSITORY.parent / "shared" / "schemas" / "ray.io_rayclusters.yaml"
    require_or_skip(definition.is_file(), "needs the definition in ../shared/schemas")
    clusters = [d for _, d in deploying.manifests(root) if d["kind"] == "RayCluster"]
    assert len(clusters) == 1
    return deploying.refused_by_crd(clusters[0], definition)


def calls(root: Path) -> list[str]:
    return deploying.wrong_calls(deploying.calls(root))


def units(root: Path) -> str:
    """As systemd reads them; the program itself need not be installed here."""
    verify = shutil.which("systemd-analyze")
    require_or_skip(verify, "needs systemd-analyze")
    assert verify is not None
    folder = root / "units"
    folder.mkdir()
    for unit in sorted((root / "deploy" / "systemd").glob("*.service")):
        text = unit.read_text(encoding="utf-8").replace("/opt/fre-hpo/bin/fre-hpo", "/bin/true")
        (folder / unit.name).write_text(text, encoding="utf-8")
    said = deploying.said([verify, "verify", "--man=no", *sorted(folder.iterdir())], root)
    return "\n".join(line for line in said.splitlines() if str(folder) in line)


CHECKS: dict[str, Callable[[Path], Any]] = {
    "compose-schema": compose_schema,
    "hadolint": hadolint,
    "shellcheck": shellcheck,
    "yamllint": yamllint,
    "kubernetes": kubernetes,
    "ray-cluster": ray_cluster,
    "systemd": units,
    "calls": calls,
    "flags": deploying.wrong_flags,
    "our-variables": deploying.unknown_variables,
    "compose-variables": deploying.unexplained_variables,
    "secrets": deploying.bare_secrets,
}

BREAKS = [  # check, file, what is there, what it becomes, a word of the complaint
    ("compose-schema", "docker-compose.yml", "restart: unless", "restarts: unless", "restarts"),
    ("hadolint", "deploy/Dockerfile", "USER 1000:0\n", "RUN cd /tmp\nUSER root\n", "DL3002"),
    ("shellcheck", "deploy/postgresql/backup.sh", '"$file.part"\n', "$file.part\n", "SC2086"),
    ("yamllint", "deploy/kubernetes/cluster.yaml", "  name: fre", "  name:   fre", "spaces"),
    ("kubernetes", "deploy/kubernetes/dashboard.yaml", "replicas: 1", "replica: 1", "replica"),
    ("kubernetes", "deploy/kubernetes/search.yaml", "Limit: 100", "Limit: many", "many"),
    ("ray-cluster", "deploy/kubernetes/cluster.yaml", "minReplicas", "minReplica", "minReplica"),
    ("ray-cluster", "deploy/kubernetes/cluster.yaml", "sizeLimit: 2", "size: 2", "size"),
    ("ray-cluster", "deploy/kubernetes/cluster.yaml", "maxReplicas: 100", "maxReplicas: a", "'a'"),
    ("systemd", "deploy/systemd/fre-hpo-worker.service", "Mode=mixed", "Mode=soft", "soft"),
    ("calls", "docker-compose.yml", '"--grace", "120"', '"--patience", "120"', "--patience"),
    ("calls", "docker-compose.yml", "--trials=", "--trial-count=", "--trial-count"),
    ("calls", "deploy/kubernetes/cluster.yaml", "args: [head", "args: [boss", "boss"),
    ("calls", "deploy/systemd/fre-hpo-worker.service", "--wait 600", "--await 600", "--await"),
    ("calls", ".env.example", "`fre-hpo start`", "`fre-hpo begin`", "begin"),
    ("calls", "README.md", "fre-hpo status mouse", "fre-hpo state mouse", "state"),
    ("our-variables", "README.md", "`FRE_HPO_NOTIFY`", "`FRE_HPO_TELL`", "FRE_HPO_TELL"),
    ("flags", "deploy/workstations.md", "`--host`", "`--my-host`", "--my-host"),
    ("our-variables", "deploy/systemd/settings.example", "_HPO_HOME", "_HPO_HOUSE", "_HOUSE"),
    ("our-variables", "deploy/kubernetes/search.yaml", "RAY_ADDRESS", "RAY_HEAD", "RAY_HEAD"),
    ("compose-variables", "docker-compose.yml", "${SHM_SIZE:-2gb}", "${SHM_SIZE}", "SHM_SIZE"),
    ("compose-variables", ".env.example", "RESULTS=", "RESULT=", "RESULT"),
    ("secrets", "docker-compose.yml", "/run/secrets/db-password", "fre", "POSTGRES_PASSWORD"),
    ("secrets", "deploy/systemd/settings.example", "fre@db.lab", "fre:fre@db.lab", "password"),
    ("secrets", "deploy/kubernetes/namespace.yaml", "kind: Namespace", "kind: Secret", "Secret"),
]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_the_files_pass(check: Callable[[Path], Any], copy: Path) -> None:
    wrong = check(copy)
    assert not wrong, wrong


@pytest.mark.parametrize(("check", "name", "old", "new", "complaint"), BREAKS)
def test_a_broken_copy_does_not(
    check: str, name: str, old: str, new: str, complaint: str, copy: Path
) -> None:
    break_(copy, name, old, new)
    assert complaint in str(CHECKS[check](copy))


def test_calls_are_found_wherever_they_stand() -> None:
    """So that the check of calls has something to check, in every kind of file."""
    sources = "\n".join(call.source for call in deploying.calls(REPOSITORY))
    for place in (
        "docker-compose.yml, coordinator",
        "cluster.yaml, ray-worker",
        "deploy/systemd/fre-hpo@.service:",
        "deploy/slurm/fre-hpo.sbatch:",
        "deploy/compose.md:",
        "deploy/kubernetes.md:",
        "deploy/workstations.md:",
        "deploy/slurm.md:",
        "deploy/postgresql.md:",
        ".env.example:",
        "README.md:",
    ):
        assert place in sources, place


def test_the_guides_make_every_secret_that_is_asked_for() -> None:
    guide = (REPOSITORY / "deploy" / "compose.md").read_text(encoding="utf-8")
    for name in deploying.compose(REPOSITORY)["secrets"]:
        assert name in guide, name
    guide = (REPOSITORY / "deploy" / "kubernetes.md").read_text(encoding="utf-8")
    text = "\n".join(yaml.safe_dump(document) for _, document in deploying.manifests(REPOSITORY))
    keys = re.findall(r"secretKeyRef:\s+key: (\S+)\s+name: (\S+)", text)
    assert keys
    for key, secret in keys:
        assert re.search(rf"secret generic {secret}\b", guide)
        assert key in guide, key


def test_no_pod_of_ours_has_rights() -> None:
    for path, document in deploying.manifests(REPOSITORY):
        for container in deploying.containers(document):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False, path
            assert rights["capabilities"] == {"drop": ["ALL"]}, path


def test_guides_fit_a_page_and_their_links_lead_somewhere() -> None:
    folder = REPOSITORY / "deploy"
    for guide in sorted(folder.glob("*.md")):
        text = guide.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 100, guide
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (folder / target).exists(), target
