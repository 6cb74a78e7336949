"""Mutual TLS is the default: what pods get for it, and how the certificate is made."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .rendering import PLAIN, Manifests, pods, render

ENDS = "aer-dask/certificate-ends"


def pem(manifests: Manifests, name: str) -> bytes:
    return base64.b64decode(manifests["Secret/tls"]["data"][name])


def test_every_pod_speaks_tls_alone_with_a_certificate_that_its_group_may_read(
    default: Manifests,
) -> None:
    for key, pod in pods(default).items():
        (box,) = pod["containers"]
        env = {each["name"]: each.get("value") for each in box["env"]}
        assert env["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true", key
        assert env["DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME"] == "tls", key
        assert env["DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY"] == "/etc/aer-dask/tls/tls.key", key
        (mount,) = [each for each in box["volumeMounts"] if each["name"] == "tls"]
        assert mount == {"name": "tls", "mountPath": "/etc/aer-dask/tls", "readOnly": True}
        (volume,) = [each for each in pod["volumes"] if each["name"] == "tls"]
        assert volume["secret"] == {"secretName": "aer-aer-dask-tls", "defaultMode": 0o440}


def test_without_tls_nothing_of_it_is_there() -> None:
    manifests = render(PLAIN)
    assert "Secret/tls" not in manifests
    assert "tls" not in str(list(pods(manifests).values()))


def test_one_authority_signs_one_certificate_of_an_elliptic_key_for_servers_and_clients(
    default: Manifests,
) -> None:
    authority, certificate = (
        x509.load_pem_x509_certificate(pem(default, name)) for name in ("ca.crt", "tls.crt")
    )
    certificate.verify_directly_issued_by(authority)
    assert isinstance(certificate.public_key(), EllipticCurvePublicKey)
    key = load_pem_private_key(pem(default, "tls.key"), password=None)
    assert key.public_key() == certificate.public_key()
    assert authority.public_key() != certificate.public_key()
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {each._name for each in usage} == {"serverAuth", "clientAuth"}
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["aer-aer-dask-scheduler", "localhost"]


def test_no_two_renderings_make_the_same_keys() -> None:
    first, second = (pem(render({"commonLabels": {"draw": str(i)}}), "tls.key") for i in range(2))
    assert first != second


def test_its_end_is_noted_on_the_secret_and_on_every_pod_that_read_it(default: Manifests) -> None:
    """Another certificate has another end, which restarts them."""
    noted = default["Secret/tls"]["metadata"]["annotations"][ENDS]
    certificate = x509.load_pem_x509_certificate(pem(default, "tls.crt"))
    apart = certificate.not_valid_after_utc - datetime.fromisoformat(noted)
    assert abs(apart) <= timedelta(seconds=2)
    assert timedelta(days=3640) < datetime.fromisoformat(noted) - datetime.now(UTC)
    for key in ("Deployment/scheduler", "Deployment/worker-default", "Deployment/jupyter"):
        assert default[key]["spec"]["template"]["metadata"]["annotations"][ENDS] == noted, key


@pytest.mark.parametrize(
    "values",
    [
        PLAIN,
        {"tls.mode": "existingSecret", "tls.existingSecret": "mine"},
        {"tls.mode": "certManager", "tls.issuerRef": {"name": "own"}},
    ],
    ids=["disabled", "existingSecret", "certManager"],
)
def test_other_modes_make_no_certificate_and_note_no_end(values: dict[str, object]) -> None:
    manifests = render(values)
    assert "Secret/tls" not in manifests
    assert ENDS not in str(manifests)


def test_the_secret_of_cert_manager_is_none_that_helm_makes_or_takes_for_its_own() -> None:
    """Helm would delete it when the mode changes, or adopt it with an end that is not true."""
    manifests = render({"tls.mode": "certManager", "tls.issuerRef": {"name": "own"}})
    name = manifests["Certificate/tls-certmanager"]["spec"]["secretName"]
    assert name != render()["Secret/tls"]["metadata"]["name"]
    for key, pod in pods(manifests).items():
        (volume,) = [each for each in pod["volumes"] if each["name"] == "tls"]
        assert volume["secret"]["secretName"] == name, key
