#!/usr/bin/env python3
"""Records what `openssl s_server` answers to a hello of TLS 1.2 and before, up to its ServerHelloDone.

Run in this folder, with the names of the transcripts to record, or none for all; OpenSSL 3 is needed. The hello's random
is 32 times the octet 7, as the tests have it."""

import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time

RSA = [0xC013, 0x0033, 0x002F, 0x003C, 0x0067, 0xC027]
CURVE = [0xC009, 0xC023]
DSA = [0x0032, 0x0040]
SHA1 = [0x0201, 0x0203, 0x0202]
ALL = [0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0401, 0x0809, 0x0402, *SHA1]

# Name: key, version, suites, signature schemes.
TRANSCRIPTS = {
    "tls10-ecdhe-rsa2048": ("rsa:2048", "-tls1", [0xC013], ALL),
    "tls10-dhe-rsa1024": ("rsa:1024", "-tls1", [0x0033], ALL),
    "tls11-ecdhe-rsa2048": ("rsa:2048", "-tls1_1", [0xC013], ALL),
    "tls10-ecdhe-p256": ("ec:P-256", "-tls1", CURVE, ALL),
    "tls11-ecdhe-p384": ("ec:P-384", "-tls1_1", CURVE, ALL),
    "tls10-ecdhe-p521": ("ec:P-521", "-tls1", CURVE, ALL),
    "tls10-ecdhe-secp256k1": ("ec:secp256k1", "-tls1", CURVE, ALL),
    "tls10-dhe-dsa": ("dsa", "-tls1", DSA, ALL),
    "tls12-dhe-dsa": ("dsa", "-tls1_2", DSA, ALL),
    "tls12-static-rsa2048": ("rsa:2048", "-tls1_2", [0x002F, 0x003C], ALL),
    "tls12-dhe-rsa2048": ("rsa:2048", "-tls1_2", [0x0067], ALL),
    "tls12-dhe-rsa1024": ("rsa:1024", "-tls1_2", [0x0067], [0x0401]),
    "tls12-ecdhe-rsa2048-sha1": ("rsa:2048", "-tls1_2", [0xC027], SHA1),
    "tls12-ecdhe-p256": ("ec:P-256", "-tls1_2", CURVE, ALL),
    "tls12-ecdhe-p384-sha1": ("ec:P-384", "-tls1_2", CURVE, SHA1),
    "tls12-ecdhe-ed25519": ("ed25519", "-tls1_2", CURVE, ALL),
    "tls12-ecdhe-rsapss2048": ("rsa-pss", "-tls1_2", [0xC027], ALL),
    "tls12-null-rsa2048": ("rsa:2048", "-tls1_2", [0x003B], ALL),
    # With a suite of rustls.
    "tls12-gcm-rsapss2048": ("rsa-pss", "-tls1_2", [0xC02F], ALL),
    "tls12-gcm-ed448": ("ed448", "-tls1_2", [0xC02B], [0x0808, *ALL]),
    "tls12-gcm-brainpool256": ("ec:brainpoolP256r1", "-tls1_2", [0xC02B], ALL),
    "tls12-gcm-x448": ("rsa:2048", "-tls1_2", [0xC02F], ALL, [30]),
    "tls12-gcm-rsa2048-sha1": ("rsa:2048", "-tls1_2", [0xC02F], SHA1),
    "tls12-gcm-rsa2048": ("rsa:2048", "-tls1_2", [0xC02F], ALL),
}


def vector(size, content):
    return len(content).to_bytes(size, "big") + content


def hello(suites, schemes, groups=(29, 23, 24, 25, 22, 26)):
    def numbers(values):
        return b"".join(struct.pack(">H", v) for v in values)

    extensions = b""
    for kind, content in [
        (10, vector(2, numbers(groups))),
        (11, vector(1, b"\0")),
        (13, vector(2, numbers(schemes))),
    ]:
        extensions += struct.pack(">H", kind) + vector(2, content)
    body = b"\3\3" + b"\7" * 32 + b"\0" + vector(2, numbers(suites)) + b"\1\0" + vector(2, extensions)
    return b"\x16\3\1" + vector(2, b"\1" + vector(3, body))


def key_and_certificate(kind, folder):
    key, pem = folder / "key", folder / "pem"
    if kind == "dsa":
        params = folder / "params"
        run("openssl", "genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out", params)
        run("openssl", "genpkey", "-paramfile", params, "-out", key)
    elif kind.startswith("ec:"):
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kind[3:]}", "-out", key)
    elif kind.startswith("rsa:"):
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{kind[4:]}", "-out", key)
    elif kind == "rsa-pss":
        run("openssl", "genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
    else:
        run("openssl", "genpkey", "-algorithm", kind.upper(), "-out", key)
    run("openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=www.example.com", "-days", "36500", "-out", pem)
    return key, pem


def run(*command):
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def connect(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.05)


def flight(stream):
    """Whole records until one ends with a ServerHelloDone."""
    answer, done = b"", b"\x0e\0\0\0"
    while not answer.endswith(done):
        part = stream.recv(65536)
        assert part and answer[:1] != b"\x15" and part[:1] != b"\x15", part
        answer += part
    return answer


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    PORT = probe.getsockname()[1]
for name, (kind, version, suites, *offer) in TRANSCRIPTS.items():
    if sys.argv[1:] and name not in sys.argv[1:]:
        continue
    with tempfile.TemporaryDirectory() as folder:
        key, pem = key_and_certificate(kind, pathlib.Path(folder))
        server = subprocess.Popen(
            ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{PORT}", version]
            + ["-cipher", "ALL:eNULL:@SECLEVEL=0", "-groups", "X25519:P-256:P-384:P-521:secp256k1:brainpoolP256r1:X448", "-key", key, "-cert", pem],
            stdin=subprocess.PIPE,
        )
        try:
            with connect(PORT) as stream:
                stream.sendall(hello(suites, *offer))
                pathlib.Path(f"{name}.bin").write_bytes(flight(stream))
        finally:
            server.kill()
            server.wait()
