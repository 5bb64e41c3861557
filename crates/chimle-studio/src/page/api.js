// Calls of the server's API.

const token = new URLSearchParams(location.search).get("token") ?? "";

/** An error, with the server's message. */
class Failure extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Returns the address of a call. */
const address = (path, query = {}) => `api/${path}?${new URLSearchParams({ ...query, token })}`;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Calls the server. Repeats the call while the server is busy. */
async function call(path, { query, times = 20, ...options } = {}) {
  for (let attempt = 1; ; attempt++) {
    let response;
    try {
      response = await fetch(address(path, query), options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failure("The studio does not answer. Is `chimle studio` still running?", 0);
    }
    if (response.ok) return response;
    if (response.status === 503 && attempt < times) {
      await pause(1000 * Number(response.headers.get("Retry-After") ?? 1));
      continue;
    }
    let message = `The studio answered with ${response.status}.`;
    try {
      message = (await response.json()).error;
    } catch {
      // The answer is not JSON, so only its status is shown.
    }
    throw new Failure(message, response.status);
  }
}

const callJson = async (path, options) => (await call(path, options)).json();

const withJson = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

/** Calls the server, and passes each line of its answer to `take` as soon as the line arrives. */
async function stream(path, options, take) {
  const response = await call(path, options);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Failure("The studio stopped in the middle. Is `chimle studio` still running?", 0);
    }
    rest += decoder.decode(part.value ?? new Uint8Array(), { stream: !part.done });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) take(JSON.parse(line));
    if (part.done) return;
  }
}
