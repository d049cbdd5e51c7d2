"""Certificates for tests, made by the openssl program: a CA of a day, and what it signs, in a folder."""
import os
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
DAYS = ["-days", "2"]
# Python from 3.13 on demands of an authority that it says what its key is for, and of what it signs whose key that was.
AUTHORITY_USAGE = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
KEY_IDENTIFIERS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"


class Authority:
    """A CA. `ca` is its certificate file."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self.path("ca.crt")
        self.run("req", "-x509", *KEY, *DAYS, *AUTHORITY_USAGE, "-subj", "/CN=test CA", "-keyout", self.path("ca.key"),
                 "-out", self.ca)

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def run(*arguments):
        result = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30)
        if result.returncode != 0:
            raise AssertionError(f"openssl {' '.join(arguments)}:\n{result.stderr}")

    def issue(self, name, *names):
        """(certificate file, key file) for these names and addresses, such as DNS:localhost and IP:127.0.0.1."""
        request, certificate, key = (self.path(f"{name}.{ending}") for ending in ("csr", "crt", "key"))
        extensions = self.path(name + ".ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(KEY_IDENTIFIERS)
            file.write(f"subjectAltName={','.join(names)}\n" if names else "basicConstraints=CA:FALSE\n")
        self.run("req", *KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self.run("x509", "-req", *DAYS, "-in", request, "-CA", self.ca, "-CAkey", self.path("ca.key"),
                 "-CAcreateserial", "-extfile", extensions, "-out", certificate)
        return certificate, key
