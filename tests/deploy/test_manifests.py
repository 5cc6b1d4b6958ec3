"""The files in deploy/ against what they are for: schemas, settings, metrics, paths."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from captions.config import load
from captions.metrics import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
SAMPLES = {family.name + suffix for family in Metrics().registry.collect() for suffix in SUFFIXES[family.type]}


def resources() -> list[dict[str, Any]]:
    return [
        resource
        for path in KUBERNETES
        if path.name != "kustomization.yaml"
        for resource in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]


def named(resource: dict[str, Any]) -> str:
    return f"{resource['kind']}-{resource['metadata']['name']}"


@pytest.mark.parametrize("resource", resources(), ids=named)
def test_a_manifest_is_what_its_schema_allows(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, "1.31", strict=True)


def test_kustomize_takes_every_file() -> None:
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert {path.name for path in KUBERNETES} == {*listed, "kustomization.yaml"}


def environments() -> Iterator[Any]:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        if service.get("image") == "captions":
            keys = {"CAPTIONS_KEYS_PUBLISH": "k", "CAPTIONS_KEYS_WATCH": "w"}
            yield pytest.param(service["environment"] | keys, id=f"compose-{name}")
    for resource in resources():
        if resource["kind"] == "Deployment":
            [container] = resource["spec"]["template"]["spec"]["containers"]
            settings = {one["name"]: one.get("value", "k") for one in container.get("env", [])}
            if "CAPTIONS_CLUSTER_ROLE" in settings:
                address = settings["CAPTIONS_CLUSTER_ADDRESS"].replace("$(POD_IP)", "10.0.0.7")
                yield pytest.param(settings | {"CAPTIONS_CLUSTER_ADDRESS": address}, id=named(resource))


@pytest.mark.parametrize("environment", environments())
def test_a_node_takes_the_settings_it_is_given(environment: dict[str, str]) -> None:
    config = load(None, environment | {"CAPTIONS_SERVER_HOST": "0.0.0.0"})
    assert config.cluster.redis.startswith("redis://redis:6379")
    assert config.cluster.role in ("speech", "watch")
    assert not config.is_open


def test_a_pod_has_the_time_to_drain() -> None:
    for resource in resources():
        if resource["kind"] == "Deployment" and resource["metadata"]["name"] != "redis":
            spec = resource["spec"]["template"]["spec"]
            [container] = spec["containers"]
            env = {one["name"]: one.get("value") for one in container["env"]}
            stopped_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
            assert spec["terminationGracePeriodSeconds"] > stopped_s + float(env["CAPTIONS_SERVER_DRAIN_S"])


def test_the_dashboard_asks_for_metrics_that_the_server_has() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "captions.json").read_text(encoding="utf-8"))
    asked = {
        metric
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for metric in re.findall(r"\bcaptions_\w+", target["expr"])
    }
    assert len(asked) > 15
    assert asked - SAMPLES == set()


def test_scaling_goes_by_a_metric_that_the_server_has() -> None:
    found = {resource["kind"]: resource for resource in resources()}
    [metric] = found["HorizontalPodAutoscaler"]["spec"]["metrics"]
    [rule] = yaml.safe_load(found["ConfigMap"]["data"]["rules.yaml"])
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"] == "captions_fullness"
    assert set(re.findall(r"\bcaptions_\w+", json.dumps(rule))) - SAMPLES == set()


def test_compose_mounts_files_that_are_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert len(mounted) > 4
    assert [name for name in mounted if not (DEPLOY / name).exists()] == ["./captions.pem"], "made by certificate.sh"
    asked = set(re.findall(r"\$\{(\w+)\}", (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")))
    assert asked == set(compose["services"]["haproxy"]["environment"])


def test_the_image_is_no_root_and_its_sources_are_there() -> None:
    spec = spec_from_file_location("try_dockerfile", DEPLOY / "try_dockerfile.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    steps = script.steps()
    assert ("USER", "10001:10001") in steps
    assert any(word == "HEALTHCHECK" for word, _ in steps)
    sources = [source for word, rest in steps if word == "COPY" for source in rest.split()[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert [source for source in sources if f"!{source}" not in allowed] == []


def test_the_health_check_of_the_image_runs() -> None:
    [command] = re.findall(r"HEALTHCHECK.*?CMD (\[.*?\])\n", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.S)
    program = json.loads(command)[2]
    done = subprocess.run([sys.executable, "-c", program.replace("8080", "1")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "URLError" in done.stderr


def test_the_unit_waits_for_the_drain() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.read(DEPLOY / "captions.service", encoding="utf-8")
    assert unit["Service"]["ExecStart"] == "/opt/captions/bin/captions serve"
    assert float(unit["Service"]["TimeoutStopSec"]) > load(None).server.drain_s
