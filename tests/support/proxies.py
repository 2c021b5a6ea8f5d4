"""nginx and Caddy from `deploy/`, on free ports of 127.0.0.1, with a self-signed certificate, before a Kodiai."""

import datetime
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.attacks import HOST, Address
from tests.support.processes import ROOT
from tests.support.running_kodiai import free_port
from tests.support.waiting import PATIENCE, eventually

NGINX_MAIN = """
daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 768; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
"""What Debian's /etc/nginx/nginx.conf says around the site, with folders of the test's own."""
CADDY_GLOBAL = "{{\n\tadmin off\n\tskip_install_trust\n\thttp_port {http}\n\thttps_port {https}\n"


@contextmanager
def proxied(kind: str, folder: Path, port: int) -> Iterator[Address]:
    """The address of a proxy of this kind before `port`; that of `port` itself if `kind` is "bare"."""
    if kind == "bare":
        yield Address(port)
        return
    program = shutil.which(kind)
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{kind} is not installed; .ci/run installs it")
        pytest.skip(f"{kind} is not installed here")
    folder.mkdir()
    http, https = free_port(), free_port()
    certificate, key = make_certificate(folder)
    if kind == "nginx":
        site = (ROOT / "deploy" / "nginx.conf").read_text()
        site = site.replace("listen 80;", f"listen 127.0.0.1:{http};").replace(
            "listen 443", f"listen 127.0.0.1:{https}"
        )
        site = site.replace(f"/etc/letsencrypt/live/{HOST}/fullchain.pem", str(certificate))
        site = site.replace(f"/etc/letsencrypt/live/{HOST}/privkey.pem", str(key))
        (folder / "site.conf").write_text(site.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
        (folder / "nginx.conf").write_text(NGINX_MAIN.format(folder=folder))
        command = [program, "-c", str(folder / "nginx.conf")]
    else:
        site = (ROOT / "deploy" / "Caddyfile").read_text().replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        site = site.replace("{\n", CADDY_GLOBAL.format(http=http, https=https), 1)
        site = site.replace(f"{HOST} {{\n", f"{HOST} {{\n\ttls {certificate} {key}\n\tbind 127.0.0.1\n")
        (folder / "Caddyfile").write_text(site)
        command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    address = Address(https, tls=True)
    environment = os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        eventually(lambda: _accepts(address) or process.poll() is not None, f"{kind} accepts connections")
        assert process.poll() is None, (folder / "output").read_text()
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _accepts(address: Address) -> bool:
    try:
        address.connect().close()
    except OSError:
        return False
    return True


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of the example's name and of this machine's, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return paths
