// Keeps the console for what went wrong: LiteRT's WebAssembly writes what it loads, and which
// accelerators it does not have, to `console.error`, and asks for a GPU that this page does not use.

const LOG = /^(INFO|WARNING|VERBOSE):|^Failed to create default WebGPU device/;

export function keepConsoleForErrors() {
  for (const name of ['error', 'warn']) {
    const write = console[name].bind(console);
    console[name] = (...parts) => (LOG.test(String(parts[0])) ? console.debug(...parts) : write(...parts));
  }
  if (navigator.gpu) navigator.gpu.requestAdapter = async () => null;
}
