// Starts the client with the packages of the folder DRAWBRIDGE_TEST_NODE, wherever this file is.

import { registerHooks } from "node:module";
import { Console } from "node:console";
import { pathToFileURL } from "node:url";

const packages = pathToFileURL(`${process.env.DRAWBRIDGE_TEST_NODE}/package.json`).href;
const here = new URL(".", import.meta.url).href;
registerHooks({
    resolve(name, context, next) {
        const ours = context.parentURL?.startsWith(here) && !name.startsWith(".");
        return next(name, ours ? { ...context, parentURL: packages } : context);
    },
});
// Only answers and events go to stdout.
globalThis.console = new Console(process.stderr, process.stderr);
await import("./client.mjs");
