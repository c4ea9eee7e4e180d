"""A Synapse on loopback, for the demo: its configuration, its start, its users."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import urllib.error
import urllib.request

from processes import Failure, Program


def write_config(folder, domain, port, registration):
    """Writes homeserver.yaml (JSON is YAML) and what it names; secrets made once are kept. Returns the shared secret."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "secrets.json"
    if not kept.exists():
        made = {name: secrets.token_urlsafe(32) for name in ("macaroon", "form", "shared")}
        private_file(kept, json.dumps(made))
        seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        private_file(folder / "signing.key", f"ed25519 a_demo {seed}\n")
    secret = json.loads(kept.read_text())
    plenty = {"per_second": 1000, "burst_count": 1000}
    config = {
        "server_name": domain,
        "public_baseurl": f"http://127.0.0.1:{port}/",
        "pid_file": str(folder / "pid"),
        "listeners": [
            {
                "port": port,
                "bind_addresses": ["127.0.0.1"],
                "type": "http",
                "tls": False,
                "resources": [{"names": ["client"]}],
            }
        ],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "log_config": str(folder / "log.yaml"),
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "macaroon_secret_key": secret["macaroon"],
        "form_secret": secret["form"],
        "registration_shared_secret": secret["shared"],
        "report_stats": False,
        "trusted_key_servers": [],
        "presence": {"enabled": True},
        "app_service_config_files": [str(registration)],
        "rc_message": plenty,
        "rc_login": {"address": plenty, "account": plenty},
        "rc_registration": plenty,
        "rc_presence": {"per_user": plenty},
    }
    log = {
        "version": 1,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "formatter": "plain", "filename": str(folder / "synapse.log")}
        },
        "root": {"level": "INFO", "handlers": ["file"]},
    }
    private_file(folder / "homeserver.yaml", json.dumps(config, indent=2))
    private_file(folder / "log.yaml", json.dumps(log, indent=2))
    return secret["shared"]


def private_file(path, text):
    """Writes a file that only its owner may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def start(python, folder, port):
    """Starts Synapse and waits until it answers."""
    command = [python, "-m", "synapse.app.homeserver", "--config-path", folder / "homeserver.yaml"]
    program = Program("Synapse", command, folder / "output.log", cwd=folder)
    program.wait_for(f"http://127.0.0.1:{port}/_matrix/client/versions")
    return program


def register(base, shared_secret, user, password):
    """Makes a user through the shared-secret API; one that exists already is fine."""
    url = f"{base}/_synapse/admin/v1/register"
    with urllib.request.urlopen(url, timeout=30) as answer:
        nonce = json.load(answer)["nonce"]
    proof = hmac.new(shared_secret.encode(), digestmod=hashlib.sha1)
    proof.update("\0".join([nonce, user, password, "notadmin"]).encode())
    body = {"nonce": nonce, "username": user, "password": password, "admin": False, "mac": proof.hexdigest()}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        answer = json.load(error)
        if answer.get("errcode") != "M_USER_IN_USE":
            raise Failure(f"Synapse would not make the user {user}: {answer.get('error')}") from None
