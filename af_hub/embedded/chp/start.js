// Start configurable-http-proxy with its token from a file.
//
// The proxy's own program takes the token from the environment, which every
// process of the same user can read in /proc. Setting it from inside keeps it
// in this process' memory.
import fs from "node:fs";

const { AF_PROXY_TOKEN_FILE: tokenFile } = process.env;
process.env.CONFIGPROXY_AUTH_TOKEN = fs.readFileSync(tokenFile, "utf8").trim();
await import("configurable-http-proxy/bin/configurable-http-proxy");
