"""Judges deploy/kubernetes: the schemas of Kubernetes, and what must fit together."""

import pathlib
import sys

import kubernetes_validate
import yaml

FOLDER = pathlib.Path(__file__).parents[2] / "deploy/kubernetes"
NAME = {"app.kubernetes.io/name": "supercheck"}


def documents():
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


def must(holds, what):
    if not holds:
        sys.exit(f"deploy/kubernetes: {what}")


kinds = {}
for file, document in documents():
    kinds[document["kind"]] = document
    # These two are no kinds of Kubernetes' own.
    if document["kind"] not in ("Kustomization", "ServiceMonitor"):
        kubernetes_validate.validate(document, "1.30", strict=True)

kustomization = kinds["Kustomization"]
files = {path.name for path in FOLDER.iterdir()}
must(set(kustomization["resources"]) <= files, "a resource that is not there")
for made in kustomization["configMapGenerator"]:
    must(set(made["files"]) <= files, "a file of the config map that is not there")

deployment = kinds["Deployment"]["spec"]
pod = deployment["template"]["spec"]
(container,) = pod["containers"]
must(deployment["replicas"] >= 2, "fewer than two replicas")
must(deployment["template"]["metadata"]["labels"] == NAME, "labels of the pods")
must(container["image"] in [image["name"] for image in kustomization["images"]], "the image")
must(container["securityContext"]["readOnlyRootFilesystem"], "a root file system to write to")
must(pod["securityContext"]["runAsNonRoot"], "root")
for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
    must(container[probe]["httpGet"]["path"] == path, probe)
for variable in container["env"]:
    reference = variable.get("valueFrom", {}).get("secretKeyRef")
    if reference:
        must(reference["name"] == kinds["Secret"]["metadata"]["name"], "another secret")
        must(reference["key"] in kinds["Secret"]["stringData"], "a key the secret has not")
for kind, labels in {
    "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
    "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
    "Service": lambda spec: spec["selector"],
    "ServiceMonitor": lambda spec: spec["selector"]["matchLabels"],
}.items():
    must(labels(kinds[kind]["spec"]) == NAME, f"{kind} selects something else")
must(kinds["PodDisruptionBudget"]["spec"]["minAvailable"] < deployment["replicas"], "no pod may go")
print(f"{len(kinds)} kinds")
