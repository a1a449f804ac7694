"""The stack's paths: catalog, registry, GraphQL, bytes, and the control that only the test knows the secret of."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route

from parts.stack import browse, control
from parts.stack.faults import Plan
from parts.stack.gate import Gate
from parts.stack.graph import execution
from parts.stack.graph.asking import Asking
from parts.stack.graph.profiles import STACK_VERSIONS
from parts.stack.holdings import Holdings
from parts.stack.registry import Registry
from parts.stack.state import Refused, State, User
from parts.stack.struck import CONTROL, REGISTRY, S3_PROXY, Struck


class Site:
    """``config`` changes single keys of ``config.json``."""

    def __init__(
        self,
        state: State,
        region: str,
        secret: str,
        upstream: str,
        *,
        relative: bool,
        config: dict[str, Any],
    ) -> None:
        self.state, self.region, self.secret = state, region, secret
        self.relative, self.config = relative, config
        self.holdings, self.plan = Holdings(), Plan()
        self.registry = Registry(state, self.holdings)
        self.gate = Gate(state, upstream)
        self.struck: Struck | None = None
        self.urls: dict[str, str] = {}

    def asgi(self, ports: dict[int, str]) -> Struck:
        """One for all hosts; ``ports`` names them. With relative addresses the catalog is all three."""
        registry = [
            Route("/graphql", self.graphql, methods=["POST"]),
            Route("/api/{rest:path}", self.api, methods=["GET", "POST"]),
            Route("/login", self.page),
        ]
        bytes_ = [
            Route("/browse/set_browse_cookie", self.set_cookie, methods=["POST"]),
            Route("/browse/{session}/{key:path}", self.browse),
        ]
        catalog: list[BaseRoute] = [Route("/config.json", self.config_json)]
        proxy = self._with_s3(Starlette(routes=bytes_))
        if self.relative:
            catalog += [Mount(REGISTRY, routes=registry), Mount(S3_PROXY, app=proxy)]
        hosts: dict[str, Any] = {
            "catalog": Starlette(routes=[*catalog, Route("/{rest:path}", self.page)]),
            "registry": Starlette(routes=[*registry, *bytes_]),
            "s3proxy": proxy,
        }
        self.urls = {name: f"http://127.0.0.1:{port}" for port, name in ports.items()}
        control = Starlette(routes=[Route(CONTROL, self.control, methods=["POST"])])
        self.struck = Struck(hosts, ports, control, self.state, self.plan)
        return self.struck

    def _with_s3(self, pages: Any) -> Any:
        async def site(scope: Any, receive: Any, send: Any) -> None:
            is_s3 = scope["type"] == "http" and Gate.is_proxied(scope["path"])
            await (self.gate if is_s3 else pages)(scope, receive, send)

        return site

    async def page(self, request: Request) -> Response:
        """The catalog answers so whatever it is asked for."""
        return HTMLResponse("<!doctype html><title>Quilt</title>")

    async def config_json(self, request: Request) -> Response:
        urls = {"registry": REGISTRY, "s3proxy": S3_PROXY, "catalog": ""} if self.relative else self.urls
        said = {
            "alwaysRequiresAuth": True,
            "analyticsBucket": "test-stack-analyticsbucket-1",
            "apiGatewayEndpoint": f"{urls['catalog']}/__lambda",
            "mixpanelToken": "",
            "mode": "PRODUCT",
            "passwordAuth": "ENABLED",
            "ssoAuth": "DISABLED",
            "ssoProviders": "",
            "region": self.region,
            "registryUrl": urls["registry"],
            "s3Proxy": urls["s3proxy"],
            "serviceBucket": "test-stack-servicebucket-1",
            "stackVersion": STACK_VERSIONS[self.state.profile],
        }
        return JSONResponse(said | self.config)

    def user(self, request: Request) -> User | None:
        token = self.token(request)
        return None if token is None else self.state.user_of(token)

    @staticmethod
    def token(request: Request) -> str | None:
        """With ``Bearer`` before it or without."""
        return request.headers.get("authorization", "").removeprefix("Bearer ").strip() or None

    def asking(self, user: User | None) -> Asking:
        return Asking(self.state, self.holdings, self.plan, user)

    async def graphql(self, request: Request) -> Response:
        try:
            user = self.user(request)
        except Refused as refused:
            return _refused(refused)
        try:
            said = await request.json()
        except ValueError:
            said = None
        faults = request.scope["faults"]
        status, answer = await run_in_threadpool(execution.answer, self.asking(user), said, faults)
        return JSONResponse(answer, status)

    async def api(self, request: Request) -> Response:
        body = await request.body()
        try:
            return JSONResponse(await run_in_threadpool(self._api, request, body))
        except Refused as refused:
            return _refused(refused)

    def _api(self, request: Request, body: bytes) -> Any:
        registry = self.registry
        call = (request.method, request.path_params["rest"])
        if call == ("POST", "login"):
            return registry.login(_object(body))
        if call == ("POST", "token"):
            return registry.exchange(parse_qs(body.decode()).get("refresh_token", [""])[0])
        user, token = self.user(request), self.token(request)
        if user is None or token is None:
            raise Refused(401, "Not logged in")
        signed_in: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "code"): lambda: registry.code(user),
            ("POST", "refresh"): lambda: registry.refresh(user, token),
            ("POST", "logout"): lambda: self.state.revoke(token) or {},
            ("GET", "me"): lambda: registry.me(user),
            ("GET", "auth/get_credentials"): lambda: registry.credentials(user),
            ("GET", "search"): lambda: registry.search(self.asking(user), dict(request.query_params)),
        }
        if call not in signed_in:
            raise Refused(404, "Not found")
        return signed_in[call]()

    async def set_cookie(self, request: Request) -> Response:
        try:
            user = self.user(request)
            if user is None:
                raise Refused(401, "Not logged in")
        except Refused as refused:
            return _refused(refused)
        answer = Response(status_code=204)
        answer.set_cookie(browse.COOKIE, browse.new_cookie(self.state, user), path="/", httponly=True)
        return answer

    async def browse(self, request: Request) -> Response:
        where = request.path_params
        try:
            user = browse.user_of_cookie(self.state, request.cookies.get(browse.COOKIE))
            status, headers, content = await run_in_threadpool(
                browse.read,
                self.state,
                self.holdings,
                user,
                where["session"],
                where["key"],
                request.headers.get("range"),
            )
        except Refused as refused:
            return _refused(refused)
        return StreamingResponse(content, status, headers)

    async def control(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.secret}":
            return JSONResponse({"message": "Not found"}, 404)
        said = await request.json()
        with contextlib.suppress(LookupError):
            return JSONResponse({"result": await run_in_threadpool(control.carry_out, self, said)})
        return JSONResponse({"message": f"no such thing in {said}"}, 422)


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def _refused(refused: Refused) -> Response:
    return JSONResponse({"message": refused.message}, refused.status)
