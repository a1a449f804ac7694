"""The Kubernetes manifests and the compose file: valid, of one mind with the image, and without powers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dockerfile import last

from quilt_mcp.config import Settings
from quilt_mcp.option import OPTIONS
from quilt_mcp.server.http.pages import Pages
from quilt_mcp.server.users.serving import check_many

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
CLEANING = 8
"""Seconds that a server may take to end after it let its calls end (server/signals.py, server/http/edge.py)."""


def manifest(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())


def pod() -> Any:
    return manifest("deployment")["spec"]["template"]["spec"]


def container() -> Any:
    [only] = pod()["containers"]
    return only


def composed() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["quilt-mcp"]


@pytest.mark.parametrize("release", ["1.30", "1.34", "1.37"])
@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_a_manifest_is_what_that_release_of_kubernetes_takes(file: Path, release: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(file.read_text()), release, strict=True)


def test_a_field_that_is_none_is_found() -> None:
    wrong = manifest("deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_each_setting_is_one_that_there_is() -> None:
    known = {option.variable for option in OPTIONS}
    told = {*manifest("configmap")["data"], *composed()["environment"], *_of_the_image()}
    assert {name for name in told if name.startswith("QUILT_")} - known == set()
    assert len(told) > 6


def test_no_setting_that_is_given_here_is_a_secret() -> None:
    secrets = {option.variable for option in OPTIONS if option.kind in ("secret", "file")}
    told = {*manifest("configmap")["data"], *composed()["environment"], *_of_the_image()}
    assert told & secrets == set()


def test_the_settings_start_a_server_of_many_users() -> None:
    given = {name: value.strip() for name, value in _of_the_image().items()}
    settings = Settings.load({**given, **manifest("configmap")["data"]}, {"http": True})
    check_many(settings)
    assert settings.serves_many and not settings.allow_write


def test_probes_ask_what_is_answered() -> None:
    paths = {
        name: container()[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
    }
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    for path in paths.values():
        assert Pages().health({"method": "GET", "path": path}) is not None


def test_ports_agree() -> None:
    [port] = container()["ports"]
    [service] = manifest("service")["spec"]["ports"]
    assert str(port["containerPort"]) == _of_the_image()["QUILT_MCP_PORT"] == last("EXPOSE")
    assert service["targetPort"] == port["name"]
    assert composed()["ports"] == [f"127.0.0.1:8000:{port['containerPort']}"]


def test_what_selects_the_pods_selects_these() -> None:
    labels = manifest("deployment")["spec"]["template"]["metadata"]["labels"]
    for chosen in (
        manifest("deployment")["spec"]["selector"]["matchLabels"],
        manifest("disruption-budget")["spec"]["selector"]["matchLabels"],
        manifest("service")["spec"]["selector"],
        pod()["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ):
        assert chosen.items() <= labels.items()


def test_calls_have_the_time_to_end_that_the_server_gives_them() -> None:
    drain = int(manifest("configmap")["data"]["QUILT_MCP_DRAIN_SECONDS"])
    pause = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod()["terminationGracePeriodSeconds"] > pause + drain + CLEANING
    assert int(composed()["stop_grace_period"].removesuffix("s")) > Settings().drain_seconds + CLEANING


def test_one_replica_is_left_whatever_is_done_to_the_others() -> None:
    assert manifest("deployment")["spec"]["replicas"] >= 2
    assert manifest("deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert manifest("disruption-budget")["spec"]["maxUnavailable"] == 1


def test_the_pod_keeps_to_the_restricted_profile_and_has_no_rights_of_its_own() -> None:
    outer, inner = pod()["securityContext"], container()["securityContext"]
    assert outer["runAsNonRoot"] and outer["seccompProfile"] == {"type": "RuntimeDefault"}
    assert f"{outer['runAsUser']}:{outer['runAsGroup']}" == last("USER") == composed()["user"]
    assert inner == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["enableServiceLinks"] is False, "a link would be called QUILT_MCP_PORT"
    assert {"limits", "requests"} <= container()["resources"].keys()


def test_the_composed_server_has_as_few_powers() -> None:
    assert composed()["read_only"] is True and composed()["cap_drop"] == ["ALL"]
    assert composed()["security_opt"] == ["no-new-privileges:true"]
    assert composed()["tmpfs"] == ["/tmp"]
    assert (DEPLOY / composed()["build"]["context"] / composed()["build"]["dockerfile"]).is_file()


def test_what_is_written_to_is_mounted_and_holds_the_cache() -> None:
    mounts = {one["mountPath"]: one["name"] for one in container()["volumeMounts"]}
    sizes = {one["name"]: one["emptyDir"]["sizeLimit"] for one in pod()["volumes"]}
    assert mounts.keys() == {last("VOLUME"), "/tmp"}
    assert int(sizes[mounts[last("VOLUME")]].removesuffix("Gi")) << 30 > Settings().cache_bytes


def _of_the_image() -> dict[str, str]:
    return dict(_pairs())


def _pairs() -> Iterator[tuple[str, str]]:
    for pair in last("ENV").split():
        name, _, value = pair.partition("=")
        yield name, value
