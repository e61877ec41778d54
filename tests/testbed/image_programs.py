"""Python programs that tests run inside images; they use what is in there only."""

from __future__ import annotations

from typing import Final

TRUST: Final = r"""
# Whom does a client trust? A server shows a certificate that Debian's bundle knows, or does not.
import asyncio, datetime, http.server, ipaddress, ssl, sys, tempfile, threading
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
certificate = (
    x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    .add_extension(x509.SubjectAlternativeName([address]), False)
    .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
)
pem = certificate.public_bytes(serialization.Encoding.PEM)
secret = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
both = Path(tempfile.mkdtemp()) / "both.pem"
both.write_bytes(pem + secret)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(both)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"https://127.0.0.1:{server.server_address[1]}/"

async def by_tornado(kind):
    from tornado.httpclient import AsyncHTTPClient
    if kind == "curl":
        AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")
    return (await AsyncHTTPClient(force_instance=True).fetch(url)).code

async def by_aiohttp():
    import aiohttp
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status

def get():
    if sys.argv[1] == "requests":
        import requests
        return requests.get(url, timeout=20).status_code
    return asyncio.run(by_aiohttp() if sys.argv[1] == "aiohttp" else by_tornado(sys.argv[1]))

bundle = Path("/etc/ssl/certs/ca-certificates.crt")
before = bundle.read_bytes()
if sys.argv[2] == "known":
    bundle.write_bytes(before + pem)
try:
    print(get())
except Exception as error:
    print("refused" if "certificate" in str(error).lower() else repr(error))
# the bundle is the next test's, too
bundle.write_bytes(before)
"""

ANSWERS: Final = r"""
import http.client, json, os, subprocess, sys, tempfile, time

def answer(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    got = connection.getresponse()
    return got.status, got.read()

def wait_for(process, port, path, **headers):
    end = time.monotonic() + 120
    while True:
        try:
            if answer(port, path, **headers)[0] == 200:
                return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{process.args[0]} does not answer at {path}")
        time.sleep(0.1)
"""

HEALTH: Final = (
    ANSWERS
    + r"""
os.chdir(tempfile.mkdtemp())
with open("config.py", "w") as config:
    config.write('''
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
''')
hub = subprocess.Popen(["jupyterhub", "-f", "config.py"])
wait_for(hub, 8000, "/hub/health")
hub.terminate()
hub.wait(60)
print("healthy")
"""
)

CHART: Final = r"""
# Load the chart's configuration as the hub does, with the chart's own default values.
import os
os.environ |= {
    "POD_NAMESPACE": "test", "HELM_RELEASE_NAME": "test", "PROXY_API_SERVICE_PORT": "8001",
    "HUB_SERVICE_PORT": "8081", "PROXY_PUBLIC_SERVICE_PORT": "80",
    "CONFIGPROXY_AUTH_TOKEN": "x" * 32,
}
folder = "/usr/local/etc/jupyterhub"
from jupyterhub.app import JupyterHub
hub = JupyterHub()
hub.load_config_file(f"{folder}/jupyterhub_config.py")
print(hub.config.JupyterHub.spawner_class)
"""

LAB: Final = (
    ANSWERS
    + r"""
os.environ["JUPYTER_TOKEN"] = "for-this-test"
token = {"Authorization": "token for-this-test"}
begin = time.monotonic()
lab = subprocess.Popen(["jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=8888"])
wait_for(lab, 8888, "/api/status", **token)
print("seconds to the first answer:", round(time.monotonic() - begin, 1))
kernels = json.loads(answer(8888, "/api/kernelspecs", **token)[1])["kernelspecs"]
assert "python3" in kernels, kernels
assert b"af-labextension" in answer(8888, "/lab", **token)[1]
lab.terminate()
lab.wait(60)
print("fine")
"""
)

GATEWAY: Final = (
    ANSWERS
    + r"""
os.chdir(tempfile.mkdtemp())
with open("config.py", "w") as config:
    config.write('''
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.DaskGateway.address = "127.0.0.1:8001"
c.Proxy.address = "127.0.0.1:8000"
''')
gateway = subprocess.Popen(["dask-gateway-server", "--config", "config.py"])
# through the proxy, which is a program of its own in the wheel
wait_for(gateway, 8000, "/api/health")
gateway.terminate()
gateway.wait(60)
print("healthy")
"""
)
