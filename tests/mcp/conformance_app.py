"""A server for the conformance suite: the fixtures that it asks for, on the real server's transport.

The suite calls tools, resources and prompts by names of its own and checks what comes back over the wire. They stand here
on the real HTTP transport and, where our server has a part in it, on our own code for replies, errors and progress.
What our server never asks of a client (sampling, elicitation, roots) is here only for the suite.

``--sessions`` serves with sessions, which the real server does not have: the 2025-11-25 scenarios in which a server asks
something of the client need one.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import struct
import sys
import wave
from collections.abc import Awaitable, Callable
from functools import partial
from io import BytesIO
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.request_state import InvalidRequestState, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

from quilt_mcp.config import Settings
from quilt_mcp.demo.samples import png
from quilt_mcp.errors import InternalError
from quilt_mcp.server.http.single import serve_one
from quilt_mcp.server.surface import CACHE_HINTS, Context, progress_of, tool_result
from quilt_mcp.tools.results.envelope import Block, Reply, error_reply

PNG = base64.b64encode(png(b"\xff\0\0", 1, 1)).decode()
Answer = types.CallToolResult | types.InputRequiredResult


def wav() -> str:
    buffer = BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(struct.pack("<h", 0) * 8)
    return base64.b64encode(buffer.getvalue()).decode()


def text(body: str) -> types.TextContent:
    return types.TextContent(type="text", text=body)


def embedded(uri: str, media_type: str, body: str) -> types.EmbeddedResource:
    content = types.TextResourceContents(uri=uri, mime_type=media_type, text=body)
    return types.EmbeddedResource(type="resource", resource=content)


def said(*content: Any) -> types.CallToolResult:
    return types.CallToolResult(content=list(content))


# -- what our own server does too: on its own code --


async def simple_text(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    return tool_result(Reply({}, (Block("text", "This is a simple text response for testing."),)))


async def image(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    return tool_result(Reply({}, (Block("image", PNG, "image/png"),)))


async def failing(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    return tool_result(
        error_reply(InternalError("This tool intentionally returns an error for testing"), 10_000)
    )


async def with_progress(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    async with progress_of(ctx) as progress:
        for done in (0, 50, 100):
            await progress(done, 100, f"{done} of 100")
            # The suite asks for time between reports; ours are at least a tenth of a second apart.
            await anyio.sleep(0.12)
    return said(text("Done."))


# -- what it does not: content of other kinds, and questions to the client --


async def audio(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    return said(types.AudioContent(type="audio", data=wav(), mime_type="audio/wav"))


async def embedded_resource(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    return said(embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."))


async def mixed(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    picture = types.ImageContent(type="image", data=PNG, mime_type="image/png")
    resource = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return said(text("Multiple content types test:"), picture, resource)


async def with_logging(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", line, related_request_id=ctx.request_id)
        await anyio.sleep(0.05)
    return said(text("Logged."))


async def needs_sampling(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    can = ctx.session.client_capabilities
    if can is None or can.sampling is None:
        required = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling.", required)
    return said(text("The client can sample."))


async def sampling(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    asked = types.CreateMessageRequest(params=question(str((params.arguments or {}).get("prompt")), 100))
    # On the call's own stream: the client's other one may not be open yet, and what is sent to none is lost.
    own_stream = ServerMessageMetadata(related_request_id=ctx.request_id)
    answer = await ctx.session.send_request(asked, types.CreateMessageResult, metadata=own_stream)
    return said(text(f"LLM response: {answer.content.model_dump_json()}"))


def eliciting(schema: dict[str, Any]) -> Callable[[Context, types.CallToolRequestParams], Awaitable[Answer]]:
    async def elicit(ctx: Context, params: types.CallToolRequestParams) -> Answer:
        message = str((params.arguments or {}).get("message", "Please fill this in"))
        answer = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        return said(
            text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")
        )

    return elicit


PERSON = {
    "type": "object",
    "properties": {"username": {"type": "string"}, "email": {"type": "string"}},
    "required": ["username", "email"],
}
DEFAULTS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}
OPTIONS = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
ENUMS = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": OPTIONS},
        "titledSingle": {"type": "string", "oneOf": TITLED},
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
    },
}


def question(prompt: str, most: int) -> types.CreateMessageRequestParams:
    message = types.SamplingMessage(role="user", content=text(prompt))
    return types.CreateMessageRequestParams(messages=[message], max_tokens=most)


def form(message: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


ASKED: dict[str, dict[str, Any]] = {
    "elicitation": {"user_name": form("What is your name?", "name")},
    "sampling": {
        "capital_question": types.CreateMessageRequest(params=question("What is the capital of France?", 100))
    },
    "list_roots": {"client_roots": types.ListRootsRequest()},
    "request_state": {"confirm": form("Please confirm", "ok", "boolean")},
    "tampered_state": {"confirm": form("Please confirm", "ok", "boolean")},
    "multiple_inputs": {
        "user_name": form("What is your name?", "name"),
        "greeting": types.CreateMessageRequest(params=question("Generate a greeting", 50)),
        "client_roots": types.ListRootsRequest(),
    },
}
STATEFUL = frozenset({"request_state", "tampered_state", "multiple_inputs"})
ROUNDS = (
    {"step1": form("Step 1: What is your name?", "name")},
    {"step2": form("Step 2: Your colour?", "color")},
)
SEALS = RequestStateSecurity.ephemeral().codec


def unsealed(token: str) -> str:
    try:
        return SEALS.unseal(token).decode()
    except InvalidRequestState:
        raise MCPError(types.INVALID_PARAMS, "requestState was changed on its way") from None


def asking(kind: str) -> Callable[[Context, types.CallToolRequestParams], Awaitable[Answer]]:
    """A tool that asks once, and is done when all of its questions are answered."""

    async def ask(ctx: Context, params: types.CallToolRequestParams) -> Answer:
        answers = params.input_responses or {}
        if not ASKED[kind].keys() <= answers.keys():
            state = SEALS.seal(b"asked") if kind in STATEFUL else None
            return types.InputRequiredResult(input_requests=ASKED[kind], request_state=state)
        if kind in STATEFUL:
            unsealed(params.request_state or "")
        shown = {key: answer.model_dump(mode="json") for key, answer in answers.items()}
        return said(text(f"state-ok {json.dumps(shown)}"))

    return ask


async def multi_round(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    step = int(unsealed(params.request_state)) if params.request_state else 0
    if step == len(ROUNDS):
        return said(text("Done after two questions."))
    return types.InputRequiredResult(
        input_requests=ROUNDS[step], request_state=SEALS.seal(str(step + 1).encode())
    )


async def by_capability(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    can = ctx.session.client_capabilities or types.ClientCapabilities()
    offered = {"name": (can.elicitation, form("Name?", "name"))}
    offered["capital"] = (can.sampling, types.CreateMessageRequest(params=question("Capital?", 10)))
    asked = {key: request for key, (able, request) in offered.items() if able is not None}
    if params.input_responses or not asked:
        return said(text("Nothing more to ask."))
    return types.InputRequiredResult(input_requests=asked)


TOOLS: dict[str, Callable[[Context, types.CallToolRequestParams], Awaitable[Answer]]] = {
    "test_simple_text": simple_text,
    "test_image_content": image,
    "test_audio_content": audio,
    "test_embedded_resource": embedded_resource,
    "test_multiple_content_types": mixed,
    "test_tool_with_logging": with_logging,
    "test_error_handling": failing,
    "test_tool_with_progress": with_progress,
    "test_logging_tool": with_logging,
    "test_missing_capability": needs_sampling,
    "test_streaming_elicitation": asking("elicitation"),
    "test_sampling": sampling,
    "test_elicitation": eliciting(PERSON),
    "test_elicitation_sep1034_defaults": eliciting(DEFAULTS),
    "test_elicitation_sep1330_enums": eliciting(ENUMS),
    "test_input_required_result_multi_round": multi_round,
    "test_input_required_result_capabilities": by_capability,
    **{f"test_input_required_result_{kind}": asking(kind) for kind in ASKED},
}
PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    schema = {"type": "object"}
    return types.ListToolsResult(
        tools=[types.Tool(name=name, description="Fixture.", input_schema=schema) for name in TOOLS]
    )


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Answer:
    if params.name not in TOOLS:
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
    return await TOOLS[params.name](ctx, params)


async def list_prompts(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    prompts = [
        types.Prompt(
            name=name,
            description="Fixture.",
            arguments=[
                types.PromptArgument(name=one, description="Text.", required=True) for one in arguments
            ],
        )
        for name, arguments in PROMPTS.items()
    ]
    return types.ListPromptsResult(prompts=prompts)


async def get_prompt(
    ctx: Context, params: types.GetPromptRequestParams
) -> types.GetPromptResult | types.InputRequiredResult:
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            content = [text("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            content = [text(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")]
        case "test_prompt_with_embedded_resource":
            resource = embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
            content = [resource, text("Please process the embedded resource above.")]
        case "test_prompt_with_image":
            picture = types.ImageContent(type="image", data=PNG, mime_type="image/png")
            content = [picture, text("Please analyze the image above.")]
        case "test_input_required_result_prompt":
            if not params.input_responses:
                return types.InputRequiredResult(
                    input_requests={"user_context": form("In which context?", "context")}
                )
            content = [text(f"Context: {params.input_responses}")]
        case _:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=one) for one in content])


async def list_resources(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourcesResult:
    uris = ("test://static-text", "test://static-binary", "test://watched-resource")
    return types.ListResourcesResult(
        resources=[types.Resource(uri=uri, name=uri.rpartition("/")[2]) for uri in uris]
    )


async def list_templates(
    ctx: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(uri_template="test://template/{id}/data", name="template")
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    content: types.TextResourceContents | types.BlobResourceContents
    uri = params.uri
    if uri == "test://static-binary":
        content = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    elif uri.startswith("test://template/") and uri.endswith("/data"):
        number = uri.split("/")[3]
        body = json.dumps({"id": number, "templateTest": True, "data": f"Data for ID: {number}"})
        content = types.TextResourceContents(uri=uri, mime_type="application/json", text=body)
    elif uri in ("test://static-text", "test://watched-resource"):
        body = "This is the content of the static text resource."
        content = types.TextResourceContents(uri=uri, mime_type="text/plain", text=body)
    else:
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})
    return types.ReadResourceResult(contents=[content])


async def complete(ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    return types.CompleteResult(completion=types.Completion(values=[]))


async def done(ctx: Context, params: Any) -> types.EmptyResult:
    return types.EmptyResult()


def fixtures(*, sessions: bool) -> Server[Any]:
    asked_of_clients: dict[str, Any] = {}
    if sessions:
        # Subscriptions and log levels are kept with a session.
        asked_of_clients = {
            "on_subscribe_resource": done,
            "on_unsubscribe_resource": done,
            "on_set_logging_level": done,
        }
    return Server(
        "quilt-mcp-conformance",
        version="1",
        cache_hints=CACHE_HINTS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        **asked_of_clients,
    )


def announce(url: str, token: str | None = None) -> None:
    sys.stderr.write(f"listens on {url}\n")
    sys.stderr.flush()


async def serve_with_sessions(server: Server[Any]) -> None:
    import socket

    import uvicorn

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    announce(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
    config = uvicorn.Config(server.streamable_http_app(), log_config=None, timeout_graceful_shutdown=5)
    await uvicorn.Server(config).serve(sockets=[listening])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", action="store_true")
    parser.add_argument(
        "--real", action="store_true", help="The real server, without a token: the suite can send none."
    )
    arguments = parser.parse_args()
    server = fixtures(sessions=arguments.sessions)
    if arguments.sessions:
        anyio.run(serve_with_sessions, server)
    else:
        settings = Settings.load(os.environ, {"http": True, "single_user": True, "port": 0})
        served = None if arguments.real else server
        anyio.run(partial(serve_one, settings, announce, served, open_to_all=True))


if __name__ == "__main__":
    main()
