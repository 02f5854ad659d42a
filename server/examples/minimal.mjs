// The least that a server with groups can do: one process, nothing on disk, no checks, no limits, and the
// `ws` package for WebSockets. It only serves the figures. Run `npm install ws` in this folder first.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const groups = new Map();
const sockets = new Map();

const server = createServer((request, response) => {
  const parts = request.url.split("?")[0].split("/");
  const user = (request.headers.authorization ?? "").slice("Bearer ".length);
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(chunks).toString() || "{}");
    const reply = act(parts, user, body);
    const text = JSON.stringify(reply);
    response.writeHead(reply.code, { "content-type": "application/json" });
    response.end(text);
  });
});

let key = 0;
function signal(group, type, from, more, except) {
  key += 1;
  const frame = JSON.stringify({ key, from, type, groupid: group.id, ...more });
  for (const member of group.members) {
    if (member === except) continue;
    for (const socket of sockets.get(member) ?? []) socket.send(frame);
  }
}

function act(parts, user, body) {
  if (parts[1] === "stand-in") {
    return { ok: true, code: 200, msg: "OK", data: { user: body.user, token: body.user } };
  }
  const [, , , verb, id] = parts;
  let group = groups.get(id);
  if (verb === "create") {
    groups.set(id, { id, members: new Set([user]), log: [] });
  } else if (!group) {
    return { ok: false, code: 404, msg: "GRPS_404", data: {} };
  } else if (verb === "join") {
    signal(group, "memberjoin", user, {}, user);
    group.members.add(user);
  } else if (verb === "leave") {
    group.members.delete(user);
    signal(group, "memberleave", user, {}, user);
  } else if (verb === "post") {
    const seq = group.log.push({ from: user, message: body.message }) - 1;
    signal(group, "message", user, { seq, message: body.message }, user);
    return { ok: true, code: 200, msg: "OK", data: { seq } };
  }
  return { ok: true, code: 200, msg: "OK" };
}

const wss = new WebSocketServer({ server, path: "/ws" });
wss.on("connection", (socket, request) => {
  const user = new URL(request.url, "http://x").searchParams.get("id");
  if (!sockets.has(user)) sockets.set(user, new Set());
  sockets.get(user).add(socket);
  socket.on("close", () => sockets.get(user).delete(socket));
});
server.listen(0, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
