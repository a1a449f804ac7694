// A conversation by the TypeScript SDK's own client, over the wire that its arguments name. What it saw goes to standard output.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { modules, command, args, env, url, headers } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(modules + "/");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const transport = url
  ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  : new StdioClientTransport({ command, args, env });
const client = new Client({ name: "typescript", version: "1" });
await client.connect(transport);
const progress = [];
const seen = {
  instructions: client.getInstructions(),
  tools: (await client.listTools()).tools.map((one) => one.name),
  resources: (await client.listResources()).resources.map((one) => one.uri),
  prompts: (await client.listPrompts()).prompts.map((one) => one.name),
};
for (const [name, given] of [
  ["browse", { name: "package_browse", arguments: { package: "demo/flowers" } }],
  ["failure", { name: "package_browse", arguments: { package: "no/such" } }],
  ["picture", { name: "object_read", arguments: { uri: "demo/flowers/docs/plot.png" } }],
]) {
  seen[name] = await client.callTool(given, undefined, { onprogress: (one) => progress.push(one) });
}
console.log(JSON.stringify(seen));
await client.close();
