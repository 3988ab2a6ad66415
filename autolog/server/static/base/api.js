// The server's REST interface: what is asked and answered is JSON, and what goes wrong has the server's own words.

// What the server, or the way to it, had against a request.
class ApiError extends Error {
  constructor(message, status, kind) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

// "api/…" below the page's own address, with parameters; those that are null, undefined or "" are left out.
export function url(path, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  return `api/${path}${query && `?${query}`}`;
}

// A part of a path, whatever is in it.
export const part = encodeURIComponent;

async function asked(path, { params, signal, ...options } = {}) {
  let response;
  try {
    response = await fetch(url(path, params), { credentials: "same-origin", signal, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it still running?", 0, "Unreachable");
  }
  if (!response.ok) throw await explained(response);
  return response;
}

async function explained(response) {
  const text = await response.text();
  let said = {};
  try {
    said = JSON.parse(text);
  } catch {
    // A proxy between the page and the server answers in its own way.
  }
  const detail = typeof said.detail === "string" ? said.detail : null;
  return new ApiError(said.message ?? detail ?? `${response.status} ${response.statusText}`, response.status, said.error);
}

async function answered(response) {
  return response.status === 204 ? null : response.json();
}

// GET api/{path}; `signal` gives up.
export async function get(path, params, signal) {
  return answered(await asked(path, { params, signal }));
}

export async function getText(path, params) {
  return (await asked(path, { params })).text();
}

async function sent(method, path, body) {
  const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return answered(await asked(path, { method, ...content }));
}

export const post = (path, body) => sent("POST", path, body ?? {});
export const patch = (path, body) => sent("PATCH", path, body);
export const remove = (path) => sent("DELETE", path);

// Save what `path` answers as a file, by the browser's own means: it may be gigabytes.
export function download(path, params, name = "") {
  const link = document.createElement("a");
  link.href = url(path, params);
  link.download = name;
  link.click();
}
