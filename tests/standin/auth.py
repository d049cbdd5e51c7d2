"""Who may do what: the Authorization header, `p=` in the URL, and token records of the catalog.

Tokens come from --token-file (one admin token, known to the node at once) and from the catalog, where a new token
reaches other nodes only with their next catalog sync. As in the database the secret itself is not stored.
"""
import base64
import binascii
import datetime
import hashlib
import json
import secrets
import time
import urllib.parse

from .http1 import Response
from .modes import refuse_text

MALFORMED = ("Authorization header was malformed, the request was not in the form of 'Authorization: <auth-scheme> "
             "<token>', supported auth-schemes are Bearer, Token and Basic")
NOT_AUTHENTICATED = "the request was not authenticated"
OPERATOR = "_admin"
TOKEN_PATHS = "/api/v3/configure/token"
FIRST_TOKEN_PATH = "/api/v3/configure/token/admin"
EXEMPTABLE = {
    "health": ("/health", "/api/v1/health"), "ping": ("/ping",), "metrics": ("/metrics",), "ready": ("/ready",),
    "pprof": ("/debug/pprof/heap",), "node_stop": ("/api/v3/enterprise/configure/node/stop",),
}
P_PATHS = ("/write", "/query")


def hash_token(token):
    return hashlib.sha512(token.encode()).hexdigest()


def read_token_file(path):
    """The token of a file: the member 'token' of a JSON object, or the bare text."""
    with open(path, encoding="utf-8") as file:
        text = file.read().strip()
    return json.loads(text)["token"] if text.startswith("{") else text


class Authenticator:
    """Decides the first two questions about a request: who is it, and is that an answer already."""

    def __init__(self, settings, catalog):
        self.settings = settings
        self.catalog = catalog
        self.static_hash = hash_token(read_token_file(settings.token_file)) if settings.token_file else None
        self.open_paths = {FIRST_TOKEN_PATH}
        for word in settings.disable_authz:
            self.open_paths.update(EXEMPTABLE.get(word, ()))

    def check(self, request):
        """Sets request.token (None: nothing is checked; else the token's record), or raises the refusal."""
        request.token = None
        if self.settings.without_auth:
            if request.path.startswith(TOKEN_PATHS):
                raise refuse_text(405, "endpoint disabled, started without auth")
            return
        if request.path in self.open_paths:
            return
        token = self.presented_token(request)
        record = self.find(token) if token is not None else None
        if record is None:
            raise refuse_json_spaced(401, NOT_AUTHENTICATED)
        request.token = record

    @staticmethod
    def presented_token(request):
        """The secret in the request; `p` in the URL of the v1 paths beats the header. A malformed one is a 400."""
        if request.path in P_PATHS and request.params().get("p"):
            return request.params()["p"]
        header = request.header("authorization")
        if header is None:
            return None
        parts = header.split(" ")
        if len(parts) == 2 and parts[0] in ("Bearer", "Token"):
            return parts[1]
        if len(parts) == 2 and parts[0] == "Basic":
            try:
                pair = base64.b64decode(parts[1], validate=True).decode().split(":")
            except (binascii.Error, UnicodeDecodeError):
                pair = []
            if len(pair) == 2:
                return pair[1]
        raise refuse_json_spaced(400, MALFORMED)

    def find(self, token):
        """The record of a token that exists and has not expired."""
        hashed = hash_token(token)
        if hashed == self.static_hash:
            return {"name": OPERATOR, "hash": hashed, "permissions": None}
        for _, record in self.catalog.all("token"):
            if record["hash"] == hashed and (record["expiry_at"] is None or record["expiry_at"] > time.time()):
                return record
        return None


def refuse_json_spaced(status, text):
    """Authentication errors are formatted by hand in the database, with a space after the colon."""
    return refuse_text(status, f'{{"error": "{text}"}}')


def is_admin(request):
    return request.token is None or request.token["permissions"] is None


def require_admin(request):
    if not is_admin(request):
        raise refuse_text(403, "")


def may_use(request, database, action):
    """Whether the token has read or write on the database; without authentication everybody has."""
    if is_admin(request):
        return True
    if database == "_internal":
        return False
    for permission in request.token["permissions"]:
        names = permission.get("resource_names", [])
        if permission.get("resource_type") == "db" and ("*" in names or database in names) \
                and action in permission.get("actions", []):
            return True
    return False


def require_database(request, database, action):
    if not may_use(request, database, action):
        raise refuse_text(403, "")


# -- the token routes


def new_token_changes(catalog, name, permissions, expiry_secs, replace=False):
    """(changes, answer) for a new secret under a name; 409 when the name is taken."""
    if catalog.get("token", name) is not None and not replace:
        raise refuse_text(409, f"token name already exists, {name}")
    secret = "apiv3_" + secrets.token_urlsafe(64)
    expiry_at = time.time() + expiry_secs if expiry_secs else None
    record = {
        "id": len(catalog.all("token")), "name": name, "hash": hash_token(secret), "permissions": permissions,
        "created_at": iso_time(time.time()), "expiry_at": expiry_at,
    }
    answer = {
        "id": record["id"], "name": name, "token": secret, "hash": record["hash"],
        "created_at": record["created_at"], "expiry": iso_time(expiry_at) if expiry_at else None,
    }
    return [("put", "token", name, record)], Response(201, json.dumps(answer), content_type="json")


def iso_time(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


async def create_operator_token(node, request):
    """The one route that never asks for a token: its first caller becomes the operator."""
    def decide():
        if node.authenticator.static_hash is not None:
            raise refuse_text(409, f"token name already exists, {OPERATOR}")
        return new_token_changes(node.catalog, OPERATOR, None, None)
    return await node.catalog.change_caught_up(decide)


async def regenerate_operator_token(node, request):
    require_admin(request)

    def decide():
        if node.catalog.get("token", OPERATOR) is None:
            raise refuse_text(404, "there is no operator token to regenerate")
        return new_token_changes(node.catalog, OPERATOR, None, None, replace=True)
    return await node.catalog.change_caught_up(decide)


async def create_named_admin_token(node, request):
    require_admin(request)
    fields = node.json_body(request)
    return await node.catalog.change_caught_up(
        lambda: new_token_changes(node.catalog, needed(fields, "token_name"), None, fields.get("expiry_secs")))


async def create_resource_token(node, request):
    require_admin(request)
    fields = node.json_body(request)
    return await node.catalog.change_caught_up(
        lambda: new_token_changes(node.catalog, needed(fields, "token_name"), needed(fields, "permissions"),
                                  fields.get("expiry_secs")))


async def delete_token(node, request):
    require_admin(request)
    params = dict(urllib.parse.parse_qsl(request.query)) or node.json_body(request)
    name = needed(params, "token_name")

    def decide():
        if name == OPERATOR:
            raise refuse_text(405, f'The operator token "{OPERATOR}" is required and cannot be deleted')
        if node.catalog.get("token", name) is None:
            raise refuse_text(404, f"token not found: {name}")
        return [("delete", "token", name, None)], Response(200)
    return await node.catalog.change_caught_up(decide)


def needed(fields, name):
    """A member of a JSON body that must be there."""
    if name not in fields:
        raise refuse_text(400, f"serde json error: missing field `{name}`")
    return fields[name]
