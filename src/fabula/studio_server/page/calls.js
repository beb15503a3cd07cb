// Requests to the server that the page came from.

const CHUNK = 1 << 20;

export const get = (path) => answered(fetch(path)).then((response) => response.json());

export function post(path, body = {}, signal) {
  return answered(fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal }))
    .then((response) => response.json());
}

export const projectPath = (name, rest = "") => `api/projects/${encodeURIComponent(name)}${rest}`;

// Send a file in chunks. `onSent(bytes)` after each.
export async function upload(project, path, file, onSent) {
  let offset = 0;
  do {
    const query = new URLSearchParams({ path, offset, total: file.size });
    const body = await file.slice(offset, offset + CHUNK).arrayBuffer();
    await answered(fetch(`${projectPath(project, "/files")}?${query}`, { method: "POST", headers: { "content-type": "application/octet-stream" }, body }));
    offset += body.byteLength;
    onSent(body.byteLength);
  } while (offset < file.size);
}

async function answered(request) {
  let response;
  try {
    response = await request;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The studio does not respond. Is it still running in the terminal?");
  }
  if (response.ok) return response;
  const { message } = await response.json().catch(() => ({}));
  throw new Error(message ?? `The studio answered with error ${response.status}.`);
}
