"""A certificate that nobody has to believe, for homeservers that reach each other in a test.

Usage: certificate.py CERTIFICATE KEY        writes both, in PEM
"""

import datetime
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "only for tests")])
now = datetime.datetime.now(datetime.timezone.utc)
builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - datetime.timedelta(days=1), now + datetime.timedelta(days=1))
pem = serialization.Encoding.PEM
with open(sys.argv[1], "wb") as file:
    file.write(builder.sign(key, hashes.SHA256()).public_bytes(pem))
with open(sys.argv[2], "wb") as file:
    file.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
