"""The machine door: discovery, keys, token, userinfo, revocation, introspection (https)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request

from af_hub.embedded.iam import policy, profiles
from af_hub.embedded.iam.device import DEVICE
from af_hub.embedded.iam.grants import CLIENT_AUTH, EXCHANGE, shown
from af_hub.embedded.iam.keys import ALGORITHM
from af_hub.embedded.iam.switches import changed

if TYPE_CHECKING:
    from af_hub.embedded.iam.provider import Provider

_BODY_LIMIT = 256 * 1024


def discovery(provider: Provider) -> dict[str, Any]:
    """Return the well-known document (OpenID Connect Discovery 1.0)."""
    config = provider.config
    base = config.issuer
    document = {
        "issuer": base,
        "authorization_endpoint": f"{config.login_url}authorize",
        "token_endpoint": f"{base}token",
        "userinfo_endpoint": f"{base}userinfo",
        "jwks_uri": f"{base}jwk",
        "revocation_endpoint": f"{base}revoke",
        "introspection_endpoint": f"{base}introspect",
        "device_authorization_endpoint": f"{base}devicecode",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", EXCHANGE, DEVICE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM, "none"],
        "token_endpoint_auth_methods_supported": CLIENT_AUTH,
        "code_challenge_methods_supported": ["plain", "S256"],
        "scopes_supported": sorted({s for client in config.clients for s in client.scopes}),
    }
    return changed(document, provider.control.switches().discovery)


def machine_app(provider: Provider) -> Flask:
    """Return the WSGI application of the machine door."""
    app = Flask("af-iam-machine", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _BODY_LIMIT

    @app.get("/.well-known/openid-configuration")
    def _discovery() -> Response:
        return jsonify(discovery(provider))

    @app.get("/jwk")
    def _keys() -> Response:
        answer = jsonify(provider.signer.jwks())
        answer.headers["Cache-Control"] = "max-age=21600"
        return answer

    @app.post("/token")
    def _token() -> Any:
        return provider.server.create_token_response()

    @app.post("/revoke")
    def _revoke() -> Any:
        return provider.server.create_endpoint_response("revocation")

    @app.post("/introspect")
    def _introspect() -> Any:
        return provider.server.create_endpoint_response("introspection")

    @app.post("/devicecode")
    def _device() -> Any:
        return provider.server.create_endpoint_response("device_authorization")

    @app.route("/userinfo", methods=["GET", "POST"])
    def _userinfo() -> Response:
        return userinfo(provider, request.headers.get("Authorization", ""))

    return app


def userinfo(provider: Provider, authorization: str) -> Response:
    """Answer a userinfo request.

    A dead token is answered as IAM does: 401, with the whole token in body and header.
    """
    scheme, _, token = authorization.partition(" ")
    claims = provider.signer.read(token) if scheme.lower() == "bearer" else None
    found = provider.store.access_token(str(claims.get("jti"))) if claims else None
    person = provider.store.person(sub=found.sub) if found else None
    if claims is None or found is None or person is None:
        text = f"Invalid access token: {shown(token)}"
        answer = jsonify({"error": "invalid_token", "error_description": text})
        answer.status_code = 401
        answer.headers["WWW-Authenticate"] = (
            f'Bearer error="invalid_token", error_description="{text}"'
        )
        return answer
    scopes = policy.split(found.scope)
    if "openid" not in scopes:
        return Response("<html><body>Forbidden</body></html>", 403, mimetype="text/html")
    client = next(c for c in provider.config.clients if c.client_id == found.client_id)
    info = profiles.user_info(client.token_profile, person, scopes, claims)
    return jsonify(changed(info, provider.control.switches().userinfo))
