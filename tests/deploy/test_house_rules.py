"""What every manifest of ours keeps to, whoever writes the next."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from pydantic import SecretStr

from coterie_chassis import health
from coterie_chassis.roles import Role
from coterie_chassis.settings import ChassisSettings
from coterie_contracts.topics import consumed_by
from tests.deploy.conftest import Overlay
from tests.deploy.flows import selects

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICES: Final = ("membership", "feedback", "recognition", "notifications")
COMPONENT: Final = "app.kubernetes.io/component"
NAME: Final = "app.kubernetes.io/name"


def settings_of(service: str) -> type[ChassisSettings]:
    found = import_module(f"coterie_{service}.service").service.settings
    assert issubclass(found, ChassisSettings)
    return found


def container_of(template: Any) -> dict[str, Any]:
    (container,) = template["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def mounted(template: Any) -> dict[str, set[str]]:
    """Secrets that a pod mounts, and the files that it takes of each."""
    found: dict[str, set[str]] = {}
    for volume in template["spec"]["volumes"]:
        sources = [part["secret"] for part in volume.get("projected", {}).get("sources", [])]
        if "secret" in volume:
            sources.append(volume["secret"] | {"name": volume["secret"]["secretName"]})
        for secret in sources:
            found[secret["name"]] = {item["path"] for item in secret["items"]}
    return found


def test_each_service_has_its_roles_and_no_other(overlay: Overlay) -> None:
    expected = {
        f"{service}-{role.value}"
        for service in SERVICES
        for role in Role
        if role is not Role.CONSUMER or consumed_by(service)
    }
    deployed = overlay.of("Deployment")
    assert set(deployed) == expected
    for name, workload in deployed.items():
        service, role = name.split("-")
        template = workload["spec"]["template"]
        assert container_of(template)["args"] == ["serve", "--only", role]
        labels = template["metadata"]["labels"]
        assert (labels[NAME], labels[COMPONENT]) == (service, role)
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_each_service_has_a_migration_of_its_own(overlay: Overlay) -> None:
    jobs = overlay.of("Job")
    assert set(jobs) == {f"{service}-migrate" for service in SERVICES}
    for job in jobs.values():
        assert container_of(job["spec"]["template"])["args"] == ["migrate"]
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure"


def test_an_image_is_its_service(overlay: Overlay) -> None:
    for name, template in overlay.pods().items():
        image = container_of(template)["image"]
        service = name.split("-")[0]
        assert re.fullmatch(rf"(?:[a-z.]+/)*coterie-{service}(?::[0-9.]+)?", image), image
        assert (ROOT / "services" / service).is_dir()
        if overlay.name == "production":
            assert ":" in image, "a release is named"


def test_pods_keep_to_the_restricted_standard(overlay: Overlay) -> None:
    (namespace,) = overlay.of("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for template in overlay.pods().values():
        pod, container = template["spec"], container_of(template)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert all({"secret", "projected"} & set(volume) for volume in pod["volumes"])
        assert "memory" in container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])


def test_probes_ask_what_the_chassis_answers(overlay: Overlay) -> None:
    for workload in overlay.of("Deployment").values():
        container = container_of(workload["spec"]["template"])
        (port,) = container["ports"]
        paths = {
            probe: container[f"{probe}Probe"]["httpGet"]["path"]
            for probe in ("startup", "liveness", "readiness")
        }
        assert paths == {
            "startup": health.LIVE,
            "liveness": health.LIVE,
            "readiness": health.READY,
        }
        assert (port["name"], port["containerPort"]) == ("http", 8000)


def test_grace_periods_add_up(overlay: Overlay) -> None:
    """The end of traffic, then the requests under way, then consumers and relay, and a little."""
    grace = float(overlay.settings()["COTERIE_SHUTDOWN_GRACE_S"])
    for workload in overlay.of("Deployment").values():
        template = workload["spec"]["template"]
        before = container_of(template)["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert template["spec"]["terminationGracePeriodSeconds"] >= before + 2 * grace + 5


def test_a_roll_never_adds_a_consumer_and_never_lacks_an_api(overlay: Overlay) -> None:
    for name, workload in overlay.of("Deployment").items():
        rolling = workload["spec"]["strategy"]["rollingUpdate"]
        expected = (0, 1) if name.endswith("-consumer") else (1, 0)
        assert (rolling["maxSurge"], rolling["maxUnavailable"]) == expected


def test_consumers_scale_up_to_the_partitions_and_no_further(overlay: Overlay) -> None:
    scaled = overlay.of("ScaledObject")
    partitions = {name: t["spec"]["partitions"] for name, t in overlay.of("KafkaTopic").items()}
    for service in SERVICES:
        if not consumed_by(service):
            continue
        workload = overlay.of("Deployment")[f"{service}-consumer"]
        most = min(partitions[topic.name] for topic in consumed_by(service))
        assert "replicas" not in workload["spec"], "who scales says how many"
        if overlay.name == "production":
            spec = scaled[f"{service}-consumer"]["spec"]
            assert spec["maxReplicaCount"] == most
            assert 1 <= spec["minReplicaCount"] <= most
            assert {t["metadata"]["consumerGroup"] for t in spec["triggers"]} == {
                f"coterie.{service}.{topic.lane.value}" for topic in consumed_by(service)
            }
            values = [v for t in spec["triggers"] for v in t["metadata"].values()]
            assert {type(value) for value in values} == {str}
    assert bool(scaled) == (overlay.name == "production")


def test_there_are_brokers_for_every_copy(overlay: Overlay) -> None:
    (pool,) = overlay.of("KafkaNodePool").values()
    config = overlay.of("Kafka")["coterie"]["spec"]["kafka"]["config"]
    brokers = pool["spec"]["replicas"]
    assert config["auto.create.topics.enable"] == "false"
    for copies in (
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
    ):
        assert config[copies] == brokers
    assert config["min.insync.replicas"] == config["transaction.state.log.min.isr"]
    assert config["min.insync.replicas"] == (2 if brokers == 3 else 1)


def test_no_disruption_takes_more_than_one_and_none_is_blocked(overlay: Overlay) -> None:
    budgets = overlay.of("PodDisruptionBudget")
    assert set(budgets) == set(overlay.of("Deployment"))
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        covered = [
            pod
            for pod, template in overlay.pods().items()
            if selects(budget["spec"]["selector"], template["metadata"]["labels"])
        ]
        assert covered == [name]


def test_a_service_leads_to_its_own_apis(overlay: Overlay) -> None:
    for name, service in overlay.of("Service").items():
        reached = [
            pod
            for pod, template in overlay.pods().items()
            if selects({"matchLabels": service["spec"]["selector"]}, template["metadata"]["labels"])
        ]
        assert reached == [name]


def test_what_is_set_is_known_and_no_secret(overlay: Overlay) -> None:
    fields = ChassisSettings.model_fields
    for variable in overlay.settings():
        if variable == "COTERIE_SECRETS_DIR":
            continue
        field = fields[variable.removeprefix("COTERIE_").lower()]
        assert SecretStr not in {field.annotation, *get_args(field.annotation)}, variable
    assert overlay.of("Secret") == {}
    for template in overlay.pods().values():
        container = container_of(template)
        assert "env" not in container
        assert [source["configMapRef"]["name"] for source in container["envFrom"]] == list(
            overlay.of("ConfigMap")
        )


def test_every_secret_is_somebodys_to_hand_out(overlay: Overlay) -> None:
    issued = {"coterie-cluster-ca-cert", *overlay.of("KafkaUser")}
    issued |= {f"{name}-{kind}" for name in overlay.of("Cluster") for kind in ("app", "ca")}
    by_hand = (ROOT / "deploy" / "kubernetes" / "README.md").read_text()
    for name, template in overlay.pods().items():
        service = name.split("-")[0]
        for secret in mounted(template):
            if secret == f"{service}-keys":
                assert f"create secret generic {secret}" in by_hand
            else:
                assert secret in issued
            owner = secret.removeprefix("coterie-").split("-")[0]
            assert owner in {service, "cluster"}, f"{name} mounts {secret}"


def test_a_pod_has_all_settings_that_its_service_requires(overlay: Overlay) -> None:
    told = {name.removeprefix("COTERIE_").lower() for name in overlay.settings()}
    for name, template in overlay.pods().items():
        files = set().union(*mounted(template).values())
        given = told | {file.removeprefix("coterie_") for file in files}
        fields = settings_of(name.split("-")[0]).model_fields
        required = {field for field, info in fields.items() if info.is_required()}
        assert required <= given, name


def test_files_that_settings_name_are_mounted_where_the_role_needs_them(overlay: Overlay) -> None:
    paths = {
        name.removeprefix("COTERIE_"): value
        for name, value in overlay.settings().items()
        if name.endswith("_FILE")
    }
    assert len(paths) == 4
    for name, template in overlay.pods().items():
        mounts = {m["mountPath"]: m["name"] for m in container_of(template)["volumeMounts"]}
        needs_kafka = name.endswith(("-relay", "-consumer"))
        assert ("/run/kafka" in mounts) == needs_kafka, "keys are where they are used alone"
        for setting, path in paths.items():
            if setting.startswith("DATABASE") or needs_kafka:
                assert str(Path(path).parent) in mounts
        assert all(mount["readOnly"] for mount in container_of(template)["volumeMounts"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_database_of_its_own(overlay: Overlay, service: str) -> None:
    cluster = overlay.of("Cluster")[f"{service}-db"]
    spec = cluster["spec"]
    assert spec["instances"] == (3 if overlay.name == "production" else 1)
    assert spec["inheritedMetadata"]["labels"][NAME] == service
    assert "walStorage" in spec
    assert set(overlay.of("Cluster")) == {f"{name}-db" for name in SERVICES}
    database = {n for n, t in overlay.pods().items() if f"{service}-db-app" in mounted(t)}
    assert database == {name for name in overlay.pods() if name.startswith(f"{service}-")}


def test_what_the_commands_of_the_page_select_exists(overlay: Overlay) -> None:
    page = (ROOT / "deploy" / "kubernetes" / "README.md").read_text()
    selectors = set(re.findall(r" -l (\S+)=(\S+)", page))
    assert selectors == {(COMPONENT, "migrate")}
    for key, value in selectors:
        labelled = [
            resource["kind"]
            for resource in overlay.resources
            if resource["metadata"].get("labels", {}).get(key) == value
        ]
        assert labelled == ["Job"] * len(SERVICES)
    for path in re.findall(r"-k (\S+)", page):
        assert (ROOT / path / "kustomization.yaml").is_file()
